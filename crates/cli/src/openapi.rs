//! `meishi openapi`.

use crate::table;

pub(crate) fn run() -> anyhow::Result<()> {
    table::print(&meishi_server::router::document_json())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_description_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
        let committed = std::fs::read_to_string(path).unwrap();
        let current = meishi_server::router::document_json();
        assert!(committed == current, "openapi.json is stale; run `cargo xtask openapi`");
    }
}
