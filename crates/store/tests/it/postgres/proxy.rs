//! Something between a store and its server that can cut the connection at a COMMIT.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What happens to the next COMMITs that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Cut {
    /// They pass.
    #[default]
    Never,
    /// The server hears of none of so many, and both ends are closed.
    Before(usize),
    /// The server gets one, and its answer does not come through.
    After,
    /// The same, and nobody is let in any more.
    AfterAndForGood,
    /// The server hears of none, nor of the connection's end.
    Frozen,
    /// Nobody is let in.
    Closed,
}

/// The proxy. It ends with the runtime.
pub(super) struct Proxy {
    address: SocketAddr,
    cut: Arc<Mutex<Cut>>,
}

impl Proxy {
    /// Starts one in front of a server.
    pub(super) async fn start(host: &str, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy =
            Self { address: listener.local_addr().unwrap(), cut: Arc::new(Mutex::default()) };
        let (target, cut) = ((host.to_owned(), port), Arc::clone(&proxy.cut));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *cut.lock().unwrap() == Cut::Closed {
                    continue;
                }
                #[expect(clippy::disallowed_methods, reason = "a proxy connects")]
                let server = TcpStream::connect(target.clone()).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&cut)));
            }
        });
        proxy
    }

    /// The URL of a database by way of the proxy.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://meishi@{}/{database}", self.address)
    }

    /// Decides what happens from now on.
    pub(super) fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = cut;
    }

    /// What would happen now.
    pub(super) fn is(&self) -> Cut {
        *self.cut.lock().unwrap()
    }
}

/// What to do with a COMMIT, and what then is to be done with the next one.
fn decide(cut: &Mutex<Cut>) -> Cut {
    let mut cut = cut.lock().unwrap();
    let now = *cut;
    *cut = match now {
        Cut::Before(times) if times > 1 => Cut::Before(times - 1),
        Cut::AfterAndForGood | Cut::Closed => Cut::Closed,
        _ => Cut::Never,
    };
    now
}

async fn carry(mut client: TcpStream, mut server: TcpStream, cut: Arc<Mutex<Cut>>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                let asked = &asked[..read];
                let is_commit = asked.windows(7).any(|bytes| bytes == b"COMMIT\0");
                match if is_commit { decide(&cut) } else { Cut::Never } {
                    Cut::Never => {}
                    Cut::Before(_) | Cut::Closed => return,
                    Cut::After | Cut::AfterAndForGood => {
                        server.write_all(asked).await.unwrap();
                        drop(client);
                        // It is committed once the server answers.
                        let _ = server.read(&mut answered).await;
                        return;
                    }
                    Cut::Frozen => {
                        drop(client);
                        // Until the server puts an end to it.
                        while let Ok(1..) = server.read(&mut answered).await {}
                        return;
                    }
                }
                if server.write_all(asked).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
