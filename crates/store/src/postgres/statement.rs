//! Statements with the types of their parameters, so that one can be run prepared or not.

use tokio_postgres::types::Type;

/// A statement and its parameters' types.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) sql: &'static str,
    pub(super) types: &'static [Type],
}

/// Names a file's statements and lists them, so that tests can prepare and read each one.
macro_rules! statements {
    ($($name:ident($($type:ident),*) = $sql:expr;)+) => {
        $(
            const $name: $crate::postgres::statement::Statement =
                $crate::postgres::statement::Statement {
                    sql: $sql,
                    types: &[$(tokio_postgres::types::Type::$type),*],
                };
        )+
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, $crate::postgres::statement::Statement)] =
            &[$((stringify!($name), $name)),+];
    };
}

pub(super) use statements;
