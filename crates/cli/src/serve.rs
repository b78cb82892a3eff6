//! `meishi serve`: from the configuration to the last request.

use std::{io::ErrorKind, net::SocketAddr};

use anyhow::Context as _;
use futures::FutureExt as _;
use meishi_server::{App, control, metrics, retention, serve, webhooks::Worker};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    config::{Config, Flags},
    init::FIRST_ACCOUNT,
    logging, operator,
    place::Place,
    table,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let config = args.flags.load()?;
    logging::install(&config)?;
    let place = config.place()?;
    let app = operator::open_soon(&place, config.settings()).await?;
    let served = serve_store(&config, &place, &app).await;
    app.directory.close().await;
    app.store.close().await;
    served
}

async fn serve_store(config: &Config, place: &Place, app: &App) -> anyhow::Result<()> {
    let listener = bind(&config.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let metrics = match config.metrics_listen {
        Some(address) => {
            let listener = bind(&address.to_string(), "--metrics-listen").await?;
            Some(metrics::serve(listener, metrics::install()?, app.clone()))
        }
        None => None,
    };
    let stop = stop_signal()?.shared();
    // On PostgreSQL commands open the store themselves.
    let socket = match place {
        Place::Directory(data_dir) => Some(operator::socket(data_dir)),
        Place::Postgres(..) => None,
    };
    let commands = socket.as_deref().map(control::bind);
    let first = control::create_account(app, FIRST_ACCOUNT.to_owned(), true).await?;
    table::print(&format!("listening on http://{address}\n"))?;
    match first {
        Some(created) => table::print(&welcome(&created, address))?,
        None => table::print(&serving(app, place).await?)?,
    }

    let background = async {
        let control = async {
            let listening = match (commands, &socket) {
                (Some(Ok(listener)), Some(socket)) => {
                    control::listen(app.clone(), listener, socket).await
                }
                (Some(Err(error)), _) => Err(error),
                (_, None) | (None, _) => Ok(()),
            };
            if let Err(error) = listening {
                tracing::warn!(%error, "the command line cannot reach this server");
            }
        };
        let metrics = async {
            if let Some(Err(error)) = futures::future::OptionFuture::from(metrics).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        };
        tokio::join!(control, metrics, retention::run(app));
        std::future::pending::<()>().await;
    };
    // A task of its own, so that its work is not in the way of connections.
    let webhooks = tokio::spawn(Worker::new(app.clone()).run(stop.clone()));
    // Another one, so that loads are not in the way of anybody.
    let indexes = tokio::spawn({
        let app = app.clone();
        async move { app.directory.keep(app.clock.now()).await }
    });
    let serving = async {
        serve::serve(listener, app.clone(), stop).await;
        if let Err(error) = webhooks.await {
            tracing::error!(%error, "webhooks are no longer told");
        }
    };
    tokio::select! {
        () = serving => {}
        () = background => {}
    }
    indexes.abort();
    // One that is left behind is replaced by the next start.
    if let Some(socket) = &socket {
        let _ = std::fs::remove_file(socket);
    }
    Ok(())
}

async fn bind(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow::anyhow!(
            "the address {address} is taken by another process; stop that one or choose another \
             address with {flag}"
        ),
        _ => anyhow::anyhow!(
            "cannot listen on {address} ({error}); choose another address with {flag}"
        ),
    })
}

/// Ends with the first SIGTERM or Ctrl-C. The second one ends the process.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be heard")?;
    let (first, stop) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            match first.take() {
                Some(first) => {
                    tracing::info!("stopping; requests in flight are finished first");
                    // The server may have stopped by itself.
                    let _ = first.send(());
                }
                None => std::process::exit(1),
            }
        }
    });
    Ok(async {
        // The task holds the sender for as long as the process lives.
        let _ = stop.await;
    })
}

/// What the very first start says: everything that a first call needs, and the call itself.
fn welcome(created: &Value, address: SocketAddr) -> String {
    let member = |name: &str| match created.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let (key, secret, inbox) = (member("api_key"), member("api_secret"), member("inbox_id"));
    let address = reachable(address);
    let account = member("account_id");
    format!(
        r#"
Made account {account} with the API channel {inbox} and an administrator key.
The secret is shown this once:

  API key     {key}
  API secret  {secret}
  Channel ID  {inbox}

Create a first contact:

  curl -u {key}:{secret} http://{address}/api/v2/accounts/contacts \
    -H 'Content-Type: application/json' \
    -d '{{"inbox_id": {inbox}, "name": "Alice", "email": "alice@example.com"}}'

"#
    )
}

/// What every later start says.
async fn serving(app: &App, place: &Place) -> anyhow::Result<String> {
    let accounts = app.store.accounts().await?;
    let mut contacts = 0;
    for account in &accounts {
        contacts += app.store.counts(account.id).await?.map_or(0, |counts| counts.contacts);
    }
    Ok(format!(
        "serving {} with {} from {place}\n",
        table::plural(i64::try_from(accounts.len())?, "account"),
        table::plural(contacts, "contact")
    ))
}

/// The address as this machine reaches it.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
