//! What is left in the tables of a contact that was erased.

use super::{connect, make_store};
use crate::conformance::erasure::{MARKS, leave_no_trace};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_tells_of_an_erased_contact() {
    let (store, database) = make_store().await;
    leave_no_trace(&store).await;
    let client = connect(database.url()).await;
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let tables = client.query(tables, &[]).await.unwrap();
    assert!(tables.len() > 15);
    for table in tables {
        let table: &str = table.get(0);
        let rows = client.query(&format!("SELECT t::text FROM {table} AS t"), &[]).await.unwrap();
        let text: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let text = text.concat();
        for mark in MARKS {
            assert!(!text.contains(mark), "{table} holds {mark}");
        }
        assert!(table != "deliveries" || text.contains("erased"));
        assert!(table != "contacts" || text.contains("stays@example.com"));
    }
    store.close().await;
}
