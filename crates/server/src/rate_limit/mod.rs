//! How often somebody may call: limits per key, per address, and for failed authentication.
//!
//! `rate.rs` is what an operator writes, `buckets.rs` counts, `address.rs` says where a call comes
//! from (`forwarded.rs` reads what proxies tell), `fields.rs` tells callers. The limit of an address
//! is asked by `observe.rs`, the other two by `auth.rs`, which knows who calls. What was counted is
//! noted in [`RequestInfo`], and `observe.rs` puts it into the answer.
//!
//! A server counts for itself, in memory: several servers on one database allow as many times more.

mod address;
mod buckets;
mod fields;
mod forwarded;
mod rate;

use axum::{
    extract::Request,
    http::{Extensions, request::Parts},
};
use meishi_contacts::{AccountId, Clock, KeyId, UnixMillis};

pub use self::rate::{Limit, NotALimit, Rate};
use self::{address::Addresses, buckets::Buckets};
pub(crate) use self::{buckets::Standing, fields::tell};
use crate::{ApiError, network::Network, observe::RequestInfo};

/// The most failures that an address may have at once, and the seconds in which it may have as many
/// again: one each three seconds.
const FAILURES: Rate = Rate { calls: 20, seconds: 60 };

/// Routes that are never limited: whoever watches over the service must see it.
const UNLIMITED: [&str; 2] = ["/livez", "/readyz"];

/// What an operator can set.
#[derive(Debug, Clone)]
pub struct RateLimitSettings {
    /// Calls with one key; off by default.
    pub per_key: Limit,
    /// Calls from one address, whatever their credential; off by default.
    pub per_address: Limit,
    /// Calls from one address with a credential that opens nothing; 20 in a minute by default.
    pub failed_authentication: Limit,
    /// The proxies that are believed when they tell for whom they call; none by default.
    pub trusted_proxies: Vec<Network>,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self {
            per_key: Limit(None),
            per_address: Limit(None),
            failed_authentication: Limit(Some(FAILURES)),
            trusted_proxies: Vec::new(),
        }
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Calls with one key.
    Key,
    /// Calls from one address.
    Address,
    /// Calls from one address with a credential that opens nothing.
    FailedAuthentication,
}

impl Limited {
    /// Its name in headers and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Address => "address",
            Self::FailedAuthentication => "failed-authentication",
        }
    }
}

/// The limits of a running service, and who has used up how much of them.
pub(crate) struct RateLimits {
    addresses: Addresses,
    per_key: Option<Buckets<(AccountId, KeyId)>>,
    per_address: Option<Buckets<std::net::IpAddr>>,
    failed_authentication: Option<Buckets<std::net::IpAddr>>,
}

impl RateLimits {
    /// As set, with nothing used up.
    pub(crate) fn new(settings: &RateLimitSettings) -> Self {
        Self {
            addresses: Addresses::new(settings.trusted_proxies.clone()),
            per_key: settings.per_key.0.map(Buckets::new),
            per_address: settings.per_address.0.map(Buckets::new),
            failed_authentication: settings.failed_authentication.0.map(Buckets::new),
        }
    }

    /// Counts a call with a key that opened its account.
    pub(crate) fn admit_key(
        &self,
        parts: &Parts,
        key: (AccountId, KeyId),
        now: UnixMillis,
    ) -> Result<(), ApiError> {
        let Some(buckets) = &self.per_key else { return Ok(()) };
        judge(&parts.extensions, buckets.take(Limited::Key, key, now))
    }

    /// Counts a credential that opened nothing. What comes back is the answer to it: a 401, or a 429
    /// for an address with too many of them. A credential that is good never comes here, so that
    /// nobody is locked out by who shares the address.
    pub(crate) fn failed(&self, parts: &Parts, now: UnixMillis) -> ApiError {
        let Some(buckets) = &self.failed_authentication else {
            return ApiError::Unauthenticated;
        };
        let address = self.addresses.counted(&parts.extensions, &parts.headers);
        let standing = buckets.take(Limited::FailedAuthentication, address, now);
        judge(&parts.extensions, standing).err().unwrap_or(ApiError::Unauthenticated)
    }

    /// Counts a call by its address.
    pub(crate) fn admit_address(
        &self,
        request: &Request,
        clock: &dyn Clock,
    ) -> Result<(), ApiError> {
        let Some(buckets) = &self.per_address else { return Ok(()) };
        if UNLIMITED.contains(&request.uri().path()) {
            return Ok(());
        }
        let address = self.addresses.counted(request.extensions(), request.headers());
        judge(request.extensions(), buckets.take(Limited::Address, address, clock.now()))
    }
}

/// Notes what was counted, and refuses where it was too much.
fn judge(extensions: &Extensions, standing: Standing) -> Result<(), ApiError> {
    if let Some(info) = extensions.get::<RequestInfo>() {
        info.note_limit(standing);
    }
    if standing.admitted {
        return Ok(());
    }
    let limited = standing.limited;
    metrics::counter!("meishi_rate_limited_total", "limit" => limited.name()).increment(1);
    Err(ApiError::RateLimited { limited, retry_after: standing.wait_seconds })
}
