//! Against a server: whom it trusts, and what is said when nothing comes of it.

use std::{net::TcpListener, sync::OnceLock};

use meishi_test_postgres::{Cluster, Database};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

const NAME: &str = "db.meishi.test";

/// A server with TLS whose role `anna` needs the password `hunter2`.
struct Secure {
    cluster: Cluster,
    directory: TempDir,
}

impl Secure {
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Secure> = OnceLock::new();
        SHARED.get_or_init(|| {
            let (authority, issuer) = make_authority();
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            let secure = Self::start(&certificate.pem(), &key.serialize_pem(), &authority);
            std::fs::write(secure.file("other.pem"), make_authority().0).unwrap();
            secure
        })
    }

    fn start(certificate: &str, key: &str, authority: &str) -> Self {
        let access = "local all all trust\n\
                      host all anna 127.0.0.1/32 scram-sha-256\n\
                      host all meishi 127.0.0.1/32 trust\n";
        let cluster = Cluster::start(
            &[("ssl", "on"), ("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")],
            &[("server.crt", certificate), ("server.key", key), ("pg_hba.conf", access)],
        );
        let secure = Self { cluster, directory: tempfile::tempdir().unwrap() };
        std::fs::write(secure.file("ca.pem"), authority).unwrap();
        secure
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A URL of the server under a name that no resolver need know.
    fn url(&self, user: &str, name: &str, query: &str) -> String {
        let port = self.cluster.port();
        format!("postgres://{user}@{name}:{port}/postgres?hostaddr=127.0.0.1&{query}")
    }
}

/// A certificate authority, as PEM and as what signs.
fn make_authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

/// Whether the connection of a URL is encrypted.
async fn encrypted(url: &str) -> Result<bool, OpenError> {
    let url = DatabaseUrl::parse(url)?;
    let (client, _task) = url.connect().await?;
    check_server(&url, &client).await?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(sql, &[]).await.unwrap().get(0))
}

