//! What proxies tell of the caller: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Each proxy adds the address that called it at the right. What stands left of the first address
//! that is no trusted proxy was written by whoever has that address, and counts for nothing.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller in front of the trusted proxies, as the headers of a trusted proxy tell it: the
/// right-most address that is not trusted, or the left-most where all are.
///
/// `None` where they do not tell, or tell nonsense. So it is too where both headers are there and
/// lead to different callers: a proxy writes one of them and may pass on the other as the caller
/// sent it, and nothing shows which is which.
pub(super) fn caller(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let told = |name: HeaderName, read: fn(&str) -> Vec<Option<IpAddr>>| {
        headers.contains_key(&name).then(|| {
            let lines = headers.get_all(name).iter().rev();
            first_untrusted(lines.flat_map(|line| read(text(line)).into_iter().rev()), &is_trusted)
        })
    };
    match (told(header::FORWARDED, forwarded), told(X_FORWARDED_FOR, x_forwarded_for)) {
        (Some(one), Some(other)) => one.filter(|_| one == other),
        (one, other) => one.or(other).flatten(),
    }
}

/// Walks from right to left until somebody is not trusted, or an address cannot be read.
fn first_untrusted(
    nodes: impl Iterator<Item = Option<IpAddr>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut furthest = None;
    for node in nodes {
        let address = node?;
        furthest = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    furthest
}

/// The text of a header; one that is none tells as much as the word of RFC 7239.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("unknown")
}

/// The addresses in one line of `X-Forwarded-For`; `None` for each that is none.
fn x_forwarded_for(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(node).collect()
}

/// The addresses in one line of `Forwarded`; `None` for each that is none or hidden.
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    pieces(line, ',').filter(|element| !element.is_empty()).map(for_of).collect()
}

/// The address under the one `for` of an element. All of the element must be well-formed: a caller
/// that leaves a quote open could make a proxy's own words a part of its element otherwise.
fn for_of(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in pieces(element, ';').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return None;
        }
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    node(&found?)
}

/// The trimmed pieces between separators that stand outside of quotes.
fn pieces(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let pieces = text.split(move |character| {
        let is_plain = !std::mem::take(&mut escaped);
        escaped = is_plain && quoted && character == '\\';
        quoted ^= is_plain && character == '"';
        !quoted && character == separator
    });
    pieces.map(str::trim)
}

/// A token as it is, a quoted string without its quotes; `None` for anything else.
fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        let is_foreign = |character: char| character.is_whitespace() || "\"\\".contains(character);
        return (!value.is_empty() && !value.contains(is_foreign)).then(|| value.to_owned());
    };
    let (mut text, mut rest) = (String::new(), inner.chars());
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(text),
            '\\' => text.push(rest.next()?),
            character => text.push(character),
        }
    }
}

