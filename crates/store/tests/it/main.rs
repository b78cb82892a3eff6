//! The stores, held to the contract of [`meishi_store::Store`].
//!
//! `conformance/` has one test for each promise of the contract and knows no implementation; each
//! implementation has a directory beside it that runs them on itself, and tests of its own.
//! `differential/` asks both implementations the same and compares.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect is to stop there"
)]

mod conformance;
mod copy;
mod differential;
mod postgres;
mod sqlite;
