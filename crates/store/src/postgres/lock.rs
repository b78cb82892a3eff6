//! The numbers of the advisory locks: what only one server does at a time.

/// Making accounts.
pub(super) const ACCOUNTS: i64 = 0x4d45_4953_0001;
/// Bringing the schema up to date.
pub(super) const SCHEMA: i64 = 0x4d45_4953_0002;
/// Copying into a database.
pub(crate) const COPY: i64 = 0x4d45_4953_0003;
