//! Callers that write all the while, and what they were told.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use meishi_store::{Store, StoreError};
use tokio::task::JoinHandle;

use crate::conformance::{
    fields::{create, named},
    replay::every_account_is_as_its_events_tell,
    tenant::Tenant,
};

/// Callers at work.
pub(super) struct Load {
    callers: Vec<JoinHandle<Told>>,
    stopped: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

/// Names of contacts, by what their creation was answered.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) done: BTreeSet<String>,
    pub(super) refused: BTreeSet<String>,
    pub(super) in_doubt: BTreeSet<String>,
}

impl Load {
    /// Starts so many callers for each account.
    pub(super) fn start(tenants: &[Tenant], callers: usize) -> Self {
        let (stopped, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = tenants.iter().flat_map(|tenant| (0..callers).map(move |n| (tenant, n)));
        let callers = callers.map(|(tenant, caller)| {
            let (tenant, stopped, done) = (tenant.clone(), Arc::clone(&stopped), Arc::clone(&done));
            tokio::spawn(async move {
                let mut told = Told::default();
                for number in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("{} {caller} {number}", tenant.account);
                    let is_done = told.ask(&tenant, name).await;
                    done.fetch_add(usize::from(is_done), Ordering::Relaxed);
                }
                told
            })
        });
        Self { callers: callers.collect(), stopped, done }
    }

    /// Waits until calls succeed, some more than had so far.
    pub(super) async fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        let more = async {
            while self.done.load(Ordering::Relaxed) < before + 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), more).await.expect("no call succeeds");
    }

    /// Stops the callers and answers what they were told in all.
    pub(super) async fn stop(self) -> Told {
        self.stopped.store(true, Ordering::Relaxed);
        let mut told = Told::default();
        for caller in self.callers {
            let one = caller.await.unwrap();
            told.done.extend(one.done);
            told.refused.extend(one.refused);
            told.in_doubt.extend(one.in_doubt);
        }
        told
    }
}

impl Told {
    /// Asks for a contact of that name and notes the answer.
    async fn ask(&mut self, tenant: &Tenant, name: String) -> bool {
        match tenant.store.apply(tenant.cx(), vec![create(named(&name))], true).await {
            Ok(applied) => {
                assert!(applied.results[0].is_ok(), "{applied:?}");
                self.done.insert(name);
                return true;
            }
            Err(StoreError::Unavailable(_) | StoreError::Busy) => self.refused.insert(name),
            Err(StoreError::InDoubt(_)) => self.in_doubt.insert(name),
            Err(error) => panic!("{error:?}"),
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
        false
    }

    /// Fails unless what was acknowledged is there, once, and what was refused is not.
    pub(super) async fn holds(&self, tenants: &[Tenant]) {
        let mut names = BTreeSet::new();
        for tenant in tenants {
            for contact in tenant.snapshot().await {
                assert!(names.insert(contact.name.clone()), "{} twice", contact.name);
            }
        }
        let lost: Vec<_> = self.done.difference(&names).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let refused: Vec<_> = self.refused.intersection(&names).collect();
        assert!(refused.is_empty(), "refused and done: {refused:?}");
        let known = self.done.len() + self.in_doubt.intersection(&names).count();
        assert_eq!(names.len(), known, "there is what nobody asked for");
        every_account_is_as_its_events_tell(&tenants[0].store).await;
    }
}

/// Accounts in one store.
pub(super) async fn tenants(store: &Arc<dyn Store>, count: usize) -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for number in 0..count {
        tenants.push(Tenant::new(store, &format!("account {number}")).await);
    }
    tenants
}
