//! The columns of a key, which both stores read in this order.

/// A statement of one or more selects of keys; what is given stands behind each.
macro_rules! select_keys {
    ($($rest:literal),+) => {
        concat!(
            $(
                "SELECT account_id, id, api_key, name, role, created_at, expires_at, last_used_at,
                   previous_until, secret_hash, previous_hash
                 FROM api_keys ",
                $rest
            ),+
        )
    };
}

pub(crate) use select_keys;
