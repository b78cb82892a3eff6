//! Cursors: what the caller of a list sends back to be told what follows.
//!
//! Nothing is kept of them here. A cursor carries where its page ended, which database it is of,
//! and a checksum of that and of what was asked, so that one of another list, query, account or
//! database is refused instead of being answered with something else. It is no secret and no
//! permission: whoever makes one up reads at another place of what the key reads anyway.
//!
//! A list that is paged by cursor says what was asked ([`Question`]), writes where a page ended
//! ([`Position`]) and reads that again ([`Reader`]); `paging.rs` has the parameters and the link.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use meishi_contacts::AccountId;
use meishi_store::Database;
use sha2::{Digest as _, Sha256};

use crate::ApiError;

/// The first byte; another one for cursors of another form, or of places that compare otherwise.
const VERSION: u8 = 1;

/// Bytes of a flag in a position.
pub const FLAG_BYTES: usize = 1;
/// Bytes of a number in a position, and of what stands before a text.
pub const NUMBER_BYTES: usize = 8;

/// Which list a cursor belongs to and what was asked of it.
#[derive(Debug, Clone)]
pub struct Question(Sha256);

impl Question {
    /// A list of an account, by a name of its own.
    pub fn of(list: &str, account: AccountId) -> Self {
        Self(Sha256::new()).with(list).with(account.0.to_be_bytes())
    }

    /// One more thing that was asked for, in a fixed order. What may differ from page to page, such
    /// as their size, is none.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        // With its length, so that no two parts look like others.
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }
}

/// Where a page ended, being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position(Vec<u8>);

impl Position {
    /// Adds a yes or a no.
    #[must_use]
    pub fn flag(mut self, flag: bool) -> Self {
        self.0.push(u8::from(flag));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        let mut longer = self.number(i64::try_from(text.len()).unwrap_or(i64::MAX));
        longer.0.extend(text.as_bytes());
        longer
    }

    /// The cursor. The same position of the same question in the same database is the same text.
    pub fn seal(&self, database: &Database, question: &Question) -> String {
        let mut sealed = vec![VERSION];
        sealed.extend(mark(database));
        sealed.extend(&self.0);
        let check = check(&sealed, question);
        sealed.extend(check);
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }
}

/// Characters of the cursor whose position has so many bytes, or two more.
pub const fn sealed_len(position: usize) -> usize {
    (size_of::<u8>() + size_of::<Mark>() + position + size_of::<Check>()).div_ceil(3) * 4
}

/// Where a page ended, being read. `None` from any of these: no such thing was written there.
#[derive(Debug, Clone)]
pub struct Reader(std::vec::IntoIter<u8>);

impl Reader {
    /// Opens a cursor. One that [`Position::seal`] did not make of this question is a 400; one
    /// that it made in another database, or before a restore, a 410.
    pub fn open(text: &str, database: &Database, question: &Question) -> Result<Self, ApiError> {
        let Some((of, position)) = opened(text, question) else { return Err(misplaced()) };
        if of != mark(database) {
            return Err(ApiError::CursorExpired(
                "The cursor is of another database, or of one that was restored since; start \
                 again without a cursor"
                    .into(),
            ));
        }
        Ok(Self(position.into_iter()))
    }

    /// A yes or a no.
    pub fn flag(&mut self) -> Option<bool> {
        match self.0.next()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&mut self) -> Option<i64> {
        let bytes = *self.0.as_slice().first_chunk::<NUMBER_BYTES>()?;
        self.0.by_ref().take(bytes.len()).for_each(drop);
        Some(i64::from_be_bytes(bytes))
    }

    /// A text.
    pub fn text(&mut self) -> Option<String> {
        let bytes = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.0.by_ref().take(bytes).collect()).ok().filter(|t| t.len() == bytes)
    }

    /// What was read, if nothing of it was missing and nothing is left; a 400 otherwise.
    pub fn finish<T>(&self, read: Option<T>) -> Result<T, ApiError> {
        read.filter(|_| self.0.as_slice().is_empty()).ok_or_else(misplaced)
    }
}

/// Which database a cursor is of.
type Mark = [u8; 8];

/// What tells a cursor of this question from anything else.
type Check = [u8; 8];

fn mark(database: &Database) -> Mark {
    let hash = Sha256::new().chain_update(&database.id).chain_update(database.epoch.to_be_bytes());
    beginning(hash)
}

