//! Statements on one account that are sent together, each with what it must have written.

use futures::future::{BoxFuture, FutureExt, try_join_all};
use meishi_contacts::AccountId;
use tokio_postgres::types::ToSql;

use super::{error::Error, session::Session, statement::Statement};

/// How many rows a statement must have written. Another number means that the tables are not what
/// the ledger was told.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    Rows(usize),
    Any,
}

/// Whether a statement is prepared once, or planned anew with each run.
#[derive(Clone, Copy)]
enum Plan {
    Once,
    Anew,
}

/// Statements on one account, sent together and in this order.
pub(super) struct Batch<'a> {
    session: &'a Session,
    account: i64,
    statements: Vec<Statement>,
    runs: Vec<BoxFuture<'a, Result<(), Error>>>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(session: &'a Session, account: AccountId) -> Self {
        Self { session, account: account.0, statements: Vec::new(), runs: Vec::new() }
    }

    pub(super) fn send(
        &mut self,
        statement: Statement,
        expect: Expect,
        columns: impl Columns + 'a,
    ) {
        self.statements.push(statement);
        self.run(statement, Plan::Once, expect, columns);
    }

    /// The same for a statement that is planned anew each time: joined with an array, the table's
    /// present size decides how (`session.rs`).
    pub(super) fn send_planned(
        &mut self,
        statement: Statement,
        expect: Expect,
        columns: impl Columns + 'a,
    ) {
        self.run(statement, Plan::Anew, expect, columns);
    }

    fn run(
        &mut self,
        statement: Statement,
        plan: Plan,
        expect: Expect,
        columns: impl Columns + 'a,
    ) {
        let (session, account) = (self.session, self.account);
        let run = async move {
            let parameters = columns.after(&account);
            let written = match plan {
                Plan::Once => session.execute(statement, &parameters).await?,
                Plan::Anew => session.execute_planned(statement, &parameters).await?,
            };
            match expect {
                Expect::Rows(rows) if usize::try_from(written) != Ok(rows) => {
                    let what = statement.sql.lines().next().unwrap_or_default();
                    Err(Error::Unreadable(format!("{what}: {written} rows instead of {rows}")))
                }
                Expect::Rows(_) | Expect::Any => Ok(()),
            }
        };
        self.runs.push(run.boxed());
    }

    /// Sends all of it and waits until all of it is done.
    pub(super) async fn finish(self) -> Result<(), Error> {
        // A statement that had to be prepared first would be overtaken by those behind it.
        try_join_all(self.statements.iter().map(|s| self.session.prepare(*s))).await?;
        // Each is sent when it is first polled, and they are first polled in this order.
        try_join_all(self.runs).await.map(drop)
    }
}

/// Parameters after the account.
pub(super) trait Columns: Send + Sync {
    /// All parameters, the account first.
    fn after<'b>(&'b self, account: &'b i64) -> Vec<&'b (dyn ToSql + Sync)>;
}

macro_rules! columns {
    ($($name:ident)+) => {
        #[expect(non_snake_case, reason = "the type parameters name the values too")]
        impl<$($name: ToSql + Send + Sync),+> Columns for ($($name,)+) {
            fn after<'b>(&'b self, account: &'b i64) -> Vec<&'b (dyn ToSql + Sync)> {
                let ($($name,)+) = self;
                vec![account, $($name),+]
            }
        }
    };
}

columns!(A);
columns!(A B);
columns!(A B C);
columns!(A B C D);
columns!(A B C D E);
columns!(A B C D E F);
columns!(A B C D E F G);
columns!(A B C D E F G H);
columns!(A B C D E F G H I);
columns!(A B C D E F G H I J);
columns!(A B C D E F G H I J K);
