//! The schema, brought up to date in one transaction by one server at a time.
//!
//! To change it: add `migrations/postgres/NNNN_what.sql` and its line to `MIGRATIONS`. A migration
//! that was released is never edited.

use tokio_postgres::{Client, IsolationLevel};

use super::{
    connect::{self, DatabaseUrl},
    lock,
};
use crate::OpenError;

/// The migrations, in order; the schema's number is how many were run.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_spine.sql"),
];

/// Where the schema's number is kept.
const SCHEMA: &str = "CREATE TABLE meishi_schema (
  one bigint PRIMARY KEY CHECK (one = 1),
  version bigint NOT NULL
)";

/// The newest schema that this version knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Makes or migrates the tables. `database_id` is the identity of a database that is empty yet.
pub(crate) async fn run(
    client: &mut Client,
    url: &DatabaseUrl,
    database_id: &str,
) -> Result<(), OpenError> {
    run_all(&MIGRATIONS, client, url, database_id).await
}

async fn run_all(
    migrations: &[&str],
    client: &mut Client,
    url: &DatabaseUrl,
    database_id: &str,
) -> Result<(), OpenError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let failed = |error: tokio_postgres::Error| connect::open_error(url, &error);
    // Servers that start together need not wait for each other when there is nothing to do.
    let mut found = version(client).await.map_err(failed)?;
    if found < known {
        // What others did while it waited for the lock must be seen, whatever is the default here.
        let begin = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
        let transaction = begin.start().await.map_err(failed)?;
        let wait = format!("SELECT pg_advisory_xact_lock({})", lock::SCHEMA);
        transaction.batch_execute(&wait).await.map_err(failed)?;
        found = version(&transaction).await.map_err(failed)?;
        if found < known {
            migrate(&transaction, migrations, found, database_id).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            return Ok(());
        }
    }
    if found > known {
        return Err(OpenError::Newer { database: url.to_string(), found, known });
    }
    Ok(())
}

/// The schema's number, 0 where there is none.
async fn version(
    client: &impl tokio_postgres::GenericClient,
) -> Result<i64, tokio_postgres::Error> {
    // `to_regclass` alone answers from what its connection has cached. Reading a table makes it look
    // anew, and so see what another server made while this one waited for it.
    let there = "SELECT 1 FROM pg_class WHERE oid = to_regclass('meishi_schema')";
    if client.query_typed(there, &[]).await?.is_empty() {
        return Ok(0);
    }
    let rows = client.query_typed("SELECT version FROM meishi_schema", &[]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

async fn migrate(
    transaction: &tokio_postgres::Transaction<'_>,
    migrations: &[&str],
    found: i64,
    database_id: &str,
) -> Result<(), tokio_postgres::Error> {
    use tokio_postgres::types::Type;
    let run = usize::try_from(found).unwrap_or(0);
    if found == 0 {
        transaction.batch_execute(SCHEMA).await?;
    }
    for migration in migrations.iter().skip(run) {
        transaction.batch_execute(migration).await?;
    }
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if found == 0 {
        transaction
            .execute_typed(
                "INSERT INTO databases (one, id, epoch) VALUES (1, $1, 1)",
                &[(&database_id, Type::TEXT)],
            )
            .await?;
        transaction
            .execute_typed(
                "INSERT INTO meishi_schema (one, version) VALUES (1, $1)",
                &[(&known, Type::INT8)],
            )
            .await?;
    } else {
        transaction
            .execute_typed("UPDATE meishi_schema SET version = $1", &[(&known, Type::INT8)])
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use meishi_test_postgres::Cluster;

    use super::*;

    const FIRST: &str = "CREATE TABLE databases (one bigint, id text, epoch bigint)";
    const SECOND: &str = "ALTER TABLE databases ADD COLUMN note text DEFAULT 'new'";

    async fn note(client: &Client) -> Option<String> {
        let row = client.query_one("SELECT id, to_jsonb(d)->>'note' FROM databases d", &[]).await;
        let row = row.unwrap();
        assert_eq!(row.get::<_, &str>(0), "a");
        row.get(1)
    }

    #[tokio::test]
    async fn an_upgrade_keeps_the_rows_and_one_that_fails_leaves_all_as_it_was() {
        let database = Cluster::shared().create_database();
        let url = DatabaseUrl::parse(database.url()).unwrap();
        let (mut client, _connection) = url.connect().await.unwrap();
        run_all(&["no such statement"], &mut client, &url, "a").await.unwrap_err();
        assert_eq!(version(&client).await.unwrap(), 0);

        run_all(&[FIRST], &mut client, &url, "a").await.unwrap();
        let failure = run_all(&[FIRST, SECOND, "no such statement"], &mut client, &url, "b").await;
        assert!(matches!(failure, Err(OpenError::Failed { .. })), "{failure:?}");
        assert_eq!((version(&client).await.unwrap(), note(&client).await), (1, None));

        run_all(&[FIRST, SECOND], &mut client, &url, "c").await.unwrap();
        let upgraded = (version(&client).await.unwrap(), note(&client).await);
        assert_eq!(upgraded, (2, Some("new".to_owned())));
        let old = run_all(&[FIRST], &mut client, &url, "d").await;
        assert!(matches!(old, Err(OpenError::Newer { found: 2, known: 1, .. })), "{old:?}");
    }
}
