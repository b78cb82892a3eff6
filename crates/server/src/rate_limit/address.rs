//! Where a call comes from, and as whose call it counts.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};
use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use thiserror::Error;

use super::forwarded;

/// What a request without a connection counts as.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The part of an IPv6 address that its holder did not choose.
const IPV6_NETWORK: u128 = !0 << 64;

/// A network as in `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is neither an address nor a network as in 10.0.0.0/8 or fd00::/8")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(canonical(network))).map_err(|_| NotANetwork(text.to_owned()))
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

/// A network of IPv4-mapped addresses as the IPv4 one, for callers are looked at like that.
fn canonical(network: IpNet) -> IpNet {
    let bits = network.prefix_len().checked_sub(96);
    match (network.addr().to_canonical(), bits) {
        (IpAddr::V4(address), Some(bits)) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(address, bits).map_or(network, IpNet::V4)
        }
        _ => network,
    }
}

/// Who is believed about where calls come from.
pub(super) struct Addresses {
    trusted: Vec<Network>,
}

impl Addresses {
    /// With these proxies.
    pub(super) fn new(trusted: Vec<Network>) -> Self {
        Self { trusted }
    }

    /// The address that a request counts for: that of the caller in front of the trusted proxies.
    /// An IPv6 address counts with its whole /64, for its holder has all of that.
    pub(super) fn counted(&self, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(LOCAL, |ConnectInfo(peer)| peer.ip().to_canonical());
        let is_trusted = |address| self.is_trusted(address);
        let told = is_trusted(peer).then(|| forwarded::caller(headers, is_trusted)).flatten();
        match told.unwrap_or(peer) {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(),
        }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.0.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(network: &str, address: &str) -> bool {
        let addresses = Addresses::new(vec![network.parse().unwrap()]);
        addresses.is_trusted(address.parse::<IpAddr>().unwrap().to_canonical())
    }

    #[test]
    fn a_network_is_a_prefix_or_one_address_of_either_family() {
        assert!(is_in("10.0.0.0/8", "10.255.0.1") && !is_in("10.0.0.0/8", "11.0.0.1"));
        assert!(is_in("10.0.0.7/8", "10.1.0.1"));
        assert!(is_in("10.0.0.7", "10.0.0.7") && !is_in("10.0.0.7", "10.0.0.8"));
        assert!(is_in("10.0.0.7", "::ffff:10.0.0.7"));
        assert!(is_in("fd00::/8", "fd12::1") && !is_in("fd00::/8", "fe80::1"));
        assert!(is_in("::1", "::1") && !is_in("::1", "127.0.0.1"));
        assert!(is_in("::ffff:10.0.0.0/104", "10.9.9.9"));
        assert!(!is_in("::ffff:10.0.0.0/104", "11.0.0.1"));
        assert!(is_in("0.0.0.0/0", "1.2.3.4") && !is_in("0.0.0.0/0", "2001:db8::1"));
        assert!(is_in("::/0", "2001:db8::1") && !is_in("::/0", "1.2.3.4"));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/8,::1", "[::1]", "1:2"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork(text.to_owned())));
        }
    }
}
