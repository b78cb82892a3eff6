//! Why a copy did not come to its end: one sentence that says what to do.

use crate::OpenError;

/// Why a copy did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be opened.
    #[error("{}", naming(.0, "--from"))]
    Source(OpenError),
    /// The target cannot be opened.
    #[error("{}", naming(.0, "--to"))]
    Target(OpenError),
    /// The source and the target are one database.
    #[error("--from and --to name the same database; choose a new one with --to")]
    Same,
    /// Where the source should be, there is none.
    #[error("there is no database of meishi's in {0}; correct --from")]
    NoSource(String),
    /// The source is itself half a copy.
    #[error("{0} holds an unfinished copy; finish that one first, or correct --from")]
    UnfinishedSource(String),
    /// Somebody writes to the source.
    #[error("{0} is being written to; stop its servers and run the same command again")]
    SourceBusy(String),
    /// Another copy writes to the target.
    #[error("another copy into {0} is running; wait for it, or choose another one with --to")]
    TargetBusy(String),
    /// The target holds something else.
    #[error("{0} is not empty; choose a new database with --to")]
    NotEmpty(String),
    /// The target holds half a copy of something else.
    #[error(
        "{0} holds an unfinished copy of another database; name that one with --from, or choose a \
         new database with --to"
    )]
    OtherCopy(String),
    /// PostgreSQL cannot hold a text of the source.
    #[error(
        "a row of {table} ({key}) has a text with the character U+0000, which PostgreSQL cannot \
         hold; change it in the source and run the same command again"
    )]
    Nul {
        /// The table.
        table: &'static str,
        /// The row's primary key.
        key: String,
    },
    /// One of the two failed.
    #[error("{database} failed ({reason}); run the same command again to go on from there")]
    Failed {
        /// Which one.
        database: String,
        /// What it says.
        reason: String,
    },
}

/// A store's sentence, which names the flag of `meishi serve`, with the flag of `meishi copy`.
fn naming(error: &OpenError, flag: &str) -> String {
    error.to_string().replace("--database", flag).replace("--data-dir", flag)
}
