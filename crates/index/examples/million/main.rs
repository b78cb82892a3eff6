//! What the index takes and answers at a million contacts: `cargo run --release -p meishi-index
//! --example million [contacts [load|lists]]`, with `load` no more than it takes to load one, with
//! `lists` no more than the lists of all contacts, too. One caller; the times are those that the processor was at work, of a thousand calls or a second's, so that
//! a busy machine does not count.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program that measures, for people"
)]

mod people;

use std::{fs::File, time::Duration};

use meishi_contacts::{
    AccountId, Actor, Card, Contact, ContactId, Event, EventBody, Field, FieldChange, Filter,
    Query, Seq, Slice, SortField, SortKey, TextQuery, UnixMillis, Version,
    filter::Reading,
    order::{DEFAULT_ORDER, NEAR_ORDER},
};
use meishi_index::{Answer, Index, Stamp};

use crate::people::People;

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long this thread was at work at some moment.
struct Cpu(Duration);

impl Cpu {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let people = People::new();
    let before = anonymous_memory();

    let (plain, pushing, finishing) = load(&people, count, usize::MAX);
    report("load without grams", pushing + finishing, before, &plain);
    println!("  push               {:>8.2} s", pushing.as_secs_f64());
    println!("  finish             {:>8.2} s", finishing.as_secs_f64());
    drop(plain);

    let (mut index, pushing, with_grams) = load(&people, count, 0);
    report("load", pushing + with_grams, before, &index);
    let grams = with_grams.saturating_sub(finishing);
    println!("  grams and words    {:>8.2} s", grams.as_secs_f64());
    match std::env::args().nth(2).as_deref() {
        Some("load") => return,
        Some("lists") => return lists(&index),
        _ => {}
    }

    snapshot(&index);

    println!("{:<44}{:>9}{:>10}{:>10}", "query", "matches", "p50 ms", "p99 ms");
    search(&index, &people, count);
    lists(&index);
    filters(&index);
    changes(&mut index, &people, count);
    println!(
        "memory at the end    {:>8.0} MB, {:.0} estimated",
        anonymous_memory() - before,
        mb(&index)
    );
}

/// Loads an index as a server does, in slices, and tells how long it took to add the contacts and
/// to finish.
fn load(people: &People, count: i64, grams_from: usize) -> (Index, Duration, Duration) {
    let mut builder = Index::builder().grams_from(grams_from).expecting(count.cast_unsigned());
    let mut pushing = Duration::ZERO;
    for from in (1..=count).step_by(1000) {
        let slice = from..=count.min(from + 999);
        let contacts: Vec<Contact> = slice.map(|number| people.contact(number)).collect();
        let start = Cpu::now();
        for contact in &contacts {
            builder.push(contact);
        }
        pushing += start.elapsed();
    }
    let start = Cpu::now();
    let index = builder.finish(Seq(0));
    (index, pushing, start.elapsed())
}

fn report(what: &str, time: Duration, before: f64, index: &Index) {
    println!("{what:<20} {:>8.2} s", time.as_secs_f64());
    println!(
        "  memory             {:>8.0} MB, {:.0} estimated",
        anonymous_memory() - before,
        mb(index)
    );
}

/// Writes the index to a file, and reads that as a start would.
fn snapshot(index: &Index) {
    let path = std::env::temp_dir().join(format!("meishi-million-{}", std::process::id()));
    let stamp = Stamp {
        program: String::new(),
        database: String::new(),
        epoch: 1,
        account: AccountId(1),
        seq: index.seq(),
        event: [0; 32],
    };
    let start = Cpu::now();
    let mut file = File::create(&path).expect("the directory takes a file");
    index.write(&stamp, &mut file).expect("the file can be written");
    let writing = start.elapsed();
    file.sync_all().expect("the file can be synced");
    drop(file);
    let mut file = File::open(&path).expect("the file is there");
    let bytes = file.metadata().map_or(0, |known| known.len());
    let before = anonymous_memory();
    let start = Cpu::now();
    let (_, read) = Index::read(&mut file, bytes).expect("the file is whole");
    let reading = start.elapsed();
    println!(
        "snapshot: {:.0} MB, written in {:.2} s, read in {:.2} s",
        bytes as f64 / 1e6,
        writing.as_secs_f64(),
        reading.as_secs_f64(),
    );
    println!(
        "  memory of what was read {:>3.0} MB, {:.0} estimated",
        anonymous_memory() - before,
        mb(&read)
    );
    std::fs::remove_file(&path).expect("the file can be removed");
}

