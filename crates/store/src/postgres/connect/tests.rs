use std::error::Error;

use super::*;

const PASSWORD: &str = "hunter2";

fn parsed(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    DatabaseUrl::parse(text).expect_err(text).to_string()
}

/// Everything that an error can be made to show.
fn shown(error: &dyn Error) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(|error| format!("{error} {error:?}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn urls_are_shown_without_their_password() {
    for (text, display) in [
        ("postgres://anna:hunter2@db/meishi", "postgres://anna@db:5432/meishi"),
        ("postgresql://anna@db:6000/meishi", "postgres://anna@db:6000/meishi"),
        ("postgres://anna@db?password=hunter2", "postgres://anna@db:5432/anna"),
        ("postgres://anna:hunter2@[::1]:1/m", "postgres://anna@[::1]:1/m"),
        ("postgres://anna:hunter2@a:1,b:2/m", "postgres://anna@a:1,b:2/m"),
        ("postgres://a%2Fb:hunter2@%2Frun%2Fpg/m%20n", "postgres://a%2Fb@%2Frun%2Fpg:5432/m%20n"),
        ("postgres:///m?host=/run/pg&port=1&user=u", "postgres://u@%2Frun%2Fpg:1/m"),
        ("postgres:///m?hostaddr=127.0.0.1&user=u", "postgres://u@127.0.0.1:5432/m"),
        (" postgres://u:hunter2@db/m\n", "postgres://u@db:5432/m"),
    ] {
        let url = parsed(text);
        assert_eq!(url.to_string(), display, "{text}");
        assert!(!format!("{url:?}{:?}", url.config()).contains(PASSWORD), "{text}");
        assert!(DatabaseUrl::parse(display).is_ok(), "{display} can be given again");
    }
}

#[test]
fn the_password_is_decoded() {
    for text in [
        "postgres://u:%40%2f%3F%23%26%25%3A@db/m",
        "postgres://u@db/m?password=%40%2f%3F%23%26%25%3A",
        "postgres://u@db/m?password=%40%2f%3F%23%26%25%3A&sslmode=disable",
    ] {
        assert_eq!(parsed(text).config().get_password(), Some(b"@/?#&%:".as_slice()), "{text}");
    }
}

#[test]
fn no_error_repeats_a_password() {
    for text in [
        "hunter2",
        "mysql://u:hunter2@db/m",
        "host=db password=hunter2",
        "postgres:/u:hunter2@db/m",
        "postgres://u:hunter2",
        "postgres://u:hunter2@",
        "postgres://u:hunter2@db:port/m",
        "postgres://u:hunter2@db:99999/m",
        "postgres://u:p@hunter2@db/m",
        "postgres://u:p@1/hunter2@db/m",
        "postgres://u:1/hunter2@db/m",
        "postgres://u:1?hunter2=x@db/m",
        "postgres://u:hunter2?@db/m",
        "postgres://u:hunter2@[db/m",
        "postgres://u:hunter2@[::1]hunter2/m",
        "postgres://u:hunter2@db:%ff/m",
        "postgres://%ff:hunter2@db/m",
        "postgres:///m?password=p@hunter2",
        "postgres://db/m?password=p&hunter2",
        "postgres://db/m?password=p&hunter2=x",
        "postgres://db/m?password=hunter2&sslmode=loud",
        "postgres://db/m?password=hunter2&sslmode=verify-ca&sslrootcert=/no/such/file",
        "postgres://db/m?password=hunter2&connect_timeout=soon",
        "postgres://db/m?password=hunter2&sslkey=k",
        "postgres://u:hunter2@db/m?sslcert=c",
        "postgres://u:hunter2@a,b/m?port=1",
    ] {
        let error = DatabaseUrl::parse(text).expect_err(text);
        assert!(!shown(&error).contains(PASSWORD), "{text}: {error}");
        assert!(error.to_string().contains("--database"), "{text}: {error}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, reason) in [
        ("sqlite:data", "begin with postgres://"),
        ("postgres:///m", "names no host"),
        ("postgres://u@/m", "names no host"),
        ("postgres://a,b,c/m?port=1", "write each port behind its host"),
        ("postgres://u:a@b@db/m", "%40"),
        ("postgres://db:x/m", "`port`"),
        ("postgres://db/m?sslmode=loud", "`sslmode`"),
        ("postgres://db/m?sslmode", "parameter number 1 has no value"),
        ("postgres://db/m?sslmod=require", "`sslmod` is not supported"),
        ("postgres://db/m?sslcert=/c.pem", "`sslcert` is not supported"),
        ("postgres://db/m?password=x&y=z", "parameter number 2 is not supported"),
        ("postgres://db/m?tcp_user_timeout=x", "`tcp_user_timeout`"),
        ("postgres://db/m?keepalives_count=x", "`keepalives_count`"),
        ("postgres://db/m?sslrootcert=/no/such.pem", "`sslrootcert` cannot be read"),
        ("postgres://db/m?sslrootcert=/etc/hostname", "no certificate"),
        ("postgres://db/m?sslrootcert=system&sslmode=require", "`sslmode=verify-full`"),
    ] {
        let error = refused(text);
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn defaults_stand_where_the_url_is_silent() {
    let config = parsed("postgres://db/m").config().clone();
    assert_eq!(config.get_application_name(), Some("meishi"));
    assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(config.get_tcp_user_timeout(), Some(&TCP_USER_TIMEOUT));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(10));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(5)));
    assert_eq!(config.get_keepalives_retries(), Some(3));

    let given = "postgres://db/m?application_name=x&connect_timeout=0&tcp_user_timeout=1500\
                 &keepalives_idle=1&keepalives_interval=2&keepalives_count=4";
    let config = parsed(given).config().clone();
    assert_eq!(config.get_application_name(), Some("x"));
    assert_eq!(config.get_connect_timeout(), None, "0 is for ever, as libpq has it");
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(1));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(2)));
    assert_eq!(config.get_keepalives_retries(), Some(4));
}

#[test]
fn sockets_of_this_machine_go_without_tls() {
    use tokio_postgres::config::SslMode;
    let mode = |text| parsed(text).config().get_ssl_mode();
    assert_eq!(mode("postgres://%2Frun%2Fpg/m?sslmode=require"), SslMode::Disable);
    assert_eq!(mode("postgres://db/m"), SslMode::Prefer);
    assert_eq!(mode("postgres://db/m?sslmode=require"), SslMode::Require);
    assert_eq!(mode("postgres://db/m?sslmode=disable"), SslMode::Disable);
}
