//! A URL that requests can be sent to, read as a browser reads it (the WHATWG's rules): what
//! `http://0x7f.1/` or a name in Unicode means is settled here, before anything looks at it.

use std::{fmt, net::IpAddr};

use axum::http::{HeaderValue, uri::PathAndQuery};
use meishi_contacts::limits::URL_CHARS;
use url::Url;

/// A URL of http or https without user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    authority: HeaderValue,
    path: PathAndQuery,
}

/// What is wrong with a URL; the text follows the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It cannot be read, or has no host.
    #[error("is invalid")]
    Invalid,
    /// It is neither http nor https.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It has a user or a password.
    #[error("must not hold a user or password")]
    UserInfo,
    /// It has too many characters.
    #[error("is too long (maximum is {URL_CHARS} characters)")]
    TooLong,
}

/// Where a URL leads.
pub(super) enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl Target {
    /// Reads a URL. A fragment is dropped.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.chars().count() > URL_CHARS {
            return Err(TargetError::TooLong);
        }
        let mut url = Url::parse(text).map_err(|_| TargetError::Invalid)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        url.set_fragment(None);
        // Escapes and Punycode make a text longer.
        if url.as_str().len() > URL_CHARS {
            return Err(TargetError::TooLong);
        }
        let authority = match (url.host_str(), url.port()) {
            (None | Some(""), _) => return Err(TargetError::Invalid),
            (Some(host), None) => host.to_owned(),
            (Some(host), Some(port)) => format!("{host}:{port}"),
        };
        let authority = HeaderValue::try_from(authority).map_err(|_| TargetError::Invalid)?;
        let path = match url.query() {
            None => url.path().to_owned(),
            Some(query) => format!("{}?{query}", url.path()),
        };
        let path = PathAndQuery::try_from(path).map_err(|_| TargetError::Invalid)?;
        Ok(Self { url, authority, path })
    }

    /// The URL, in the form in which it is used.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn host(&self) -> Host<'_> {
        match self.url.host() {
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            Some(url::Host::Domain(name)) => Host::Name(name),
            // A URL of these schemes has a host.
            None => Host::Name(""),
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// What the header `Host` says.
    pub(super) fn authority(&self) -> HeaderValue {
        self.authority.clone()
    }

    /// What the request's first line says.
    pub(super) fn path(&self) -> PathAndQuery {
        self.path.clone()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    // Every spelling of an address is the address.
    #[case("http://0x7f.1/", "127.0.0.1", 80, "/")]
    #[case("http://2130706433", "127.0.0.1", 80, "/")]
    #[case("http://0177.0.0.1:8080/a", "127.0.0.1", 8080, "/a")]
    #[case("http://127.1/", "127.0.0.1", 80, "/")]
    #[case("http://①②⑦.0.0.1/", "127.0.0.1", 80, "/")]
    #[case("http://%31%32%37.0.0.1/", "127.0.0.1", 80, "/")]
    #[case("http://127.0.0.1./", "127.0.0.1", 80, "/")]
    #[case("http://[::1]/", "::1", 80, "/")]
    #[case("http://[::ffff:7f00:1]/", "::ffff:127.0.0.1", 80, "/")]
    #[case("https://[0:0::ffff:127.0.0.1]:1/", "::ffff:127.0.0.1", 1, "/")]
    #[case("https:example.com", "example.com", 443, "/")]
    #[case(
        "HTTPS://Example.COM:443/Hooks/%7bid%7d?a=b&c#part",
        "example.com",
        443,
        "/Hooks/%7bid%7d?a=b&c"
    )]
    #[case("https://exa\u{ad}mple.com", "example.com", 443, "/")]
    #[case("https://bücher.example/ü?ü={\"}", "xn--bcher-kva.example", 443, "/%C3%BC?%C3%BC={%22}")]
    #[case("https://a_b.example/a|b^[c]", "a_b.example", 443, "/a|b^[c]")]
    #[case("http:\\\\example.com\\a", "example.com", 80, "/a")]
    #[case(" http://exam\nple.com/a/../b ", "example.com", 80, "/b")]
    #[case("http://localhost./?", "localhost.", 80, "/?")]
    fn a_url_is_read_as_browsers_read_it(
        #[case] text: &str,
        #[case] host: &str,
        #[case] port: u16,
        #[case] path: &str,
    ) {
        let target = Target::parse(text).unwrap();
        let read = match target.host() {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.to_owned(),
        };
        assert_eq!((read.as_str(), target.port(), target.path().as_str()), (host, port, path));
        // What is kept is read the same again.
        assert_eq!(Target::parse(target.as_str()), Ok(target));
    }

    #[rstest]
    #[case("https://example.com/", "example.com")]
    #[case("https://example.com:443/", "example.com")]
    #[case("http://example.com:443/", "example.com:443")]
    #[case("http://[::1]:8080/", "[::1]:8080")]
    fn the_host_is_named_with_its_port_where_that_is_not_the_schemes(
        #[case] text: &str,
        #[case] authority: &str,
    ) {
        assert_eq!(Target::parse(text).unwrap().authority(), authority);
    }

    #[rstest]
    #[case("", TargetError::Invalid)]
    #[case("example.com/hook", TargetError::Invalid)]
    #[case("http://", TargetError::Invalid)]
    #[case("http:///", TargetError::Invalid)]
    #[case("http://a b/", TargetError::Invalid)]
    #[case("http://256.1.1.1/", TargetError::Invalid)]
    #[case("http://[::1/", TargetError::Invalid)]
    #[case("http://[fe80::1%25eth0]/", TargetError::Invalid)]
    #[case("http://example.com:65536/", TargetError::Invalid)]
    #[case("javascript:alert(1)", TargetError::Scheme)]
    #[case("ftp://example.com/", TargetError::Scheme)]
    #[case("file:///etc/passwd", TargetError::Scheme)]
    #[case("unix:/run/docker.sock", TargetError::Scheme)]
    #[case("http://anna@example.com/", TargetError::UserInfo)]
    #[case("https://anna:secret@example.com/", TargetError::UserInfo)]
    #[case("https://:secret@example.com/", TargetError::UserInfo)]
    fn what_is_no_target_is_refused_and_says_why(#[case] text: &str, #[case] error: TargetError) {
        assert_eq!(Target::parse(text), Err(error), "{text}");
    }

    #[test]
    fn a_url_has_as_many_characters_as_any_other() {
        let url = |length: usize| format!("https://example.com/{}", "a".repeat(length - 20));
        assert!(Target::parse(&url(URL_CHARS)).is_ok());
        assert_eq!(Target::parse(&url(URL_CHARS + 1)), Err(TargetError::TooLong));
        let escaped = format!("https://example.com/{}", "ü".repeat(URL_CHARS - 20));
        assert_eq!(Target::parse(&escaped), Err(TargetError::TooLong));
    }
}
