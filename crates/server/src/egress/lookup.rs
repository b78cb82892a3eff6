//! The addresses of a name.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use meishi_contacts::{
    AccountId,
    limits::{EGRESS_ACCOUNT_LOOKUPS, EGRESS_LOOKUPS},
};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// Who knows the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// All of them, the best one first; `account` is whose wish it is. Fails where there is none.
    fn addresses(&self, account: AccountId, name: String)
    -> BoxFuture<'_, io::Result<Vec<IpAddr>>>;
}

/// The machine's resolver, with its files and its order.
#[derive(Debug)]
pub struct SystemLookup {
    at_once: Arc<Semaphore>,
    /// Those of each account that had names looked up: a name server that hangs is waited for by
    /// the account that named it.
    of_accounts: Mutex<HashMap<AccountId, Arc<Semaphore>>>,
}

impl Default for SystemLookup {
    fn default() -> Self {
        let at_once = Arc::new(Semaphore::new(EGRESS_LOOKUPS));
        Self { at_once, of_accounts: Mutex::default() }
    }
}

impl SystemLookup {
    /// A place among the account's look-ups, and then one among all.
    async fn permits(
        &self,
        account: AccountId,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), AcquireError> {
        let of_account = {
            let mut all = self.of_accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(EGRESS_ACCOUNT_LOOKUPS));
            Arc::clone(all.entry(account).or_insert_with(new))
        };
        let first = of_account.acquire_owned().await?;
        Ok((first, Arc::clone(&self.at_once).acquire_owned().await?))
    }
}

impl Lookup for SystemLookup {
    fn addresses(
        &self,
        account: AccountId,
        name: String,
    ) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let permits = self.permits(account).await.map_err(io::Error::other)?;
            // The call cannot be broken off: it keeps its permits until it ends, so that a resolver
            // that hangs takes no more threads than there are permits.
            let found = spawn_blocking(move || {
                let _permits = permits;
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn an_account_whose_names_hang_leaves_room_for_others() {
        let lookup = SystemLookup::default();
        let ask = |account| lookup.permits(AccountId(account)).now_or_never();
        let hanging: Vec<_> = (0..EGRESS_ACCOUNT_LOOKUPS).map(|_| ask(1).unwrap()).collect();
        assert!(ask(1).is_none(), "the account has its share");
        let other = ask(2).unwrap();
        assert!(other.is_ok());
        drop(hanging);
        assert!(ask(1).is_some());
    }
}
