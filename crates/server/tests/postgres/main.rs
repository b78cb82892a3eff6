//! The tests of `tests/it` once more, on PostgreSQL, since `app::open_store` goes by the name of
//! this target. A new one belongs there and is here by itself; `trips.rs` is about what only a
//! database across a network has.

#[path = "../it/main.rs"]
mod it;
mod trips;

use it::{answer, app, endpoint, routes, tcp};
