//! Which addresses are not to be reached: everything that IANA's special-purpose registries do not
//! call globally reachable, and what only looks as if it were.
//!
//! Of IPv6 only `2000::/3` is public at all, so that what is not listed there is refused too. Forms
//! that carry an IPv4 address lead to that address: it is the one that is judged, or the form is
//! refused as a whole where nobody offers a service behind it (6to4, Teredo).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::network::Network;

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const REFUSED_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by a carrier (CGNAT)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    // The platforms' metadata at 169.254.169.254 among it.
    (v4(169, 254, 0, 0, 16), "link-local"),
    // A public address by which every machine on Azure reaches its host.
    (v4(168, 63, 129, 16, 32), "a platform's own"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "reserved"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarking"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

const fn v6(first: u16, second: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), length)
}

const REFUSED_V6: [(Ipv6Net, &str); 11] = [
    (v6(0, 0, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6(0, 0, 96), "IPv4-compatible"),
    // Benchmarking and what else the IETF gave a number.
    (v6(0x2001, 0, 32), "a tunnel (Teredo)"),
    (v6(0x2001, 0, 23), "reserved"),
    (v6(0x2001, 0xdb8, 32), "for documentation"),
    (v6(0x2002, 0, 16), "a tunnel (6to4)"),
    (v6(0x3fff, 0, 20), "for documentation"),
    (v6(0xfc00, 0, 7), "unique local"),
    (v6(0xfe80, 0, 10), "link-local"),
    (v6(0xff00, 0, 8), "multicast"),
];

/// What of IPv6 is given to networks at all.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 3);

/// By which a network that has only IPv6 reaches IPv4 (NAT64, RFC 6052).
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

/// What kind of address it is, where it is not to be reached.
pub(super) fn refused(address: IpAddr, allow: &[Network]) -> Option<&'static str> {
    let address = address.to_canonical();
    if allow.iter().any(|network| network.contains(address)) {
        return None;
    }
    match address {
        IpAddr::V4(address) => kind_in(&REFUSED_V4, |network| network.contains(&address)),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            refused(Ipv4Addr::new(a, b, c, d).into(), allow)
        }
        IpAddr::V6(address) => kind_in(&REFUSED_V6, |network| network.contains(&address))
            .or_else(|| (!PUBLIC_V6.contains(&address)).then_some("not public")),
    }
}

/// The kind of the first network that an address lies in.
fn kind_in<N>(
    networks: &[(N, &'static str)],
    contains: impl Fn(&N) -> bool,
) -> Option<&'static str> {
    networks.iter().find(|(network, _)| contains(network)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn kind(address: &str, allow: &[&str]) -> Option<&'static str> {
        let allow: Vec<Network> = allow.iter().map(|network| network.parse().unwrap()).collect();
        refused(address.parse().unwrap(), &allow)
    }

    #[rstest]
    #[case("unspecified", &["0.0.0.0", "0.255.255.255", "::", "::ffff:0.0.0.0"])]
    #[case("loopback", &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"])]
    #[case("private", &[
        "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
        "192.168.255.255", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::c0a8:1",
    ])]
    #[case("link-local", &[
        "169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "febf::1",
        "::ffff:169.254.169.254", "64:ff9b::169.254.169.254",
    ])]
    #[case("unique local", &["fc00::", "fd00:ec2::254", "fdff::1"])]
    #[case("shared by a carrier (CGNAT)", &["100.64.0.0", "100.100.100.200", "100.127.255.255"])]
    #[case("multicast", &["224.0.0.1", "239.255.255.255", "ff02::1"])]
    #[case("for documentation", &[
        "192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff:fff::1",
    ])]
    #[case("for benchmarking", &["198.18.0.0", "198.19.255.255"])]
    #[case("reserved", &[
        "192.0.0.170", "192.88.99.1", "240.0.0.1", "255.255.255.255", "2001:2::1", "2001:10::1",
        "2001:1ff::1",
    ])]
    #[case("a platform's own", &["168.63.129.16"])]
    #[case("IPv4-compatible", &["::127.0.0.1", "::8.8.8.8", "::2"])]
    #[case("a tunnel (6to4)", &["2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1"])]
    #[case("a tunnel (Teredo)", &["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"])]
    #[case("not public", &[
        "64:ff9b:1::a00:1", "64:ff9c::1", "100::1", "1fff::1", "4000::1", "5f00::1", "fec0::1",
        "fe00::1", "::ffff:0:127.0.0.1",
    ])]
    fn what_is_not_public_is_refused(#[case] expected: &str, #[case] addresses: &[&str]) {
        for address in addresses {
            assert_eq!(kind(address, &[]), Some(expected), "{address}");
        }
    }

    #[test]
    fn what_is_public_is_not() {
        for address in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.101.0",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700::1",
            "3ffe::1",
            "3fff:1000::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(kind(address, &[]), None, "{address}");
        }
    }

    #[test]
    fn what_the_operator_lists_may_be_reached_and_nothing_beside_it() {
        for (address, allow, reached) in [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("10.1.2.3", "10.9.9.9/8", true),
            ("192.168.0.1", "10.0.0.0/8", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.2", "127.0.0.1", false),
            // The address that is connected to counts, in whatever form it came.
            ("::ffff:10.1.2.3", "10.0.0.0/8", true),
            ("64:ff9b::10.1.2.3", "10.0.0.0/8", true),
            ("fd00::1", "fd00::/8", true),
            ("::1", "::1", true),
            ("::1", "127.0.0.0/8", false),
            ("127.0.0.1", "::/0", false),
            ("127.0.0.1", "0.0.0.0/0", true),
            ("2001:db8::1", "2001:db8::/32", true),
        ] {
            assert_eq!(kind(address, &[allow]).is_none(), reached, "{address} {allow}");
        }
        assert_eq!(kind("::1", &["10.0.0.0/8", "::1"]), None);
    }
}
