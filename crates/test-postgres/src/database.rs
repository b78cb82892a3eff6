//! An empty database, dropped when the test is through with it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::admin::Admin;
use crate::cluster::Urls;

/// A database of a test's own. Dropping the value drops it, whoever is still connected.
#[derive(Debug)]
#[must_use = "it is gone when it is dropped"]
pub struct Database {
    name: String,
    url: String,
    tcp_url: String,
    origin: Origin,
}

/// What makes and drops the databases of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) admin: Admin,
    pub(crate) urls: Urls,
    /// Whether the cluster ends with the tests, and its databases with it.
    pub(crate) own: bool,
}

impl Origin {
    /// Makes a database from a template that nobody is connected to.
    ///
    /// # Panics
    /// If the server does not do it.
    pub(crate) fn create(&self, template: &str) -> Database {
        static CREATED: AtomicU64 = AtomicU64::new(0);

        // Unique among the processes that share a server, and on sight among those of one test run.
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("meishi_test_{:08x}_{number}", fastrand::u32(..));
        // Copying files takes a fifth of the time, unless each has to be brought to the disk.
        let strategy = if self.own { " STRATEGY file_copy" } else { "" };
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}{strategy}");
        if let Err(error) = self.admin.execute(sql) {
            panic!("the test cannot have its database: {error}");
        }
        Database {
            url: self.urls.socket.of(&name),
            tcp_url: self.urls.tcp.of(&name),
            name,
            origin: self.clone(),
        }
    }
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it as a superuser: over the Unix socket, or as `TEST_DATABASE_URL` says.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same over TCP.
    pub fn tcp_url(&self) -> &str {
        &self.tcp_url
    }

    /// A new database with all that is in this one. Connections to this one are ended for it.
    ///
    /// # Panics
    /// If the server does not do it, as when somebody connects again at once.
    pub fn copy(&self) -> Self {
        // A connection that was just dropped may linger until the caller's runtime gets to it.
        let end = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        if let Err(error) = self.origin.admin.execute(end) {
            panic!("the test cannot copy its database: {error}");
        }
        self.origin.create(&self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let outcome = self.origin.admin.send(sql);
        // A server that outlives the tests must not be left with it. One that is gone does not
        // mind.
        if !self.origin.own {
            let _ = outcome.recv();
        }
    }
}