/// An address, with or without a port, IPv6 with or without brackets; `None` for anything else,
/// `unknown` and hidden names (`_x7`) among it.
fn node(text: &str) -> Option<IpAddr> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (IpAddr::V6(address), port)
        }
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => (address.parse().ok()?, Some(port)),
            _ => (text.parse().ok()?, None),
        },
    };
    let is_port = |port: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !port.is_empty() && port.bytes().all(plain)
    };
    port.is_none_or(is_port).then(|| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the headers of a proxy tell when `10.0.0.0/8` and `fd00::/8` are trusted.
    fn told(lines: &[(&str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let is_trusted = |address| match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.octets()[0] == 0xfd,
        };
        caller(&headers, is_trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_right_most_address_that_is_not_trusted_counts() {
        for (value, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.9, 192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.9,192.0.2.1,10.0.0.2 , 10.0.0.3", Some("192.0.2.1")),
            ("192.0.2.1:4711, 10.0.0.2:80", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]:4711, fd00::1", Some("2001:db8::1")),
            ("::ffff:192.0.2.1, ::ffff:10.0.0.2", Some("192.0.2.1")),
            ("nonsense, 192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1, , 10.0.0.2,", Some("192.0.2.1")),
            ("10.0.0.3, 10.0.0.2", Some("10.0.0.3")),
            ("nonsense", None),
            ("192.0.2.1, unknown", None),
            ("192.0.2.1, _hidden, 10.0.0.2", None),
            ("192.0.2.1 10.0.0.2", None),
            ("192.0.2.1;10.0.0.2", None),
            ("192.0.2.256", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:80:80", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]4711", None),
            ("fe80::1%eth0", None),
            ("\"192.0.2.1\"", None),
            ("", None),
            (",", None),
        ] {
            assert_eq!(told(&[("x-forwarded-for", value)]).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (value, expected) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("For=192.0.2.1; Proto=https;by=203.0.113.43", Some("192.0.2.1")),
            ("proto=https;FOR=\"192.0.2.1:4711\"", Some("192.0.2.1")),
            ("for=\"[2001:db8:cafe::17]:4711\"", Some("2001:db8:cafe::17")),
            ("for=\"[2001:db8:cafe::17]\"", Some("2001:db8:cafe::17")),
            ("for=\"[2001:db8:cafe::17]:_port\"", Some("2001:db8:cafe::17")),
            ("for=\"[2001:db8::1]:80\";host=\"a,b;c\\\"d\", for=10.0.0.2", Some("2001:db8::1")),
            ("for=192.0.2.9, for=192.0.2.1,for=10.0.0.2", Some("192.0.2.1")),
            ("for=\"\\192.0.2.1\"", Some("192.0.2.1")),
            ("for=_hidden, for=192.0.2.1", Some("192.0.2.1")),
            ("for=\"x, for=192.0.2.9\", for=192.0.2.1", Some("192.0.2.1")),
            ("for=unknown", None),
            ("for=192.0.2.1, for=_hidden", None),
            ("for=\"_SEVKISEK\"", None),
            ("proto=https", None),
            ("for=192.0.2.1, proto=https", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=\"192.0.2.1", None),
            ("for=192.0.2.1\"", None),
            // The caller's own open quote swallows what the proxy added: nonsense, not a choice.
            ("for=\"192.0.2.9, for=192.0.2.1", None),
            ("for=192.0.2.9;x=\", for=192.0.2.1", None),
            ("for=192.0.2.9;\", for=192.0.2.1", None),
            ("for=192.0.2.9;x=\", for=\"192.0.2.1:80\"", None),
            ("for=192.0.2.9;x=\", for=192.0.2.1;host=\"a\\\"b\"", None),
            ("for=192.0.2.9;x=\", for=192.0.2.1;host=\"\"", None),
            ("for=", None),
            ("for", None),
            ("192.0.2.1", None),
            ("for = 192.0.2.1", None),
            ("", None),
        ] {
            assert_eq!(told(&[("forwarded", value)]).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn several_lines_are_one_list_and_a_bad_line_on_the_left_does_no_harm() {
        let x = "x-forwarded-for";
        assert_eq!(told(&[(x, "192.0.2.9"), (x, "192.0.2.1, 10.0.0.2")]).unwrap(), "192.0.2.1");
        assert_eq!(told(&[(x, "192.0.2.1"), (x, "10.0.0.2")]).unwrap(), "192.0.2.1");
        assert_eq!(told(&[(x, "?"), (x, "192.0.2.1")]).unwrap(), "192.0.2.1");
        assert_eq!(told(&[(x, "192.0.2.1"), (x, "?")]), None);
        let lines = [("forwarded", "for=\"192.0.2.9"), ("forwarded", "for=192.0.2.1")];
        assert_eq!(told(&lines).unwrap(), "192.0.2.1");
    }

    #[test]
    fn two_headers_count_only_where_they_agree() {
        let both = |one, other| told(&[("forwarded", one), ("x-forwarded-for", other)]);
        assert_eq!(both("for=192.0.2.1", "192.0.2.9, 192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(both("for=192.0.2.9", "192.0.2.1"), None);
        assert_eq!(both("for=192.0.2.1", "unknown"), None);
        assert_eq!(both("for=192.0.2.1", ""), None);
        assert_eq!(both("for=unknown", "unknown"), None);
        assert_eq!(told(&[]), None);
    }

    proptest! {
        #[test]
        fn whatever_a_caller_writes_what_the_proxy_adds_counts(
            written in r#"[ -~]{0,40}|(for=9\.9\.9\.9|x=|"|\\|[,; ])*"#,
            added in prop::sample::select(vec![
                "for=192.0.2.1",
                "for=\"192.0.2.1:80\"",
                "host=\"\";for=192.0.2.1",
                "host=\";a=\\\"\";for=192.0.2.1",
                "for=192.0.2.1;host=\"a,\\\"b\";proto=http",
            ]),
        ) {
            let found = told(&[("x-forwarded-for", &format!("{written}, 192.0.2.1"))]);
            prop_assert_eq!(found.unwrap(), "192.0.2.1");
            let found = told(&[("forwarded", &format!("{written}, {added}"))]);
            prop_assert!(found.is_none_or(|found| found == "192.0.2.1"));
        }
    }
}
