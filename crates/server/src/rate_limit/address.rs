//! Where a call comes from, and as whose call it counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::forwarded;
use crate::network::Network;
use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};

/// What a request without a connection counts as.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The part of an IPv6 address that its holder did not choose.
const IPV6_NETWORK: u128 = !0 << 64;

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
        self.trusted.iter().any(|network| network.contains(address))
    }
}
