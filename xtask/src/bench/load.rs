//! The load: connections that each send one request after another and wait for its answer.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::Semaphore,
    task::LocalSet,
};

/// What one measurement gave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Answers a second, of those that were 2xx.
    pub(super) rate: f64,
    /// Milliseconds, by which half of them came.
    pub(super) p50: f64,
    /// Milliseconds, by which 99 of 100 came.
    pub(super) p99: f64,
    /// The share of answers that were 503.
    pub(super) refused: f64,
}

/// One measurement: so many connections, for so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) server: SocketAddr,
    pub(super) connections: usize,
    /// So many of the connections wait for an answer at a time at most, each in its turn.
    pub(super) at_once: usize,
    pub(super) time: Duration,
}

impl Load {
    /// Measures after a fifth of the time to warm up. Any answer but 2xx and 503 is an error. Where no
    /// answer comes in time, what comes late counts, for the time that it takes.
    pub(super) fn run(self, mut requests: impl FnMut(&mut Vec<u8>) + 'static) -> Result<Figures> {
        let warm = Instant::now() + self.time / 5;
        let end = warm + self.time;
        let next = move |buffer: &mut Vec<u8>| {
            requests(buffer);
            (Instant::now() < end).then_some(())
        };
        let taken = exchange_all(self.server, self.connections, self.at_once, Box::new(next))?;
        let in_time = taken.iter().any(|answer| answer.at >= warm && answer.at < end);
        let last = taken.iter().map(|answer| answer.at).max().unwrap_or(end);
        let end = if in_time { end } else { last };
        let within = |answer: &&Answer| answer.at >= warm && answer.at <= end;
        let mut micros: Vec<u32> = Vec::new();
        let mut refused = 0;
        for answer in taken.iter().filter(within) {
            if answer.refused { refused += 1 } else { micros.push(answer.micros) }
        }
        micros.sort_unstable();
        let count = micros.len();
        let percentile = |share: usize| {
            let micros = micros.get((count * share / 100).min(count.saturating_sub(1)));
            f64::from(micros.copied().unwrap_or_default()) / 1000.0
        };
        Ok(Figures {
            rate: as_f64(count) / (end - warm).as_secs_f64(),
            p50: percentile(50),
            p99: percentile(99),
            refused: as_f64(refused) / as_f64(count + refused),
        })
    }
}

/// Sends all requests there are.
pub(super) fn each(
    server: SocketAddr,
    connections: usize,
    requests: impl FnMut(&mut Vec<u8>) -> Option<()> + 'static,
) -> Result<()> {
    exchange_all(server, connections, connections, Box::new(requests)).map(drop)
}

/// Writes the next request, unless there is none.
type Requests = Box<dyn FnMut(&mut Vec<u8>) -> Option<()>>;

/// What is noted of an answer.
#[derive(Debug, Clone, Copy)]
struct Answer {
    at: Instant,
    micros: u32,
    refused: bool,
}

struct Shared {
    turns: Semaphore,
    next: RefCell<Requests>,
    answers: RefCell<Vec<Answer>>,
}

fn exchange_all(
    server: SocketAddr,
    connections: usize,
    at_once: usize,
    next: Requests,
) -> Result<Vec<Answer>> {
    let turns = Semaphore::new(at_once);
    let shared = Rc::new(Shared { turns, next: next.into(), answers: RefCell::default() });
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    let handles: Vec<_> = (0..connections)
        .map(|_| tasks.spawn_local(connection(server, Rc::clone(&shared))))
        .collect();
    tasks.spawn_local(stay_awake());
    tasks.block_on(&runtime, async {
        for handle in handles {
            handle.await??;
        }
        anyhow::Ok(())
    })?;
    Ok(shared.answers.take())
}

/// Keeps the load's core busy. Where it slept, a server would pay for waking it with each answer: the
/// slower the server, the more often, so that a share of the reference would tell of that too.
async fn stay_awake() {
    loop {
        tokio::task::yield_now().await;
    }
}

async fn connection(server: SocketAddr, shared: Rc<Shared>) -> Result<()> {
    let mut client = Client::connect(server).await?;
    let mut request = Vec::new();
    loop {
        request.clear();
        let turn = shared.turns.acquire().await?;
        if (shared.next.borrow_mut())(&mut request).is_none() {
            return Ok(());
        }
        let begun = Instant::now();
        let head = client.exchange(&request).await?;
        let at = Instant::now();
        drop(turn);
        let Head { status, retry_after, .. } = head;
        let refused = status == 503;
        ensure!(
            refused || (200..300).contains(&status),
            "the server answered {status}: {}",
            client.text()
        );
        let micros = u32::try_from(at.duration_since(begun).as_micros()).unwrap_or(u32::MAX);
        shared.answers.borrow_mut().push(Answer { at, micros, refused });
        if refused {
            // As a client does that reads what it is told.
            let pause = retry_after.context("503 without Retry-After")?;
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
    }
}

/// Room for most answers. There are thousands of connections, and each keeps what it grew to.
const ANSWER_BYTES: usize = 4096;

/// One connection.
pub(super) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(server: SocketAddr) -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "a caller connects")]
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(ANSWER_BYTES) })
    }

    /// Sends a request, reads its answer to the end, and tells its head.
    async fn exchange(&mut self, request: &[u8]) -> Result<Head> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut head = None;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            if head.is_none() {
                head = head_of(&self.buffer)?;
            }
            if let Some(head) = head
                && self.buffer.len() >= head.end
            {
                return Ok(head);
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    /// Where the body ends.
    end: usize,
    /// Seconds after which to ask again.
    retry_after: Option<u64>,
}

/// Reads the head of an answer, once it is there. All answers tell their length.
fn head_of(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let number = |wanted: &str| {
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        header.and_then(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let length = number("content-length").context("no content-length")?;
    Ok(Some(Head {
        status: status.context("no status")?.parse()?,
        end: end + 4 + usize::try_from(length)?,
        retry_after: number("retry-after"),
    }))
}

/// Sends one request and answers the body, which must come with a 2xx.
pub(super) fn call(server: SocketAddr, request: &[u8]) -> Result<String> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::connect(server).await?;
        let status = client.exchange(request).await?.status;
        let text = client.text();
        ensure!((200..300).contains(&status), "the server answered {text}");
        Ok(text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let bytes = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 3\r\n\r\nabc";
        let head = head_of(bytes).unwrap().unwrap();
        assert_eq!((head.status, head.end, head.retry_after), (503, bytes.len(), Some(2)));
        assert!(head_of(b"HTTP/1.1 200 OK\r\n").unwrap().is_none());
        assert!(head_of(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
