//! What an operator of PostgreSQL relies on beside what holds on either store, which the tests of
//! the other topics try on both.

mod beside;
mod failures;
mod outage;
mod passwords;
mod start;

use meishi_test_postgres::{Cluster, Database};
use tokio::runtime::Builder;
use tokio_postgres::NoTls;

/// What every password here has in it, encoded or not, and nothing else.
const PASSWORD: &str = "Geheimnis";

/// A PostgreSQL of a test's own that asks for a password, with a database of one role's.
struct Guarded {
    cluster: Cluster,
    database: Database,
}

impl Guarded {
    fn start() -> Self {
        let hba = "local all meishi trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        let cluster = Cluster::start(&[], &[("pg_hba.conf", hba)]);
        let database = cluster.create_database();
        let role = format!("CREATE ROLE anna LOGIN PASSWORD '{PASSWORD}@Wort'");
        let owner = format!("ALTER DATABASE {} OWNER TO anna", database.name());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(database.url(), NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&format!("{role}; {owner}")).await.unwrap();
        });
        Self { cluster, database }
    }

    /// The URL with the role and its password.
    fn url(&self) -> String {
        self.url_with(&format!("{PASSWORD}%40Wort"), self.database.name())
    }

    fn url_with(&self, password: &str, database: &str) -> String {
        format!("postgres://anna:{password}@127.0.0.1:{}/{database}", self.cluster.port())
    }
}
