//! What arrives is what was there.

use meishi_contacts::ContactId;

use super::*;

#[tokio::test]
async fn a_database_goes_through_every_store_and_comes_back_the_same() {
    let first = File::filled().await;
    let (second, third) = (Server::new(), Server::new());
    let (fourth, fifth) = (File::new(), File::new());
    run_whole(&first.place(), &second.place()).await;
    run_whole(&second.place(), &third.place()).await;
    run_whole(&third.place(), &fourth.place()).await;
    run_whole(&fourth.place(), &fifth.place()).await;

    for (table, rows) in first.rows() {
        assert!(!rows.is_empty(), "{table} is not tested");
    }
    assert!(fourth.is_the_same_as(&first));
    assert!(fifth.is_the_same_as(&first));
    for database in [second, third] {
        let client = database.connect().await;
        let sql = "SELECT to_regclass('copies') IS NULL, (SELECT id FROM databases)";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert!(row.get::<_, bool>(0), "no marker stays");
        assert_eq!(row.get::<_, &str>(1), "the source's id");
    }
}

#[tokio::test]
async fn the_copy_is_written_on_where_the_source_stood() {
    let (source, server, target) = (File::filled().await, Server::new(), File::new());
    run_whole(&source.place(), &server.place()).await;
    run_whole(&server.place(), &target.place()).await;

    let (here, there) = (source.open().await, target.open().await);
    assert_eq!(here.database().await.unwrap(), there.database().await.unwrap());
    let accounts = here.accounts().await.unwrap();
    assert_eq!(there.accounts().await.unwrap(), accounts);
    for account in accounts {
        assert_eq!(there.counts(account.id).await.unwrap(), here.counts(account.id).await.unwrap());
        let keys = there.keys(account.id).await.unwrap();
        assert_eq!(keys, here.keys(account.id).await.unwrap());
        let mut made = Vec::new();
        for store in [&here, &there] {
            let tenant = Tenant {
                store: Arc::clone(store),
                account: account.id,
                inbox: store.inboxes(account.id).await.unwrap()[0].clone(),
                key: keys[0].clone(),
                credential: Credential::from_seed(&fresh_seed()),
            };
            let id: ContactId = tenant.create_linked("new", named("New")).await.contact.id;
            made.push((id, tenant.last_seq().await));
        }
        assert_eq!(made[0], made[1]);
    }
}

#[tokio::test]
async fn an_empty_database_is_copied_too() {
    let (source, target) = (File::new(), Server::new());
    source.open().await.close().await;
    let told = run_whole(&source.place(), &target.place()).await;
    assert_eq!(told.copying(), (1, 0), "the database's own row");
}
