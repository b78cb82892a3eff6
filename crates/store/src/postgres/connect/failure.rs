//! What keeps a PostgreSQL database from being opened, as one sentence that says what to do.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use tokio_postgres::{
    Client,
    error::{DbError, SqlState},
};

use super::{DatabaseUrl, tls};
use crate::OpenError;

/// The oldest server that the statements are tested with.
const OLDEST: i32 = 15;

/// What the driver says, as a sentence.
pub(crate) fn open_error(url: &DatabaseUrl, error: &tokio_postgres::Error) -> OpenError {
    if let Some(error) = error.as_db_error() {
        return refused(url, error);
    }
    let database = url.to_string();
    if let Some(error) = cause::<rustls::Error>(error) {
        return OpenError::Tls { database, reason: tls::reason(error) };
    }
    let said = error.to_string();
    let reason = error.source().map_or_else(|| said.clone(), ToString::to_string);
    match cause::<io::Error>(error) {
        // The driver's errors have no public kind, only a text for each.
        None | Some(_) if said == "error performing TLS handshake" => {
            OpenError::Tls { database, reason }
        }
        Some(error) => OpenError::Unreachable { database, reason: unreachable(url, error) },
        None if reason == "password missing" => {
            OpenError::Refused { database, reason: "it asks for a password".to_owned() }
        }
        None => OpenError::Failed { database, reason },
    }
}

/// The database took too long.
pub(super) fn no_answer(url: &DatabaseUrl) -> OpenError {
    OpenError::Unreachable { database: url.to_string(), reason: "it does not answer".to_owned() }
}

fn refused(url: &DatabaseUrl, error: &DbError) -> OpenError {
    let database = url.to_string();
    let reason = error.message().to_owned();
    match *error.code() {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            OpenError::Refused { database, reason }
        }
        SqlState::INVALID_CATALOG_NAME => OpenError::NoDatabase { database },
        SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
            OpenError::Unreachable { database, reason }
        }
        SqlState::INSUFFICIENT_PRIVILEGE => may_not_create(database, reason),
        _ => OpenError::Failed { database, reason },
    }
}

fn unreachable(url: &DatabaseUrl, error: &io::Error) -> String {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "the connection is refused",
        ErrorKind::TimedOut => "it does not answer",
        ErrorKind::NotFound => "there is no such socket",
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => "it closed the connection",
        _ if error.to_string().starts_with("failed to lookup address") => {
            return match url.config().get_hosts().len() {
                1 => "the host's name is not known".to_owned(),
                _ => "a host's name is not known".to_owned(),
            };
        }
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// The first error of that type below another, also where an I/O error wraps it.
fn cause<E: Error + 'static>(error: &tokio_postgres::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|error| error.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn may_not_create(database: String, reason: String) -> OpenError {
    let remedy = "grant it CREATE on the schema".to_owned();
    OpenError::Unsuitable { database, reason, remedy }
}

/// Refuses a server that Meishi cannot work with.
pub(crate) async fn check_server(url: &DatabaseUrl, client: &Client) -> Result<(), OpenError> {
    // Where the tables are there already, another role may have made them.
    let row = client
        .query_typed_one(
            "SELECT current_setting('server_version_num')::int4 / 10000,
                    current_setting('server_encoding'), pg_is_in_recovery(), current_user::text,
                    to_regclass('databases') IS NOT NULL
                    OR coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)",
            &[],
        )
        .await
        .map_err(|error| open_error(url, &error))?;
    let read = || -> Result<(i32, String, bool, String, bool), tokio_postgres::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
    };
    let (version, encoding, standby, role, may_create) =
        read().map_err(|error| open_error(url, &error))?;
    let database = url.to_string();
    let unsuitable = |reason: String, remedy: &str| {
        Err(OpenError::Unsuitable { database: database.clone(), reason, remedy: remedy.to_owned() })
    };
    if version < OLDEST {
        return unsuitable(
            format!("its server is PostgreSQL {version}, and {OLDEST} is the oldest that will do"),
            "upgrade it",
        );
    }
    if encoding != "UTF8" {
        return unsuitable(
            format!("its encoding is {encoding}"),
            "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        );
    }
    if standby {
        return unsuitable(
            "its server is a standby and takes no writes".into(),
            "name the primary",
        );
    }
    if !may_create {
        return Err(may_not_create(
            database,
            format!("the role {role} may not create tables in its schema"),
        ));
    }
    Ok(())
}
