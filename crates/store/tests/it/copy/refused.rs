//! What is not copied, or not copied into.

use std::thread;

use tokio::runtime::Builder;

use super::*;

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[tokio::test]
async fn a_target_with_something_in_it_is_left_alone() {
    let (source, other) = (File::filled().await, File::new());
    Tenant::new(&other.open().await, "Acme").await;
    let before = other.rows();
    let server = Server::new();
    run_whole(&other.place(), &server.place()).await;
    for to in [other.place(), server.place(), source.place()] {
        let text = match &to {
            Place::Sqlite(path) if path == source.path() => sentence(&server.place(), &to).await,
            _ => sentence(&source.place(), &to).await,
        };
        says(&text, &[&to.to_string(), "is not empty", "--to"]);
    }
    assert!(other.rows() == before);
}

#[tokio::test]
async fn a_database_is_not_copied_into_itself() {
    let (file, server) = (File::new(), Server::new());
    file.open().await.close().await;
    for place in [file.place(), server.place()] {
        says(&sentence(&place, &place).await, &["name the same database"]);
    }
}

#[tokio::test]
async fn half_a_copy_of_another_database_is_left_alone() {
    let (source, other) = (File::filled().await, File::new());
    let held = DataDirectory::hold(other.path()).unwrap();
    SqliteStore::open(held, "another id").unwrap().close().await;
    let (file, server) = (File::new(), Server::new());
    for to in [file.place(), server.place()] {
        run_cut(&source.place(), &to, 8).await.unwrap();
        says(&sentence(&other.place(), &to).await, &["unfinished copy of another database"]);
        // Nor is it copied any further.
        let nowhere = File::new();
        let text = sentence(&to, &nowhere.place()).await;
        says(&text, &["holds an unfinished copy", "finish that one first"]);
        run_whole(&source.place(), &to).await;
    }
}

#[tokio::test]
async fn a_source_that_is_not_there_is_named() {
    let (nowhere, target) = (File::new(), File::new());
    let text = sentence(&nowhere.place(), &target.place()).await;
    says(&text, &["there is no database of meishi's in sqlite:", "--from"]);
    let empty = Server::new();
    let text = sentence(&empty.place(), &target.place()).await;
    says(&text, &["there is no database of meishi's in postgres://", "--from"]);
    let missing = Place::parse("postgres://u:hunter2@no-such-host.invalid/m").unwrap();
    let text = sentence(&missing, &target.place()).await;
    says(&text, &["name is not known", "--from"]);
    assert!(!text.contains("hunter2") && !text.contains("--database"), "{text}");
}

#[tokio::test]
async fn places_are_read_and_shown_without_passwords() {
    for (text, shown) in [
        ("sqlite:data", "sqlite:data"),
        ("sqlite:/a b", "sqlite:/a b"),
        ("postgres://u:hunter2@db/m", "postgres://u@db:5432/m"),
    ] {
        assert_eq!(Place::parse(text).unwrap().to_string(), shown);
    }
    for text in ["sqlite:", "data", "mysql://u:hunter2@db/m", ""] {
        let error = Place::parse(text).unwrap_err().to_string();
        says(&error, &["sqlite:DIR", "postgres://"]);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_data_directory_in_use_is_not_copied() {
    let (source, target) = (File::filled().await, File::new());
    let store = source.open().await;
    let text = sentence(&source.place(), &target.place()).await;
    says(&text, &["is in use by another meishi process", "--from"]);
    store.close().await;
    drop(store);
    let held = DataDirectory::hold(target.path()).unwrap();
    let text = sentence(&source.place(), &target.place()).await;
    says(&text, &["is in use by another meishi process", "--to"]);
    drop(held);
    run_whole(&source.place(), &target.place()).await;
}

#[tokio::test]
async fn a_source_on_postgresql_is_locked_against_writers_and_open_to_readers() {
    let (file, source, target) = (File::filled().await, Server::new(), File::new());
    run_whole(&file.place(), &source.place()).await;
    let client = source.connect().await;
    client.batch_execute("BEGIN; UPDATE counters SET last_seq = last_seq").await.unwrap();
    let text = sentence(&source.place(), &target.place()).await;
    says(&text, &["is being written to", "stop its servers"]);
    client.batch_execute("ROLLBACK").await.unwrap();

    let told = Told { cut: Some(3), ..Told::default() };
    let (from, to) = (source.place(), target.place());
    let copying = copy(&from, &to, &told);
    let look = async || {
        let client = source.connect().await;
        client.batch_execute("SET lock_timeout = '50ms'").await.unwrap();
        let read = client.query_one("SELECT sum(last_seq)::bigint FROM counters", &[]).await;
        let written = client.execute("UPDATE counters SET last_seq = last_seq", &[]).await;
        let touched = client.execute("UPDATE api_keys SET last_used_at = 1", &[]).await;
        (read.is_ok(), written.is_ok(), touched.is_ok())
    };
    let looking = async {
        told.reached.notified().await;
        // The copy is on this thread, and so stands still meanwhile.
        thread::scope(|scope| {
            let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
            scope.spawn(move || runtime().block_on(look())).join().unwrap()
        })
    };
    let (copied, looked) = tokio::join!(copying, looking);
    assert!(copied.unwrap().iter().all(|table| table.equal));
    assert_eq!(looked, (true, false, false));
}

#[tokio::test]
async fn two_copies_into_one_database_do_not_mix() {
    let (source, target) = (File::filled().await, Server::new());
    let client = target.connect().await;
    let lock = "SELECT pg_advisory_lock(84959978258435)";
    client.execute(lock, &[]).await.unwrap();
    let text = sentence(&source.place(), &target.place()).await;
    says(&text, &["another copy into postgres://", "is running"]);
}

#[tokio::test]
async fn a_text_that_postgresql_cannot_hold_is_named() {
    let (source, target) = (File::filled().await, Server::new());
    let sql = "UPDATE labels SET title = 'a' || char(0) WHERE title = 'vip'";
    assert_eq!(source.connect().execute(sql, []).unwrap(), 1);
    let text = sentence(&source.place(), &target.place()).await;
    says(&text, &["a row of labels", "U+0000"]);
    // Once that is mended, it begins anew.
    let sql = "UPDATE labels SET title = 'vip' WHERE title = 'a' || char(0)";
    assert_eq!(source.connect().execute(sql, []).unwrap(), 1);
    run_whole(&source.place(), &target.place()).await;
}
