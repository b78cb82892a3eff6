//! What is left in the files of a contact that was erased.

use std::{fs, path::Path, time::Duration};

use super::open;
use crate::{
    conformance::erasure::{MARKS, leave_no_trace},
    differential::tables,
};

/// Every file of the directory, byte by byte.
fn bytes(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

fn holds(bytes: &[u8], mark: &str) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_and_no_byte_of_any_file_tells_of_an_erased_contact() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    leave_no_trace(&store).await;
    for ((table, rows), _) in tables::of_sqlite(directory.path()) {
        let text = format!("{rows:?}");
        for mark in MARKS {
            assert!(!text.contains(mark), "{table} holds {mark}");
        }
        assert!(table != "deliveries" || text.contains("erased"));
    }
    // The log is emptied soon after, with the store open; then no file holds it.
    let log = directory.path().join("meishi.db-wal");
    for _ in 0..500 {
        if fs::metadata(&log).unwrap().len() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (file, bytes) in bytes(directory.path()) {
        for mark in MARKS {
            assert!(!holds(&bytes, mark), "{file} holds {mark}");
        }
        assert!(!file.ends_with("meishi.db") || holds(&bytes, "stays@example.com"));
    }
    store.close().await;
}
