//! How often a query waits for the database.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect is to stop there"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use meishi_contacts::{Query, Slice, TextQuery, limits::FOLLOW_EVENTS, order::DEFAULT_ORDER};
use meishi_store::Include;
use meishi_test_postgres::{Cluster, Database};
use rstest::rstest;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::app::{Tenant, TestApp};

/// Stands before the server and counts how often it is asked something. It ends with the runtime.
struct Relay {
    address: SocketAddr,
    trips: Arc<AtomicUsize>,
}

impl Relay {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let trips = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&trips);
        tokio::spawn(async move {
            let cluster = Cluster::shared();
            while let Ok((client, _)) = listener.accept().await {
                #[expect(clippy::disallowed_methods, reason = "a relay connects")]
                let server = TcpStream::connect((cluster.host(), cluster.port())).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&counted)));
            }
        });
        Self { address, trips }
    }

    /// The URL of a database by way of it.
    fn url(&self, database: &Database) -> String {
        format!("postgres://meishi@{}/{}", self.address, database.name())
    }

    /// The trips since the last call.
    fn trips(&self) -> usize {
        self.trips.swap(0, Ordering::SeqCst)
    }
}

/// A trip is whatever is asked until the server says something.
async fn carry(mut client: TcpStream, mut server: TcpStream, trips: Arc<AtomicUsize>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut is_asking = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                if !std::mem::replace(&mut is_asking, true) {
                    trips.fetch_add(1, Ordering::SeqCst);
                }
                server.write_all(asked.get(..read).unwrap_or_default()).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                is_asking = false;
                if client.write_all(answered.get(..read).unwrap_or_default()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// How many contacts a server finds, without reading their rows.
async fn anna(server: &Tenant) -> u64 {
    let query = Query {
        text: TextQuery::parse("anna"),
        labels: Vec::new(),
        filter: None,
        resolved: false,
        order: DEFAULT_ORDER.to_vec(),
        after: None,
        slice: Slice { offset: 0, limit: 0 },
    };
    let page = server.app.directory.page(server.id, query, Include::Nothing).await;
    page.unwrap().total
}

/// What another server wrote is there after as many trips as are waited for anyway, unless it wrote
/// very much.
#[rstest]
#[case::nothing(0, 1)]
#[case::a_contact(1, 1)]
#[case::as_much_as_is_applied_at_once(FOLLOW_EVENTS, 1)]
#[case::more(FOLLOW_EVENTS + 1, 2)]
#[tokio::test]
async fn an_index_is_current_within_one_trip(#[case] written: usize, #[case] trips: usize) {
    let app = TestApp::start().await;
    let writer = app.administrator().await;
    let relay = Relay::start().await;
    let reader = app.on(app.second_server_by(|database| relay.url(database)).await);
    // Once for the index, and once more for each statement.
    writer.contact(json!({ "name": "Anna" })).await;
    assert_eq!(anna(&reader).await, 1);
    for _ in 0..=FOLLOW_EVENTS {
        writer.contact(json!({ "name": "Anna" })).await;
    }
    let before = anna(&reader).await;
    relay.trips();
    for _ in 0..written {
        writer.contact(json!({ "name": "Anna" })).await;
    }
    assert_eq!(anna(&reader).await, before + written as u64);
    assert_eq!(relay.trips(), trips);
}
