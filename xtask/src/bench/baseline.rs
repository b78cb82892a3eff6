//! The baseline: what the complete run that is written down came to. Shares of the reference can be
//! compared from one hour and machine to another, which rates cannot.

use std::{collections::BTreeMap, fmt::Write as _, fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    options::Options,
    page::{Row, Section},
};
use crate::shell;

const FILE: &str = "xtask/bench/baseline.json";

/// Shares of the reference by store, case and connections.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    contacts: u64,
    shares: BTreeMap<String, f64>,
}

impl Baseline {
    /// The one that is committed; empty where there is none.
    pub(super) fn read() -> Result<Self> {
        let text = match fs::read_to_string(path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            text => text.with_context(|| format!("cannot read {FILE}"))?,
        };
        let (contacts, shares) = serde_json::from_str(&text)?;
        Ok(Self { contacts, shares })
    }

    /// What a complete run came to.
    pub(super) fn of(sections: &[Section], options: &Options) -> Self {
        let rows = sections.iter().flat_map(|section| {
            section.rows.iter().map(|row| (name(section, row), (row.share * 1e4).round() / 1e4))
        });
        Self { contacts: options.contacts, shares: rows.collect() }
    }

    /// Writes it in the place of the committed one.
    pub(super) fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&json!([self.contacts, self.shares]))?;
        fs::write(path(), text + "\n").with_context(|| format!("cannot write {FILE}"))
    }

    /// A table of the cases that both have; nothing where they held other numbers of contacts.
    pub(super) fn compare(&self, sections: &[Section], options: &Options) -> Option<String> {
        let mut table = String::from(
            "| case | of the reference | in the baseline | ratio |\n|---|---|---|---|\n",
        );
        let mut known = false;
        for section in sections.iter().filter(|_| self.contacts == options.contacts) {
            for row in &section.rows {
                let name = name(section, row);
                let Some(before) = self.shares.get(&name).filter(|share| **share > 0.0) else {
                    continue;
                };
                known = true;
                let (now, then) = (row.share * 100.0, before * 100.0);
                // Writing to memory does not fail.
                let _ =
                    writeln!(table, "| {name} | {now:.1} % | {then:.1} % | {:.2} |", now / then);
            }
        }
        known.then_some(table)
    }
}

fn path() -> PathBuf {
    shell::root().join(FILE)
}

fn name(section: &Section, row: &Row) -> String {
    format!("{}, {}, {}", section.store, row.name, row.connections)
}

#[cfg(test)]
mod tests {
    use super::{super::options::Store, *};

    #[test]
    fn what_both_have_is_compared() {
        let row = |name, share| Row {
            name,
            connections: 64,
            rate: 1.0,
            p50: 1.0,
            p99: 1.0,
            share,
            against: None,
        };
        let section = |rows| Section {
            store: Store::Sqlite,
            growth: Vec::new(),
            starts: Vec::new(),
            rows,
            contacts: 1,
            memory: 1.0,
        };
        let options = Options::parse(&[]).unwrap();
        let baseline = Baseline::of(&[section(vec![row("GET", 0.4)])], &options);
        let now = [section(vec![row("GET", 0.5), row("list", 0.1)])];
        let table = baseline.compare(&now, &options).unwrap();
        assert_eq!(table.lines().nth(2), Some("| SQLite, GET, 64 | 50.0 % | 40.0 % | 1.25 |"));
        assert_eq!(table.lines().count(), 3);
        let quick = Options::parse(&["--quick".to_owned()]).unwrap();
        assert_eq!(baseline.compare(&now, &quick), None);
    }
}
