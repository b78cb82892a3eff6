//! What an operator can set of the running service, as the command line hands it over.
//!
//! A part of the service that has something to set keeps its own struct, with the defaults, and a
//! field here; `crates/cli/src/config.rs` fills it.

use crate::{
    directory::IndexSettings, egress::EgressSettings, rate_limit::RateLimitSettings,
    retention::RetentionSettings,
};

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How often somebody may call.
    pub rate_limits: RateLimitSettings,
    /// Outgoing requests.
    pub egress: EgressSettings,
    /// Memory and snapshots of indexes.
    pub index: IndexSettings,
    /// How long things are kept.
    pub retention: RetentionSettings,
}