fn check(sealed: &[u8], question: &Question) -> Check {
    beginning(question.clone().with(sealed).0)
}

fn beginning(hash: Sha256) -> [u8; 8] {
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// The mark and the position in a cursor.
fn opened(text: &str, question: &Question) -> Option<(Mark, Vec<u8>)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (sealed, found) = bytes.split_last_chunk::<{ size_of::<Check>() }>()?;
    let (version, rest) = sealed.split_first()?;
    let (mark, position) = rest.split_first_chunk::<{ size_of::<Mark>() }>()?;
    let fits = *version == VERSION && *found == check(sealed, question);
    fits.then(|| (*mark, position.to_vec()))
}

fn misplaced() -> ApiError {
    ApiError::MalformedRequest(
        "The cursor is not one of this list with this query and order; send it as it was given, \
         with what was asked for then, or start again without a cursor"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn database(id: &str, epoch: i64) -> Database {
        Database { id: id.into(), epoch }
    }

    fn question() -> Question {
        Question::of("contacts", AccountId(1)).with("q").with("")
    }

    fn status(opened: Result<Reader, ApiError>) -> u16 {
        opened.map_or_else(|error| error.status().as_u16(), |_| 200)
    }

    #[test]
    fn a_cursor_is_opened_by_its_own_question_in_its_own_database() {
        let here = database("a", 1);
        let cursor = Position::default().number(5).seal(&here, &question());
        let open = |database: &Database, question: &Question| {
            status(Reader::open(&cursor, database, question))
        };
        assert_eq!(open(&here, &question()), 200);
        assert_eq!(open(&database("a", 2), &question()), 410);
        assert_eq!(open(&database("b", 1), &question()), 410);
        for other in [
            Question::of("contacts", AccountId(2)).with("q").with(""),
            Question::of("events", AccountId(1)).with("q").with(""),
            Question::of("contacts", AccountId(1)).with("").with("q"),
            Question::of("contacts", AccountId(1)).with("q"),
            question().with(""),
        ] {
            assert_eq!(open(&here, &other), 400);
            assert_eq!(open(&database("b", 1), &other), 400);
        }
    }

    #[test]
    fn what_was_not_written_is_not_read() {
        let here = database("a", 1);
        let cursor = Position::default().text("ab").flag(true).seal(&here, &question());
        let reader = Reader::open(&cursor, &here, &question()).unwrap();
        let read = |read: fn(&mut Reader) -> Option<()>| {
            let mut reader = reader.clone();
            let found = read(&mut reader);
            reader.finish(found).is_ok()
        };
        assert!(read(|r| r.text().zip(r.flag()).map(drop)));
        assert!(!read(|r| r.text().map(drop)), "something is left");
        assert!(!read(|r| r.text().zip(r.flag()).zip(r.flag()).map(drop)), "nothing is left");
        assert!(!read(|r| r.number().zip(r.text()).map(drop)), "not so many bytes are left");
        assert!(!read(|r| r.number().zip(r.flag()).map(drop)), "not a flag");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_the_length_is_known(
            flag in any::<bool>(), number in any::<i64>(), text in any::<String>(),
        ) {
            let here = database("a", 1);
            let position = Position::default().flag(flag).number(number).text(&text);
            let cursor = position.seal(&here, &question());
            prop_assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            prop_assert!(sealed_len(position.0.len()).abs_diff(cursor.len()) < 3);
            prop_assert!(cursor.len() <= sealed_len(position.0.len()));
            let mut reader = Reader::open(&cursor, &here, &question()).unwrap();
            let read = (reader.flag(), reader.number(), reader.text());
            prop_assert_eq!(&read, &(Some(flag), Some(number), Some(text)));
            prop_assert!(reader.finish(Some(())).is_ok());
        }

        #[test]
        fn no_changed_cursor_is_opened(at in any::<prop::sample::Index>(), to in "[ -~]{0,2}") {
            let here = database("a", 1);
            let cursor = Position::default().text("Anna").seal(&here, &question());
            let at = at.index(cursor.len());
            let changed = format!("{}{to}{}", &cursor[..at], &cursor[at + 1..]);
            prop_assume!(changed != cursor);
            prop_assert_eq!(status(Reader::open(&changed, &here, &question())), 400);
        }
    }
}