async fn failure(url: &str) -> String {
    let error = encrypted(url).await.expect_err(url);
    let text = error.to_string();
    assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{text}");
    assert!(!text.contains('\n') && text.len() < 400, "one sentence: {text}");
    text
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[tokio::test]
async fn tls_is_verified_as_far_as_the_url_says() {
    let server = Secure::shared();
    let ca = server.file("ca.pem");
    for (name, query) in [
        (NAME, format!("sslmode=verify-full&sslrootcert={ca}")),
        ("other.test", format!("sslmode=verify-ca&sslrootcert={ca}")),
        ("other.test", format!("sslmode=require&sslrootcert={ca}")),
        ("other.test", "sslmode=require".to_owned()),
        ("other.test", "sslmode=prefer".to_owned()),
        ("other.test", String::new()),
    ] {
        let url = server.url("meishi", name, &query);
        assert!(encrypted(&url).await.unwrap_or_else(|error| panic!("{url}: {error}")), "{url}");
    }
    assert!(!encrypted(&server.url("meishi", NAME, "sslmode=disable")).await.unwrap());

    let other = server.file("other.pem");
    for (name, query, words) in [
        ("other.test", format!("sslmode=verify-full&sslrootcert={ca}"), "alternative names"),
        (NAME, format!("sslmode=verify-full&sslrootcert={other}"), "not signed by one"),
        (NAME, format!("sslmode=verify-ca&sslrootcert={other}"), "not signed by one"),
        (NAME, format!("sslmode=require&sslrootcert={other}"), "not signed by one"),
    ] {
        let text = failure(&server.url("meishi", name, &query)).await;
        says(&text, &[words, "sslrootcert", "--database"]);
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_it_is_the_root() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let server = Secure::start(&certificate, &key.serialize_pem(), &certificate);
    let query = format!("sslmode=verify-full&sslrootcert={}", server.file("ca.pem"));
    assert!(encrypted(&server.url("meishi", NAME, &query)).await.unwrap());
    let text = failure(&server.url("meishi", "other.test", &query)).await;
    says(&text, &["alternative names"]);
}

#[tokio::test]
async fn a_server_without_tls_is_taken_only_where_that_is_allowed() {
    let database = Cluster::shared().create_database();
    let url = |mode| format!("{}?sslmode={mode}", database.tcp_url());
    assert!(!encrypted(&url("prefer")).await.unwrap());
    assert!(!encrypted(&url("disable")).await.unwrap());
    says(&failure(&url("require")).await, &["does not support TLS", "sslmode"]);
    assert!(!encrypted(&format!("{}?sslmode=require", database.url())).await.unwrap(), "a socket");
}

#[tokio::test]
async fn passwords_are_checked_and_never_shown() {
    let server = Secure::shared();
    let admin = DatabaseUrl::parse(&server.url("meishi", NAME, "")).unwrap();
    let (client, _task) = admin.connect().await.unwrap();
    for sql in ["CREATE ROLE anna LOGIN PASSWORD 'hunter2'", "CREATE DATABASE annas OWNER anna"] {
        client.batch_execute(sql).await.unwrap();
    }
    let annas = |credentials: &str, query: &str| {
        server.url(credentials, NAME, &format!("dbname=annas&{query}"))
    };

    assert!(encrypted(&annas("anna:hunter2", "channel_binding=require")).await.unwrap());
    assert!(!encrypted(&annas("anna", "password=hunter2&sslmode=disable")).await.unwrap());

    let text = failure(&annas("anna:hunter22", "")).await;
    says(&text, &["postgres://anna@", "password authentication failed", "--database"]);
    let text = failure(&annas("anna", "")).await;
    says(&text, &["asks for a password", "--database"]);
    let text = failure(&annas("nobody:hunter2", "")).await;
    says(&text, &["refuses the connection", "--database"]);
    let text = failure(&server.url("meishi", NAME, "dbname=missing")).await;
    says(&text, &["/missing does not exist", "CREATE DATABASE"]);
    // Not her own, where since version 15 only the owner may make tables.
    let text = failure(&server.url("anna:hunter2", NAME, "")).await;
    says(&text, &["role anna may not create tables", "grant it CREATE"]);
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let database = Cluster::shared().create_database();
    let (client, _task) = DatabaseUrl::parse(database.url()).unwrap().connect().await.unwrap();
    let latin = format!("{}_latin", database.name());
    let sql = format!("CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    client.batch_execute(&sql).await.unwrap();
    let text = failure(&database.url().replace(database.name(), &latin)).await;
    client.batch_execute(&format!("DROP DATABASE {latin}")).await.unwrap();
    says(&text, &["encoding is LATIN1", "ENCODING 'UTF8'"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = failure(&format!("postgres://u:hunter2@{closed}/m")).await;
    says(
        &text,
        &[&format!("postgres://u@{closed}/m"), "connection is refused", "start its server"],
    );

    let text = failure("postgres://u:hunter2@no-such-host.invalid/m").await;
    says(&text, &["host's name is not known", "--database"]);
    let text = failure("postgres://u:hunter2@%2Fno%2Fsuch%2Fdirectory/m").await;
    says(&text, &["no such socket"]);

    // One that takes the connection and then says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let text = failure(&format!("postgres://u:hunter2@{address}/m?connect_timeout=1")).await;
    says(&text, &["does not answer"]);

    // One that is no database at all.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    std::thread::spawn(move || drop(web.accept()));
    let text = failure(&format!("postgres://u:hunter2@{address}/m")).await;
    says(&text, &["closed the connection"]);
}

#[tokio::test]
async fn the_next_host_is_tried() {
    let database: Database = Cluster::shared().create_database();
    let cluster = Cluster::shared();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!(
        "postgres://meishi@{closed},{}:{}/{}",
        cluster.host(),
        cluster.port(),
        database.name()
    );
    assert!(!encrypted(&url).await.unwrap());
}
