//! The fixture itself: its databases are apart, and nothing of it outlives the tests.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it does not expect is to stop there"
)]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use meishi_test_postgres::{Cluster, PgBouncer};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn databases_are_empty_apart_and_dropped() {
    let one = Cluster::shared().create_database();
    let two = Cluster::shared().create_database();
    let client = connect(one.url()).await;
    client.batch_execute("CREATE TABLE t AS SELECT 7::int8 AS n").await.unwrap();
    assert_eq!(number(&client, "SELECT n FROM t").await, 7);
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let other = connect(two.tcp_url()).await;
    assert_eq!(number(&other, tables).await, 0);

    // Dropped although `client` is connected: seen once another statement has been through.
    let name = one.name().to_owned();
    drop(one);
    let _ = Cluster::shared().create_database();
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(number(&other, &left).await, 0);
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test]
async fn a_copy_holds_what_the_database_held() {
    let template = Cluster::shared().create_database();
    let client = connect(template.url()).await;
    client.batch_execute("CREATE TABLE t AS SELECT 7::int8 AS n").await.unwrap();
    thread::scope(|scope| {
        let copies: Vec<_> = (0..4).map(|_| scope.spawn(|| template.copy())).collect();
        for copy in copies.into_iter().map(|copy| copy.join().unwrap()) {
            assert_ne!(copy.name(), template.name());
        }
    });
    let copy = template.copy();
    assert_eq!(number(&connect(copy.url()).await, "SELECT n FROM t").await, 7);
}

#[tokio::test]
async fn a_cluster_has_its_settings_and_comes_back_after_it_was_gone() {
    let cluster = Cluster::start(&[("fsync", "on"), ("work_mem", "5MB")], &[("hello", "hi")]);
    let database = cluster.create_database();
    let client = connect(database.url()).await;
    let settings = "SELECT current_setting('fsync') || current_setting('work_mem') \
                    || pg_read_file('hello')";
    let row = client.query_one(settings, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "on5MBhi");

    for end in [Cluster::stop, Cluster::crash] {
        end(&cluster);
        let port = cluster.port();
        let refused = tokio_postgres::connect(database.tcp_url(), NoTls).await;
        assert!(refused.is_err(), "nobody should listen on {port}");
        cluster.resume();
        let client = connect(database.tcp_url()).await;
        assert_eq!(number(&client, "SELECT 1::int8").await, 1);
        assert_eq!(cluster.port(), port);
    }
    drop(cluster.create_database());
    drop(cluster);
    // Its server is gone: dropping it now must not fail.
    drop(database);
}

#[tokio::test]
async fn clients_of_pgbouncer_share_connections() {
    let database = Cluster::shared().create_database();
    let pooler = PgBouncer::start(&database);
    let mut backends = HashSet::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let client = connect(pooler.url()).await;
        // Not prepared: a prepared statement would not be there in the next transaction.
        let rows = client.simple_query("SELECT pg_backend_pid()").await.unwrap();
        let pid = rows.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
            _ => None,
        });
        backends.insert(pid.unwrap());
        clients.push(client);
    }
    assert!(backends.len() <= 3, "{backends:?}");

    let url = pooler.url().to_owned();
    drop(pooler);
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
}

/// How long a server may take to be gone after its tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Not a test: the process that the next one kills. It tells where its servers live, and waits.
#[test]
#[ignore = "started by another test, as a process of its own"]
fn victim() {
    let database = Cluster::shared().create_database();
    let cluster = Cluster::start(&[], &[]);
    println!("\nurl {}\nurl {}", database.url(), cluster.create_database().url());
    thread::sleep(PATIENCE);
}

#[test]
fn servers_end_and_leave_nothing_when_the_tests_are_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "victim"])
        .env_remove("TEST_DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let servers: Vec<Server> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .filter_map(|line| line.unwrap().strip_prefix("url ").map(Server::of))
        .take(2)
        .collect();
    assert_eq!(servers.len(), 2, "the victim should tell of two servers");
    assert!(servers.iter().all(|server| server.process_runs() && server.directory.exists()));

    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    while servers.iter().any(|server| server.process_runs() || server.directory.exists()) {
        assert!(killed.elapsed() < PATIENCE, "still there: {servers:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A server of another process.
#[derive(Debug)]
struct Server {
    directory: PathBuf,
    process: String,
}

impl Server {
    fn of(url: &str) -> Self {
        let config: Config = url.parse().unwrap();
        let [Host::Unix(directory)] = config.get_hosts() else { panic!("no socket in {url}") };
        let lock = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        Self { directory: directory.clone(), process: lock.lines().next().unwrap().to_owned() }
    }

    fn process_runs(&self) -> bool {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -0 \"$1\"", "sh", &self.process]).stderr(Stdio::null());
        kill.status().unwrap().success()
    }
}
