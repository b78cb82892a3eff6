//! What is measured: each case is a name and a way to write its next request.

use std::io::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::dataset::{self, COMMON_NAME, Dice};

const CONTACTS: &str = "/api/v2/accounts/contacts";

/// What is asked of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// The same every time.
    Get(String),
    /// A contact, at random.
    Read,
    /// One of the first thousand pages of the list, at random.
    AnyPage,
    /// A contact that is not there yet.
    Create,
    /// One custom attribute of a contact, at random.
    Patch,
    /// A filter, the same every time.
    Filter(String),
    /// Four reads of all kinds, then a write of either kind.
    Mixed,
}

impl Ask {
    /// Whether anything is written.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::Create | Self::Patch | Self::Mixed)
    }
}

/// One case.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// What the table calls it.
    pub(super) name: &'static str,
    pub(super) ask: Ask,
    /// Which of the reference's two answers it is compared to.
    pub(super) beside: Beside,
}

/// The answers of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Get,
    Post,
}

/// Every case.
pub(super) fn all() -> Vec<Case> {
    let case = |name, ask, beside| Case { name, ask, beside };
    let mut cases = vec![
        case("create", Ask::Create, Beside::Post),
        case("PATCH", Ask::Patch, Beside::Post),
        case("GET", Ask::Read, Beside::Get),
        case("mixed", Ask::Mixed, Beside::Post),
    ];
    let lists: [(&str, &str); 11] = [
        ("list", ""),
        ("list, page 1,000", "page=1000"),
        ("list by name", "sort=name"),
        ("list by email", "sort=email"),
        ("list by phone_number", "sort=phone_number"),
        ("list by last_activity_at", "sort=last_activity_at"),
        ("list by created_at", "sort=-created_at"),
        ("list by company", "sort=company"),
        ("list by city", "sort=city"),
        ("list by country", "sort=country"),
        ("list by id", "sort=id"),
    ];
    for (name, query) in lists {
        cases.push(case(name, Ask::Get(format!("{CONTACTS}?{query}")), Beside::Get));
    }
    cases.push(case("list, pages at random", Ask::AnyPage, Beside::Get));
    let rare = spread(4711);
    let searches: [(&str, String, &str); 12] = [
        ("search, rare", rare.0, ""),
        ("search, part of a phone number", rare.1, ""),
        ("search, one in 40", COMMON_NAME.to_owned(), ""),
        ("search, one in 40, by name", COMMON_NAME.to_owned(), "&sort=name"),
        ("search, one in 40, best first", COMMON_NAME.to_owned(), "&sort=relevance"),
        ("search, one Han character", "曹".to_owned(), ""),
        ("search, two Han characters", "王芳".to_owned(), ""),
        ("search, two Latin letters", "zo".to_owned(), ""),
        ("search, Thai", "ใจดี".to_owned(), ""),
        ("search, one in eight", "gmail".to_owned(), ""),
        ("search, nothing", "xqzvkw".to_owned(), ""),
        ("search, misspelt", "katherina scneider".to_owned(), "&fuzzy=true"),
    ];
    for (name, q, more) in searches {
        let q = utf8_percent_encode(&q, NON_ALPHANUMERIC);
        let ask = Ask::Get(format!("{CONTACTS}?q={q}{more}"));
        cases.push(case(name, ask, Beside::Get));
    }
    let one = |key: &str, operator: &str, value: &str| {
        format!(r#"{{"attribute_key":"{key}","filter_operator":"{operator}","values":[{value}]"#)
    };
    let alone = |condition: String| format!(r#"{{"payload":[{condition}}}]}}"#);
    let and = r#","query_operator":"AND"},"#;
    let three = format!(
        r#"{{"payload":[{}{and}{}{and}{}}}]}}"#,
        one("plan", "equal_to", r#""pro""#),
        one("seats", "is_greater_than", "900"),
        one("labels", "equal_to", r#""customer""#),
    );
    let filters = [
        ("filter, label", alone(one("labels", "equal_to", r#""vip""#))),
        ("filter, custom text", alone(one("plan", "equal_to", r#""pro""#))),
        ("filter, custom number", alone(one("seats", "is_greater_than", "990"))),
        ("filter, custom date", alone(one("renewal", "is_less_than", r#""2026-01-15""#))),
        ("filter, three conditions", three),
        ("filter, not equal", alone(one("plan", "not_equal_to", r#""free""#))),
    ];
    for (name, body) in filters {
        cases.push(case(name, Ask::Filter(body), Beside::Get));
    }
    cases
}

/// Parts of the e-mail address and the phone number of contact `n` that hardly another one has.
fn spread(n: u64) -> (String, String) {
    let body = dataset::contact(n);
    let part = |from: &str, len: usize| {
        let rest = body.split_once(from).map(|(_, rest)| rest).unwrap_or_default();
        rest.chars().take(len).collect()
    };
    (part(r#""identifier":"user-"#, 8), part(r#""phone_number":"+49"#, 8))
}

/// Writes the requests of a case to a server that holds contacts 1 to `contacts`.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) authorization: String,
    pub(super) contacts: u64,
    /// The number of the next contact to create.
    pub(super) next: u64,
    dice: Dice,
    turn: u64,
}

impl Writer {
    pub(super) fn new(authorization: &str, contacts: u64, next: u64) -> Self {
        Self {
            authorization: authorization.to_owned(),
            contacts,
            next,
            dice: Dice::of(next),
            turn: 0,
        }
    }

    /// Writes the next request.
    pub(super) fn write(&mut self, ask: &Ask, into: &mut Vec<u8>) {
        match ask {
            Ask::Get(target) => self.request(into, "GET", target, ""),
            Ask::Read => {
                let id = 1 + self.dice.below(self.contacts);
                self.request(into, "GET", &format!("{CONTACTS}/{id}"), "");
            }
            Ask::AnyPage => {
                let page = 1 + self.dice.below(1000);
                self.request(into, "GET", &format!("{CONTACTS}?page={page}"), "");
            }
            Ask::Create => {
                self.next += 1;
                self.request(into, "POST", CONTACTS, &dataset::contact(self.next));
            }
            Ask::Patch => {
                let (id, seats) = (1 + self.dice.below(self.contacts), self.dice.below(1000));
                let body = format!(r#"{{"custom_attributes":{{"seats":{seats}}}}}"#);
                self.request(into, "PATCH", &format!("{CONTACTS}/{id}"), &body);
            }
            Ask::Filter(body) => {
                self.request(into, "POST", &format!("{CONTACTS}/filter"), body);
            }
            Ask::Mixed => {
                self.turn += 1;
                let ask = match self.turn % 10 {
                    0 => Ask::Create,
                    5 => Ask::Patch,
                    1 | 6 => Ask::Get(format!("{CONTACTS}?q=%E7%8E%8B%E8%8A%B3")),
                    2 | 7 => Ask::Get(CONTACTS.to_owned()),
                    _ => Ask::Read,
                };
                self.write(&ask, into);
            }
        }
    }

    /// Writes a request of any kind.
    pub(super) fn request(&self, into: &mut Vec<u8>, method: &str, target: &str, body: &str) {
        // Writing to memory does not fail.
        let _ = write!(
            into,
            "{method} {target} HTTP/1.1\r\nhost: bench\r\nauthorization: {}\r\n",
            self.authorization
        );
        if !body.is_empty() {
            let length = body.len();
            let _ = write!(into, "content-type: application/json\r\ncontent-length: {length}\r\n");
        }
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(body.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_json_and_names_tell_cases_apart() {
        let cases = all();
        let names: std::collections::BTreeSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in cases {
            if let Ask::Filter(body) = case.ask {
                serde_json::from_str::<serde_json::Value>(&body).unwrap();
            }
        }
    }
}
