//! The tests of `tests/it` once more, on PostgreSQL, since `app::open_store` goes by the name of
//! this target. A new one belongs there and is here by itself.

#[path = "../it/main.rs"]
mod it;

use it::{answer, app, endpoint, routes, tcp};
