//! A real server on a real socket, and the bare words of HTTP.

use std::{io, net::SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use meishi_server::serve;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{answer::Answer, app::Tenant};

/// A server that listens until it is stopped.
pub(crate) struct TcpServer {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl TcpServer {
    pub(crate) async fn start(tenant: &Tenant) -> Self {
        Self::listen(tenant, TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    /// A server on a socket of the test's own.
    pub(crate) fn listen(tenant: &Tenant, listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            stopped.await.unwrap();
        };
        let served = tokio::spawn(serve::serve(listener, tenant.app.clone(), stopped));
        Self { address, stop, served }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(connect(self.address).await.unwrap())
    }

    /// A connection whose receiver takes no more than so many bytes before they are read.
    #[expect(clippy::disallowed_methods, reason = "a caller connects")]
    pub(crate) async fn connect_narrowly(&self, bytes: u32) -> Connection {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        Connection(socket.connect(self.address).await.unwrap())
    }

    /// Tells the server to stop; what comes back ends when the last request is done.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.served
    }
}

/// A connection to whoever listens there.
#[expect(clippy::disallowed_methods, reason = "a caller connects")]
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}

/// One connection to the server.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Whatever comes until the connection ends, or breaks.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    /// Reads one answer; `None` when the server closes instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse::<u16>().unwrap();
        let headers: HeaderMap = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        Some(Answer::new(status, headers, String::from_utf8(body).unwrap()))
    }
}
