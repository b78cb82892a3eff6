//! The addresses of a name.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::Arc,
};

use futures::future::BoxFuture;
use meishi_contacts::limits::EGRESS_LOOKUPS;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Who knows the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// All of them, the best one first. Fails where there is none.
    fn addresses(&self, name: String) -> BoxFuture<'_, io::Result<Vec<IpAddr>>>;
}

/// The machine's resolver, with its files and its order.
#[derive(Debug)]
pub struct SystemLookup(Arc<Semaphore>);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(EGRESS_LOOKUPS)))
    }
}

impl Lookup for SystemLookup {
    fn addresses(&self, name: String) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let permit = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
            // The call cannot be broken off: it keeps its permit until it ends, so that a resolver
            // that hangs takes no more threads than there are permits.
            let found = spawn_blocking(move || {
                let _permit = permit;
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this is the one place that looks up"
                )]
                let found = (name.as_str(), 0).to_socket_addrs();
                found.map(|addresses| addresses.map(|address| address.ip()).collect())
            });
            found.await.map_err(io::Error::other)?
        })
    }
}