fn search(index: &Index, people: &People, count: i64) {
    let rare = (count / 2..count).map(|number| people.contact(number));
    let mut rare = rare.filter(|one| one.email.is_some() && one.phone_number.is_some());
    let rare = rare.next().unwrap_or_else(|| people.contact(1));
    let email = rare.email.as_ref().map(ToString::to_string).unwrap_or_default();
    let phone = rare.phone_number.as_ref().map(ToString::to_string).unwrap_or_default();
    let key = |field, descending| vec![SortKey { field, descending }];
    let latest = DEFAULT_ORDER.to_vec();
    for (what, q) in [
        ("nothing", "xqzwvy"),
        ("rare: an e-mail address", email.as_str()),
        ("phone part", phone.get(4..9).unwrap_or_default()),
        ("phone, written with blanks", "+49 (151) 234"),
        ("two Han characters", "王芳"),
        ("three Han characters", "王小明"),
        ("one Han character", "王"),
        ("Hangul", "김민준"),
        ("Kana", "サクラ"),
        ("Thai", "ใจดี"),
        ("Arabic", "محمد"),
        ("Cyrillic", "иванов"),
        ("two Latin letters", "qx"),
        ("three Latin letters", "ann"),
        ("a name of two words", "maria hernandez"),
        ("a word of many", "hernandez"),
        ("a word of very many", "gmail"),
    ] {
        time(index, what, &query(Some(q), false, latest.clone(), 0));
    }
    for field in FIELDS {
        let what = format!("  a word of many by {}", field.as_str());
        time(index, &what, &query(Some("hernandez"), false, key(field, false), 0));
    }
    time(index, "  a word of many, page 1,000", &query(Some("hernandez"), false, latest, 15_000));
    for q in ["hernandes", "stehpanie", "katherina scneider", "anan", "пертров", "xqzwvyxq"]
    {
        let what = format!("misspelt: {q}");
        time(index, &what, &query(Some(q), true, NEAR_ORDER.to_vec(), 0));
    }
    let text = TextQuery::parse("hernandes");
    let start = Cpu::now();
    let names = text.as_ref().map(|text| index.did_you_mean(text)).unwrap_or_default();
    println!("did you mean {names:?}: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
}

const FIELDS: [SortField; 10] = [
    SortField::Relevance,
    SortField::Name,
    SortField::Email,
    SortField::PhoneNumber,
    SortField::LastActivityAt,
    SortField::CreatedAt,
    SortField::CompanyName,
    SortField::City,
    SortField::Country,
    SortField::Id,
];

fn filters(index: &Index) {
    let asks = |key: &str, operator: &str, value: &str| {
        format!(
            r#"{{"attribute_key":"{key}","filter_operator":"{operator}","values":["{value}"]}}"#
        )
    };
    let three = [
        asks("plan", "equal_to", "plan 3"),
        asks("seats", "is_greater_than", "100"),
        asks("labels", "equal_to", "label 7"),
    ];
    for (what, filter) in [
        ("label", asks("labels", "equal_to", "label 7")),
        ("text", asks("plan", "equal_to", "PLAN 3")),
        ("number", asks("seats", "is_greater_than", "400")),
        ("number, hardly two alike", asks("value", "is_less_than", "500.25")),
        ("date", asks("since", "is_greater_than", "2024-05-01")),
        ("boolean", asks("beta", "equal_to", "true")),
        ("not equal", asks("plan", "not_equal_to", "plan 3")),
        ("city contains", asks("city", "contains", "an")),
        ("e-mail ends", asks("email", "ends_with", "@gmail.com")),
        ("creation", asks("created_at", "is_greater_than", "2024-05-01")),
        ("three conditions", format!(r#"{{"and":[{}]}}"#, three.join(","))),
    ] {
        let json = serde_json::from_str(&filter).unwrap_or_default();
        let filter = Filter::from_json(&json, &Reading::untyped(UnixMillis(0)));
        for field in [SortField::LastActivityAt, SortField::Name] {
            let order = vec![SortKey { field, descending: true }];
            let query = Query {
                filter: filter.clone().ok(),
                resolved: true,
                ..query(None, false, order, 0)
            };
            time(index, &format!("filter: {what}, by {}", field.as_str()), &query);
        }
    }
}

fn lists(index: &Index) {
    time(index, "list", &query(None, false, DEFAULT_ORDER.to_vec(), 0));
    time(index, "list, page 1,000", &query(None, false, DEFAULT_ORDER.to_vec(), 15_000));
    for field in FIELDS.into_iter().skip(1) {
        for descending in [false, true] {
            let order = vec![SortKey { field, descending }];
            let what = format!("list by {}{}", if descending { "-" } else { "" }, field.as_str());
            time(index, &what, &query(None, false, order.clone(), 0));
            if !descending {
                let what = format!("{what}, page 1,000");
                let deep = query(None, false, order, 15_000);
                time(index, &what, &deep);
                if let Answer::Exact { next, .. } = index.query(&deep) {
                    let after = Query { after: next, slice: SLICE, ..deep };
                    time(index, "  the page after, by cursor", &after);
                }
            }
        }
    }
}

fn changes(index: &mut Index, people: &People, count: i64) {
    let mut seq = 0;
    let mut event = |body| {
        seq += 1;
        let (seq, at, actor) = (Seq(seq), UnixMillis(0), Actor::System);
        Event { seq, at, actor, request_id: String::new(), body }
    };
    let mut random = fastrand::Rng::with_seed(7);
    let mut ids: Vec<i64> = (1..=count).collect();
    random.shuffle(&mut ids);
    let mut ids = ids.into_iter().map(ContactId);
    let mut patch = |change: &dyn Fn(ContactId) -> FieldChange, wanted: usize| -> Vec<Event> {
        ids.by_ref()
            .take(wanted)
            .map(|id| {
                let body = EventBody::ContactUpdated {
                    id,
                    version: Version::FIRST.next(),
                    changes: vec![change(id)],
                };
                event(body)
            })
            .collect()
    };
    let attribute = patch(
        &|_| {
            let change = FieldChange::of(Field::CustomAttributes, "a", "b");
            FieldChange { key: Some("plan".to_owned()), ..change }
        },
        50_000,
    );
    apply(index, "PATCH of an attribute", &attribute);
    let touched =
        patch(&|id| FieldChange::of(Field::LastActivityAt, 1, 1_700_000_000 + id.0), 50_000);
    apply(index, "PATCH of the last activity", &touched);
    let renamed =
        patch(&|id| FieldChange::of(Field::Name, "", people.contact(id.0 + 77).name), 50_000);
    apply(index, "PATCH of the name", &renamed);
    let created: Vec<Event> = (1..=50_000)
        .map(|number| {
            let contact = people.contact(count + number);
            let card = Card { contact, contact_inboxes: Vec::new() };
            event(EventBody::ContactCreated(card))
        })
        .collect();
    apply(index, "create", &created);
}

fn apply(index: &mut Index, what: &str, events: &[Event]) {
    let mut times: Vec<Duration> = Vec::new();
    for event in events {
        let start = Cpu::now();
        let applied = index.apply(event);
        times.push(start.elapsed());
        assert_eq!(applied, Ok(()), "the event fits");
    }
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    println!(
        "{what:<28} mean {:>6.2} µs, p99 {:>6.1} µs",
        sum.as_secs_f64() * 1e6 / times.len() as f64,
        p99.as_secs_f64() * 1e6
    );
}

const SLICE: Slice = Slice { offset: 0, limit: 15 };

fn query(q: Option<&str>, misspelt: bool, order: Vec<SortKey>, offset: usize) -> Query {
    let text = q.and_then(TextQuery::parse);
    let text = if misspelt { text.map(TextQuery::misspelt) } else { text };
    Query {
        text,
        labels: Vec::new(),
        filter: None,
        resolved: false,
        order,
        after: None,
        slice: Slice { offset, ..SLICE },
    }
}

fn time(index: &Index, what: &str, query: &Query) {
    let mut total = 0;
    let mut times = Vec::new();
    let first = Cpu::now();
    let _ = index.query(query);
    let first = first.elapsed();
    let begin = Cpu::now();
    while times.len() < 1000 && (times.len() < 20 || begin.elapsed() < Duration::from_secs(1)) {
        let start = Cpu::now();
        let answer = index.query(query);
        times.push(start.elapsed());
        if let Answer::Exact { total: all, .. } = answer {
            total = all;
        }
    }
    times.sort_unstable();
    let at = |share: usize| {
        times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or_default()
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (p50, p99) = (ms(at(50)), ms(at(99)));
    let slow = first > at(99) * 4 && first > Duration::from_millis(5);
    let note = if slow { format!("   the first {:.0} ms", ms(first)) } else { String::new() };
    println!("{what:<44}{total:>9}{p50:>10.3}{p99:>10.3}{note}");
}

fn mb(index: &Index) -> f64 {
    index.bytes() as f64 / 1e6
}

/// Megabytes of memory that no file backs.
fn anonymous_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or_default() * 1024.0 / 1e6
}
