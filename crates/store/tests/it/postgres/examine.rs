//! What an examination finds in a database.

use meishi_test_postgres::Cluster;
use tokio_postgres::NoTls;

use super::open;
use crate::conformance::{
    damage::{DAMAGES, fill, found_at},
    fields::NOON,
};

#[tokio::test]
async fn each_damage_is_found_and_nothing_else() {
    let sound = Cluster::shared().create_database();
    let store = open(sound.url()).await.unwrap();
    let account = fill(&store).await.account;
    store.close().await;
    for damage in &DAMAGES {
        let damaged = sound.copy();
        let statement = damage.of(account);
        let (client, connection) = tokio_postgres::connect(damaged.url(), NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        // Foreign keys are not enforced then.
        client.batch_execute("SET session_replication_role = replica").await.unwrap();
        let changed = client.execute(&statement, &[]).await.unwrap();
        assert!(changed > 0, "{statement}");
        drop(client);
        connection.await.unwrap().unwrap();

        let store = open(damaged.url()).await.unwrap();
        let found = found_at(store.as_ref(), NOON, Some(account)).await;
        assert_eq!(found, damage.expected(), "{statement}");
        store.close().await;
    }
}
