//! The optional account id in the path (`livedesk-wire.md` 9.1): one layer takes it out before
//! routing, so that each route exists and is documented once.

use axum::{
    extract::Request,
    http::{Uri, request::Parts, uri::PathAndQuery},
};
use meishi_contacts::AccountId;

const PREFIX: &str = "/api/v2/accounts/";

/// The account that the path named; `None` for digits that are no possible id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathAccount(pub Option<AccountId>);

/// Takes `{account_id}` out of `/api/v2/accounts/{account_id}/…` and remembers it.
pub fn take_account(mut request: Request) -> Request {
    if let Some((account, uri)) = split(request.uri()) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(account);
    }
    request
}

/// The path of a request as its caller wrote it, account included.
pub fn asked(parts: &Parts) -> String {
    let path = parts.uri.path();
    let named = parts.extensions.get::<PathAccount>().and_then(|named| named.0);
    match (named, path.strip_prefix(PREFIX)) {
        (Some(account), Some(rest)) => format!("{PREFIX}{account}/{rest}"),
        _ => path.to_owned(),
    }
}

fn split(uri: &Uri) -> Option<(PathAccount, Uri)> {
    let (digits, _) = uri.path().strip_prefix(PREFIX)?.split_once('/')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest = uri.path_and_query()?.as_str().get(PREFIX.len() + digits.len() + 1..)?;
    let path = PathAndQuery::try_from([PREFIX, rest].concat()).ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Some((PathAccount(AccountId::parse(digits)), Uri::from_parts(parts).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_after_accounts_are_the_account_and_anything_else_stays() {
        let split = |path: &str| {
            split(&path.parse().unwrap()).map(|(account, uri)| (account.0, uri.to_string()))
        };
        assert_eq!(
            split("/api/v2/accounts/17/contacts?q=a%20b"),
            Some((Some(AccountId(17)), "/api/v2/accounts/contacts?q=a%20b".into()))
        );
        assert_eq!(
            split("/api/v2/accounts/17/?a=/b?c"),
            Some((Some(AccountId(17)), "/api/v2/accounts/?a=/b?c".into()))
        );
        assert_eq!(
            split("/api/v2/accounts/99999999999999999999/contacts/1"),
            Some((None, "/api/v2/accounts/contacts/1".into()))
        );
        for path in ["/api/v2/accounts/contacts/17", "/api/v2/accounts/17", "/api/v1/accounts/17/x"]
        {
            assert_eq!(split(path), None, "{path}");
        }
    }
}
