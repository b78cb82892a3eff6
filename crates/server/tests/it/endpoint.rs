//! An endpoint that the service sends requests to: it does what it is told with each connection, and
//! keeps what it was sent.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// An answer without a body.
pub(crate) const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    /// Its first line.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A listener on a port of its own.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    received: mpsc::UnboundedReceiver<Received>,
}

/// One connection to it.
pub(crate) struct Visit<S = TcpStream> {
    pub(crate) stream: S,
    kept: mpsc::UnboundedSender<Received>,
}

impl Endpoint {
    /// One that does so with every connection.
    pub(crate) async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(Visit) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let (kept, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(Visit { stream, kept: kept.clone() }));
            }
        });
        Self { address, connections, received }
    }

    /// One that answers every request with that.
    pub(crate) async fn answering(answer: &str) -> Self {
        let answer: Arc<str> = answer.into();
        Self::start(move |mut visit| {
            let answer = Arc::clone(&answer);
            async move {
                visit.request().await;
                visit.answer(answer.as_bytes()).await;
            }
        })
        .await
    }

    /// Its URL, by its address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections it has had.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// One that answers each request with what the test makes of its body.
    pub(crate) async fn deciding(
        answer: impl Fn(&str) -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |mut visit| {
            let answer = answer.clone();
            async move {
                let body = visit.request().await;
                visit.answer(answer(&body).as_bytes()).await;
            }
        })
        .await
    }

    /// What it was sent since it was asked last.
    pub(crate) fn all_received(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }

    /// The next request that it was sent.
    pub(crate) async fn received(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Visit<S> {
    /// The same visit over another stream, which is made of this one.
    pub(crate) async fn over<T, E>(
        self,
        wrap: impl AsyncFnOnce(S) -> Result<T, E>,
    ) -> Result<Visit<T>, E> {
        Ok(Visit { stream: wrap(self.stream).await?, kept: self.kept })
    }

    /// Reads one request and keeps it; answers its body.
    pub(crate) async fn request(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: HeaderMap = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let length = headers["content-length"].to_str().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        // A test that looks at no request has dropped the other end.
        let _ = self.kept.send(Received { line, headers, body: body.clone() });
        body
    }

    /// Answers, and waits for the caller to close.
    pub(crate) async fn answer(&mut self, answer: &[u8]) {
        self.stream.write_all(answer).await.unwrap();
        self.stream.shutdown().await.unwrap();
        let _ = self.stream.read(&mut [0; 1]).await;
    }
}
