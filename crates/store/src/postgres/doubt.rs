//! A commit whose answer was lost: finding out whether it took place.

use std::time::Duration;

use futures::future::BoxFuture;

use super::error::Error;

/// How long it is tried.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks again and again; `None` where it cannot be found out in time. `look` has to wait for the
/// end of the transaction, if it is still under way.
pub(super) async fn took_place<'a>(
    look: impl Fn() -> BoxFuture<'a, Result<bool, Error>>,
) -> Option<bool> {
    let looking = async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(error) => tracing::warn!(%error, "a commit is still in doubt"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.ok()
}
