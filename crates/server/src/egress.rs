//! Outgoing HTTP, and the one place that makes any: a POST to a URL that somebody else chose.
//!
//! An administrator of one account names the URL, and the request leaves from inside the operator's
//! network. So nothing that only that network can reach is connected to (`networks.rs`), unless the
//! operator lists it: each address is checked as it is connected to, whether the URL spelt it or a
//! name led to it, and there is no second look-up in between. No redirect is followed, no proxy
//! asked, no answer read without bounds.
//!
//! `target.rs` reads URLs, `lookup.rs` names, `tls.rs` says whom https trusts, `exchange.rs` sends
//! one request over a connection. `docs/decisions/0019` tells why this is not a client library.

mod exchange;
mod lookup;
mod networks;
mod target;
mod tls;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{body::Bytes, http::HeaderMap};
use meishi_contacts::{
    AccountId,
    limits::{EGRESS_ADDRESSES, EGRESS_CONNECT_TIME, EGRESS_TIME},
};
use rustls::RootCertStore;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

pub use lookup::{Lookup, SystemLookup};
pub use target::{Target, TargetError};

use crate::network::Network;

/// What an operator can set of outgoing requests.
#[derive(Debug, Clone, Default)]
pub struct EgressSettings {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<Network>,
}

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Egress(Arc<Parts>);

struct Parts {
    settings: EgressSettings,
    lookup: Arc<dyn Lookup>,
    trust: tls::Trust,
}

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The address that answered.
    pub address: SocketAddr,
    /// The status, whatever it is: a redirect is not followed.
    pub status: u16,
    /// The header `Retry-After` as it came, where it is a short text.
    pub retry_after: Option<String>,
    /// The first bytes of the body, at most [`EGRESS_KEPT_BYTES`].
    ///
    /// [`EGRESS_KEPT_BYTES`]: meishi_contacts::limits::EGRESS_KEPT_BYTES
    pub body: Vec<u8>,
}

/// Why there is no answer; shown in a delivery log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The name has no address.
    #[error("the name cannot be looked up: {0}")]
    Lookup(String),
    /// All addresses are of networks that are not to be reached.
    #[error("address not allowed: {address} is {kind}")]
    Refused {
        /// The first of them.
        address: IpAddr,
        /// What kind of address it is.
        kind: &'static str,
    },
    /// Nobody takes the connection.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The address that was tried last.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The TLS handshake failed, for its certificate or otherwise.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It took too long.
    #[error("timed out {0}")]
    Timeout(Phase),
    /// What came back is no answer of HTTP/1.1, or the connection ended before one came.
    #[error("no answer that is HTTP: {0}")]
    Protocol(String),
}

impl EgressError {
    /// The kind of failure, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lookup(_) => "dns",
            Self::Refused { .. } => "refused_address",
            Self::Connect { .. } => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::Protocol(_) => "protocol",
        }
    }
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its name was looked up.
    Lookup,
    /// It had an address.
    Connect,
    /// It had a connection.
    Handshake,
    /// It was being sent, or was sent.
    Answer,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "looking the name up",
            Self::Connect => "connecting",
            Self::Handshake => "in the TLS handshake",
            Self::Answer => "waiting for the answer",
        })
    }
}

impl Egress {
    /// By the system's resolver, trusting the system's certificates.
    pub fn new(settings: EgressSettings) -> Self {
        Self::with(settings, Arc::new(SystemLookup::default()), None)
    }

    /// By another resolver; trusting `roots` alone, if there are any.
    pub fn with(
        settings: EgressSettings,
        lookup: Arc<dyn Lookup>,
        roots: Option<RootCertStore>,
    ) -> Self {
        Self(Arc::new(Parts { settings, lookup, trust: tls::Trust::new(roots) }))
    }

    /// Posts a body on behalf of an account. `headers` say what it is; those of the connection (`Host`, `Content-Length`
    /// and the like) and `User-Agent` are added. Takes [`EGRESS_TIME`] at most.
    ///
    /// Fails when there is no answer. Any answer is a success here, also 500.
    pub async fn post(
        &self,
        account: AccountId,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, EgressError> {
        let deadline = Instant::now() + EGRESS_TIME;
        let request = exchange::request(target, headers, body);
        let (stream, address) = self.connect(account, target).await?;
        // What is written is written at once and as a whole.
        let _ = stream.set_nodelay(true);
        if !target.is_https() {
            return exchange::run(stream, address, request, deadline).await;
        }
        let handshake = self.0.trust.handshake(target, stream);
        let stream = timeout_at(deadline, handshake)
            .await
            .map_err(|_| EgressError::Timeout(Phase::Handshake))??;
        exchange::run(stream, address, request, deadline).await
    }

    /// A connection to the first of the target's addresses that takes one.
    async fn connect(
        &self,
        account: AccountId,
        target: &Target,
    ) -> Result<(TcpStream, SocketAddr), EgressError> {
        let addresses = self.allowed(self.addresses(account, target).await?)?;
        let deadline = Instant::now() + EGRESS_CONNECT_TIME;
        let mut failure = EgressError::Lookup("it has no address".into());
        for (tried, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, target.port());
            // One that does not answer leaves time for those after it.
            let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            #[expect(clippy::disallowed_methods, reason = "this is the one place that connects")]
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((stream, address)),
                Ok(Err(error)) => {
                    failure = EgressError::Connect { address, reason: error.to_string() };
                }
                Err(_) => failure = EgressError::Timeout(Phase::Connect),
            }
        }
        Err(failure)
    }

    /// Where the target is.
    async fn addresses(
        &self,
        account: AccountId,
        target: &Target,
    ) -> Result<Vec<IpAddr>, EgressError> {
        let name = match target.host() {
            target::Host::Address(address) => return Ok(vec![address]),
            target::Host::Name(name) => name.to_owned(),
        };
        match timeout(EGRESS_CONNECT_TIME, self.0.lookup.addresses(account, name)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(EgressError::Lookup(error.to_string())),
            Err(_) => Err(EgressError::Timeout(Phase::Lookup)),
        }
    }

    /// Refuses a target that is spelt as an address and may not be reached. What a name leads to is
    /// looked at each time that it is connected to.
    pub fn check(&self, target: &Target) -> Result<(), EgressError> {
        match target.host() {
            target::Host::Address(address) => self.allowed(vec![address]).map(drop),
            target::Host::Name(_) => Ok(()),
        }
    }

    /// Those of the addresses that may be reached, in the form in which they are connected to.
    fn allowed(&self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, EgressError> {
        let mut allowed: Vec<IpAddr> = Vec::new();
        let mut refused = None;
        for address in addresses.into_iter().map(|address| address.to_canonical()) {
            match networks::refused(address, &self.0.settings.allow) {
                None => allowed.push(address),
                Some(kind) => {
                    refused = refused.or(Some(EgressError::Refused { address, kind }));
                }
            }
        }
        allowed.truncate(EGRESS_ADDRESSES);
        match refused {
            Some(refused) if allowed.is_empty() => Err(refused),
            _ => Ok(allowed),
        }
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Egress").field(&self.0.settings).finish()
    }
}
