//! A copy that was killed, whatever happened meanwhile.

use super::*;

/// Copies and is killed every few slices, until all is there. How often that was.
async fn cut_everywhere(from: &Place, to: &Place) -> u64 {
    let mut kills = 0;
    loop {
        match run_cut(from, to, 1 + kills % 3).await {
            Some(Phase::Copying) => kills += 1,
            Some(Phase::Comparing) => {
                let (rows, done) = run_whole(from, to).await.copying();
                assert_eq!(rows, done, "nothing was copied again");
                return kills;
            }
            None => return kills,
        }
        assert!(kills < 100, "it never gets to its end");
    }
}

#[tokio::test]
async fn a_copy_into_postgresql_goes_on_after_any_kill() {
    let (source, target) = (File::filled().await, Server::new());
    let kills = cut_everywhere(&source.place(), &target.place()).await;
    assert!(kills > 3, "{kills}");
    let back = File::new();
    run_whole(&target.place(), &back.place()).await;
    assert!(back.is_the_same_as(&source));
}

#[tokio::test]
async fn a_copy_into_sqlite_goes_on_after_any_kill() {
    let (source, server, target) = (File::filled().await, Server::new(), File::new());
    run_whole(&source.place(), &server.place()).await;
    let kills = cut_everywhere(&server.place(), &target.place()).await;
    assert!(kills > 3, "{kills}");
    assert!(target.is_the_same_as(&source));
}

#[tokio::test]
async fn no_server_starts_on_half_a_copy() {
    let (source, target) = (File::filled().await, File::new());
    run_cut(&source.place(), &target.place(), 8).await.unwrap();
    let held = held(|| DataDirectory::hold(target.path())).await.unwrap();
    let Err(error) = SqliteStore::open(held, "id") else { panic!("it must be refused") };
    assert!(error.to_string().contains("run `meishi copy` again"), "{error}");
    run_whole(&source.place(), &target.place()).await;
    target.open().await.close().await;
}

#[tokio::test]
async fn a_source_that_moved_on_is_copied_anew() {
    let (source, file, server) = (File::filled().await, File::new(), Server::new());
    for to in [file.place(), server.place()] {
        for without_event in [false, true] {
            run_cut(&source.place(), &to, 9).await.unwrap();
            let store = source.open().await;
            let account = store.accounts().await.unwrap()[0].id;
            let key = store.keys(account).await.unwrap()[0].clone();
            if without_event {
                let later = key.last_used_at.map_or(NOON.0, |at| at.0) + 60_000;
                store.touch_key(account, key.id, UnixMillis(later)).await.unwrap();
            } else {
                let inbox = store.inboxes(account).await.unwrap()[0].clone();
                let credential = Credential::from_seed(&fresh_seed());
                let tenant = Tenant { store: Arc::clone(&store), account, inbox, key, credential };
                tenant.create(named("meanwhile")).await;
            }
            store.close().await;
        }
        let told = run_whole(&source.place(), &to).await;
        assert_eq!(told.copying().1, 0, "from the beginning");
    }
    let back = File::new();
    run_whole(&server.place(), &back.place()).await;
    assert!(back.is_the_same_as(&source));
}

/// The tables that are not equal.
fn different(tables: &[TableCopy]) -> Vec<&str> {
    tables.iter().filter(|table| !table.equal).map(|table| table.name).collect()
}

#[tokio::test]
async fn a_row_that_changed_in_the_target_is_found() {
    const ALTER: &str = "UPDATE contacts SET name = name || '.' WHERE id = 1";
    let (source, file, server) = (File::filled().await, File::new(), Server::new());
    for to in [file.place(), server.place()] {
        // By then the contacts are there.
        while run_cut(&source.place(), &to, 1).await.is_some() {
            let contacts = match &to {
                Place::Sqlite(_) => {
                    drop(held(|| DataDirectory::hold(file.path())).await.unwrap());
                    file.connect().execute(ALTER, []).unwrap()
                }
                Place::Postgres(_) => {
                    let altered = server.connect().await.execute(ALTER, &[]).await.unwrap();
                    usize::try_from(altered).unwrap()
                }
            };
            if contacts > 0 {
                break;
            }
        }
        let tables = copy(&source.place(), &to, &Told::default()).await.unwrap();
        assert_eq!(different(&tables), ["contacts"], "{to}");
        // Nobody takes it for a copy, and the next run begins anew.
        let told = run_whole(&source.place(), &to).await;
        assert_eq!(told.copying().1, 0);
    }
}
