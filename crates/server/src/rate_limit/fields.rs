//! What callers are told of the limits that their call was counted by: the `RateLimit` and
//! `RateLimit-Policy` fields of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-10), and
//! the older `X-RateLimit-*`, which know only one limit.
//!
//! The draft's `q` calls in `w` seconds are the policy, `r` the calls that are left, `t` the seconds
//! until there is one more. `X-RateLimit-Reset` is that moment in Unix seconds.

use std::cmp::Reverse;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::Standing;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Puts the headers into an answer; none where no limit counted the call. The older ones tell of the
/// limit with the fewest calls left.
pub(crate) fn tell(standings: &[Standing], headers: &mut HeaderMap) {
    let Some(tightest) = standings
        .iter()
        .min_by_key(|standing| (standing.remaining, Reverse(standing.wait_seconds)))
    else {
        return;
    };
    let policies = standings.iter().map(|Standing { limited, rate, .. }| {
        format!("\"{}\";q={};w={}", limited.name(), rate.calls, rate.seconds)
    });
    let left = standings.iter().map(|Standing { limited, remaining, wait_seconds, .. }| {
        format!("\"{}\";r={remaining};t={wait_seconds}", limited.name())
    });
    let mut put = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    put(RATELIMIT_POLICY, policies.collect::<Vec<_>>().join(", "));
    put(RATELIMIT, left.collect::<Vec<_>>().join(", "));
    put(X_RATELIMIT_LIMIT, tightest.rate.calls.to_string());
    put(X_RATELIMIT_REMAINING, tightest.remaining.to_string());
    put(X_RATELIMIT_RESET, tightest.next_at.to_string());
}
