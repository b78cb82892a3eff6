//! What streams that are open and say nothing cost the server, and how soon all of them hear of a
//! change.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::server::{Scratch, Server};
use crate::shell;

/// Streams, all of one account.
const STREAMS: u32 = 5000;

/// How long they are watched.
const WATCHED: Duration = Duration::from_secs(30);

/// How long one may take to say what it is expected to say.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures, and answers the section of the page that tells of it.
pub(super) fn section(meishi: &Path) -> Result<String> {
    let scratch = Scratch::new()?;
    let data = scratch.path().join("data");
    let first =
        shell::capture(shell::command(meishi).args(["init", "--json", "--data-dir"]).arg(&data))?;
    let first: Value = serde_json::from_str(&first)?;
    let secret = first.get("api_secret").and_then(Value::as_str).context("no secret")?;
    let mut serve = shell::command(meishi);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data-dir"]).arg(&data);
    let server = Server::start(&mut serve, &scratch.path().join("log"))?;
    let address = server.origin().trim_start_matches("http://").parse()?;

    // One comes and goes before, so that what everybody needs is there.
    open(address, secret)?;
    thread::sleep(Duration::from_secs(2));
    let before = resident(server.id())?;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(open(address, secret).context("is `ulimit -n` above 6000?")?);
    }
    let (ticks, begun) = (ticks(server.id())?, Instant::now());
    thread::sleep(WATCHED);
    let spent = seconds(self::ticks(server.id())? - ticks)? / begun.elapsed().as_secs_f64();
    let each = (resident(server.id())? - before) / f64::from(STREAMS);

    let told = Instant::now();
    create(address, secret)?;
    for stream in &mut streams {
        expect(stream, "event: contact.created")?;
    }
    let told = told.elapsed();
    drop(streams);
    server.stop()?;
    Ok(format!(
        "`cargo xtask bench streams` opens {STREAMS} streams of one account on the \
         embedded store and watches the server for {} s, two heartbeats. Then a contact is created, \
         and each stream read until it tells so. Raise `ulimit -n` above 6,000 first.\n\n\
         | what | |\n|---|---|\n\
         | memory of a stream, its connection included | {each:.1} KiB |\n\
         | processor time of all {STREAMS}, heartbeats and checks of their keys included | {:.1} % of a core |\n\
         | from the call that creates a contact to its event on the last stream | {} ms |\n",
        WATCHED.as_secs(),
        spent * 100.0,
        told.as_millis(),
    ))
}

/// A stream that has said hello.
#[expect(clippy::disallowed_methods, reason = "a caller connects")]
fn open(address: SocketAddr, secret: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "GET /api/v2/accounts/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    expect(&mut stream, "event: hello")?;
    Ok(stream)
}

#[expect(clippy::disallowed_methods, reason = "a caller connects")]
fn create(address: SocketAddr, secret: &str) -> Result<()> {
    let body = r#"{"inbox_id":1,"name":"Anna"}"#;
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "POST /api/v2/accounts/contacts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    expect(&mut stream, "HTTP/1.1 200")
}

/// Reads until the text comes.
fn expect(stream: &mut TcpStream, text: &str) -> Result<()> {
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    while !heard.contains(text) {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server said {heard:?} and no {text:?}");
        heard.push_str(&String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()));
    }
    Ok(())
}

/// KiB of memory that the process has.
fn resident(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmRSS")?.parse()?)
}

/// Processor time that the process has used.
fn ticks(process: u32) -> Result<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no fields")?;
    // The 14th and the 15th of all: user and system.
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().context("no times")?.parse::<u32>().context("no number");
    Ok(next()? + next()?)
}

fn seconds(ticks: u32) -> Result<f64> {
    let in_a_second = shell::capture(shell::command("getconf").arg("CLK_TCK"))?;
    Ok(f64::from(ticks) / in_a_second.trim().parse::<f64>()?)
}
