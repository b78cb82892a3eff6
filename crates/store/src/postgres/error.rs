//! What PostgreSQL and the way to it say, as the contract has it.

use std::error::Error as _;

use tokio_postgres::error::{Severity, SqlState};

use crate::StoreError;

/// Why a statement or a connection failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The server refused, or the connection failed.
    #[error("{}", sentence(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// There is no connection to be had.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// All connections are in use.
    #[error("all connections are in use")]
    NoneFree,
    /// No answer came in time; the connection is given up.
    #[error("no answer in time")]
    Timeout,
    /// A call of the group comes to more than it may.
    #[error("the outcome of a call is too large")]
    OutcomeTooLarge,
    /// What is stored is not what was written.
    #[error("{0}")]
    Unreadable(String),
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        use deadpool_postgres::{PoolError, TimeoutType};
        match error {
            PoolError::Backend(error) => Self::NoConnection(sentence(&error)),
            PoolError::Timeout(TimeoutType::Wait) => Self::NoneFree,
            PoolError::Closed => Self::NoConnection("the store is closed".into()),
            other => Self::NoConnection(other.to_string()),
        }
    }
}

impl Error {
    /// Whether the connection is gone, so that what was under way may or may not have been done.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Postgres(error) => match error.as_db_error() {
                // Whatever made the server end the session: a shutdown, an operator, a limit.
                Some(refusal) => {
                    let severity = refusal.parsed_severity();
                    matches!(severity, Some(Severity::Fatal | Severity::Panic))
                        || refusal.code().code().starts_with("08")
                        || refusal.code().code().starts_with("57P0")
                }
                None => {
                    error.is_closed()
                        || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
                }
            },
            Self::NoConnection(_)
            | Self::NoneFree
            | Self::OutcomeTooLarge
            | Self::Unreadable(_) => false,
        }
    }

    /// Whether the server answered, and said no.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Postgres(error) if error.as_db_error().is_some()) && !self.is_lost()
    }

    /// Whether a statement of the group's own failed, so that its calls are to be run one by one.
    pub(super) fn is_of_a_call(&self) -> bool {
        matches!(StoreError::from(self), StoreError::Internal(_) | StoreError::OutcomeTooLarge)
    }
}

impl From<&Error> for StoreError {
    fn from(error: &Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NoneFree => Self::Busy,
            Error::OutcomeTooLarge => Self::OutcomeTooLarge,
            Error::NoConnection(_) | Error::Timeout => Self::Unavailable(text),
            Error::Unreadable(_) => Self::Internal(text),
            Error::Postgres(cause) => match cause.code() {
                Some(code)
                    if [
                        SqlState::LOCK_NOT_AVAILABLE,
                        SqlState::QUERY_CANCELED,
                        SqlState::T_R_SERIALIZATION_FAILURE,
                        SqlState::T_R_DEADLOCK_DETECTED,
                    ]
                    .contains(code) =>
                {
                    Self::Busy
                }
                // Insufficient resources; a server that only reads, or is in trouble itself.
                Some(code)
                    if code.code().starts_with("53")
                        || code.code().starts_with("58")
                        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
                        // BEGIN READ WRITE on a replica.
                        || *code == SqlState::FEATURE_NOT_SUPPORTED =>
                {
                    Self::Unavailable(text)
                }
                _ if error.is_lost() => Self::Unavailable(text),
                _ => Self::Internal(text),
            },
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// The server's own words where there are any, else the connection's. Never a row's values, which
/// PostgreSQL puts into the detail.
fn sentence(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => format!("{} ({})", refusal.message(), refusal.code().code()),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
