//! What `meishi doctor` finds in a database.

use meishi_contacts::UnixMillis;

use super::{error::Error, migrations, row::column, session::Session};
use crate::examine::{CHECKS, Check, Finding, Severity};

/// All checks see one moment. They read whole tables, which nothing else does.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '8s';
     SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;
     SET LOCAL enable_mergejoin = on; SET LOCAL enable_bitmapscan = on;
     SET LOCAL enable_sort = on;";

/// Runs all checks.
pub(super) async fn all(session: &Session, now: UnixMillis) -> Result<Vec<Finding>, Error> {
    session.begin(BEGIN).await?;
    let mut findings = vec![schema(session).await?];
    for check in &CHECKS {
        findings.extend(run(session, check, now).await?);
    }
    Ok(findings)
}

/// Runs one check. A statement that fails is a finding too, and does not end the transaction.
async fn run(session: &Session, check: &Check, now: UnixMillis) -> Result<Vec<Finding>, Error> {
    session.batch("SAVEPOINT checking").await?;
    match session.query_slowly(&check.sql(now)).await {
        Ok(rows) => {
            let rows = rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?)));
            check.findings::<Error>(rows)
        }
        Err(error) if error.is_lost() => Err(error),
        Err(error) => {
            session.batch("ROLLBACK TO checking").await?;
            Ok(vec![check.failed(&error.to_string())])
        }
    }
}

async fn schema(session: &Session) -> Result<Finding, Error> {
    let rows = session.query_slowly("SELECT version FROM meishi_schema").await?;
    let found: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    let known = migrations::known();
    Ok(if found == known {
        Finding::ok("schema", format!("the schema is this version's ({found})"))
    } else {
        let message = format!("the schema is {found} instead of {known}");
        Finding::bad("schema", Severity::Wrong, message, "start the version that wrote it")
    })
}
