//! What commands print on standard output.

use std::io::{ErrorKind, Write as _};

use serde_json::{Map, Value};

/// Prints a text as it is. A reader that went away is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Prints a reply: one JSON value for programs, or a table for people.
pub(crate) fn print_reply(reply: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return print(&format!("{reply}\n"));
    }
    match reply {
        Value::Array(rows) => {
            let rows: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
            print(&render(&rows))
        }
        Value::Object(members) if members.is_empty() => print("done\n"),
        Value::Object(members) => {
            let width = members.keys().map(String::len).max().unwrap_or(0);
            let line = |(key, value)| format!("{key:width$}  {}\n", cell(value));
            print(&members.iter().map(line).collect::<String>())
        }
        other => print(&format!("{other}\n")),
    }
}

/// A number of things.
pub(crate) fn plural(number: i64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// What a database holds, in half a sentence, by the members of a reply.
pub(crate) fn contents(reply: &Value) -> String {
    let number = |name: &str| reply.get(name).and_then(Value::as_i64).unwrap_or(0);
    let last = match reply.get("last_event_at") {
        Some(Value::String(at)) => format!(", the last of {at}"),
        _ => String::new(),
    };
    format!(
        "{}, {}, {}{last}",
        plural(number("accounts"), "account"),
        plural(number("contacts"), "contact"),
        plural(number("events"), "event"),
    )
}

fn render(rows: &[&Map<String, Value>]) -> String {
    let Some(first) = rows.first() else { return "none\n".to_owned() };
    let header: Vec<String> = first.keys().map(|key| key.to_uppercase()).collect();
    let cells = rows.iter().map(|row| row.values().map(cell).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..first.len()).map(width).collect();
    let mut table = String::new();
    for line in &lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        table.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// A value as a table shows it. Names come from outside, so that control characters are shown,
/// not sent to the terminal.
pub(crate) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_member() {
        let rows = json!([{"id": 1, "name": "名刺"}, {"id": 20, "name": null}]);
        let rows: Vec<_> = rows.as_array().unwrap().iter().filter_map(Value::as_object).collect();
        assert_eq!(render(&rows), "ID  NAME\n1   名刺\n20  -\n");
        assert_eq!(render(&[]), "none\n");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[2Jb")), "a\\u{1b}[2Jb");
    }
}
