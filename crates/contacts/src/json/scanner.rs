//! Finds the first fault of a text and its exact position. Builds nothing.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Cause, MAX_QUOTED, Malformed};
use crate::limits::JSON_DEPTH;

/// A cause and its byte offset, before line and column are counted.
pub(super) struct Defect {
    pub(super) at: usize,
    pub(super) cause: Cause,
}

impl Defect {
    pub(super) fn locate(self, text: &str) -> Malformed {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        Malformed { line, column, cause: self.cause }
    }
}

pub(super) fn scan(text: &str) -> Result<(), Defect> {
    let mut scanner = Scanner { text, at: 0 };
    if scanner.token()?.is_none() {
        return Err(scanner.fault(Cause::Empty));
    }
    scanner.value(0)?;
    match scanner.token()? {
        None => Ok(()),
        Some(_) => Err(scanner.expected("nothing after the JSON value")),
    }
}

/// Finds the first fault of a text. Its recursion ends at [`JSON_DEPTH`].
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, cause: Cause) -> Defect {
        Defect { at: self.at, cause }
    }

    fn syntax(&self, message: &'static str) -> Defect {
        self.fault(Cause::Syntax(message.into()))
    }

    fn end(&self) -> Defect {
        Defect { at: self.text.len(), cause: Cause::UnexpectedEnd }
    }

    /// The fault that `wanted` is not what stands here.
    fn expected(&self, wanted: &str) -> Defect {
        let Some(first) = self.rest().chars().next() else { return self.end() };
        let word = self.rest().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let found = if !word.is_empty() {
            format!("`{}`", shorten(word))
        } else if first.escape_debug().len() == 1 || matches!(first, '"' | '\'' | '\\') {
            format!("`{first}`")
        } else {
            format!("U+{:04X}", u32::from(first))
        };
        self.fault(Cause::Syntax(format!("expected {wanted} but found {found}").into()))
    }

    /// Moves to the next token and gives its first byte, or `None` at the end.
    fn token(&mut self) -> Result<Option<u8>, Defect> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        if self.rest().starts_with("//") || self.rest().starts_with("/*") {
            return Err(self.fault(Cause::Comment));
        }
        Ok(self.peek())
    }

    fn value(&mut self, depth: usize) -> Result<(), Defect> {
        match self.token()? {
            Some(b'{' | b'[') if depth == JSON_DEPTH => Err(self.fault(Cause::TooDeep)),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Defect> {
        self.at += 1;
        if self.token()? == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.closes(b']', "`,` or `]`")? {
                return Ok(());
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Defect> {
        self.at += 1;
        if self.token()? == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut keys = HashSet::new();
        loop {
            if self.token()? != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let at = self.at;
            self.string()?;
            // Keys are compared unescaped: "a" and "\u0061" are the same.
            let raw = self.text.get(at..self.at).unwrap_or_default();
            let key = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
            if keys.contains(&key) {
                return Err(Defect { at, cause: Cause::DuplicateKey(shorten(&key).into_owned()) });
            }
            keys.insert(key);
            if self.token()? != Some(b':') {
                return Err(self.expected("`:` after the key"));
            }
            self.at += 1;
            self.value(depth)?;
            if self.closes(b'}', "`,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// What follows an item: `true` if the bracket closes, `false` if another item must come.
    fn closes(&mut self, closer: u8, wanted: &str) -> Result<bool, Defect> {
        let next = self.token()?;
        if next != Some(b',') && next != Some(closer) {
            return Err(self.expected(wanted));
        }
        self.at += 1;
        if next == Some(b',') && self.token()? == Some(closer) {
            return Err(self.fault(Cause::TrailingComma));
        }
        Ok(next == Some(closer))
    }

    fn literal(&mut self) -> Result<(), Defect> {
        let rest = self.rest();
        let word = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if matches!(word, "true" | "false" | "null") {
            self.at += word.len();
            Ok(())
        } else if ["true", "false", "null"].iter().any(|literal| literal.starts_with(rest)) {
            Err(self.end())
        } else {
            Err(self.expected("a value"))
        }
    }

    fn string(&mut self) -> Result<(), Defect> {
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.end()),
                Some(b'"') => break,
                Some(b'\\') => self.at += self.escape()?,
                Some(b'\n' | b'\r') => {
                    return Err(
                        self.syntax("a line break in a string (is a closing quote missing?)")
                    );
                }
                Some(0..0x20) => {
                    return Err(self.syntax("an unescaped control character in a string"));
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The length of the escape that stands here.
    fn escape(&self) -> Result<usize, Defect> {
        let rest = self.rest();
        if matches!(
            rest.as_bytes().get(1),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
        ) {
            return Ok(2);
        }
        let next = rest.get(6..).unwrap_or_default();
        match utf16_unit(rest) {
            Some(0xD800..0xDC00) if next.is_empty() => Err(self.end()),
            Some(0xD800..0xDC00) if matches!(utf16_unit(next), Some(0xDC00..0xE000)) => Ok(12),
            Some(0xD800..0xE000) => Err(self.syntax("a lone surrogate escape in a string")),
            Some(_) => Ok(6),
            None => {
                // If filling it up makes it whole, only the end of the text is wrong with it.
                let missing = "\\u0000".get(rest.len()..).unwrap_or_default();
                let cut = utf16_unit(&format!("{rest}{missing}")).is_some();
                Err(if cut { self.end() } else { self.syntax("an invalid escape in a string") })
            }
        }
    }

    fn number(&mut self) -> Result<(), Defect> {
        let start = self.at;
        let negative = self.skip(b"-");
        let first = self.peek();
        let digits = self.digits();
        let leading_zero = first == Some(b'0') && digits > 1;
        let mut complete = digits > 0 && !leading_zero;
        let mut integer = true;
        if complete && self.skip(b".") {
            integer = false;
            complete = self.digits() > 0;
        }
        if complete && self.skip(b"eE") {
            integer = false;
            self.skip(b"+-");
            complete = self.digits() > 0;
        }
        if !complete {
            let cut = !leading_zero && self.peek().is_none();
            self.at = start;
            return Err(if cut { self.end() } else { self.syntax("an invalid number") });
        }
        let token = self.text.get(start..self.at).unwrap_or_default();
        let kept = match (integer, negative) {
            (true, true) => token.parse::<i64>().is_ok(),
            (true, false) => token.parse::<u64>().is_ok(),
            (false, _) => token.parse::<f64>().is_ok_and(f64::is_finite),
        };
        if kept { Ok(()) } else { Err(Defect { at: start, cause: Cause::NumberOutOfRange }) }
    }

    /// Steps over one of `bytes`, if one stands here.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.skip(b"0123456789") {}
        self.at - start
    }
}

/// The UTF-16 code unit of the `\uXXXX` that `text` begins with.
fn utf16_unit(text: &str) -> Option<u16> {
    let digits = text.get(..6)?.strip_prefix("\\u")?;
    // `from_str_radix` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_QUOTED) {
        None => text.into(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
    }
}
