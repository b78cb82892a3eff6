//! The stores, held to the contract of [`meishi_store::Store`].
//!
//! `conformance/` has one test for each promise of the contract and knows no implementation; each
//! implementation has a file beside it that runs them on itself, and tests of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect is to stop there"
)]

mod conformance;
mod copy;
mod postgres;
mod sqlite;
