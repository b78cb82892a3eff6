//! Who did it, as two columns.

use meishi_contacts::{Actor, KeyId};

/// The columns `actor` and `actor_id` of an event.
pub(crate) fn actor_columns(actor: Actor) -> (&'static str, Option<i64>) {
    match actor {
        Actor::Key(id) => ("key", Some(id.0)),
        Actor::System => ("system", None),
    }
}

/// The actor that those columns name.
pub(crate) fn actor(actor: &str, id: Option<i64>) -> Option<Actor> {
    match (actor, id) {
        ("key", Some(id)) => Some(Actor::Key(KeyId(id))),
        ("system", None) => Some(Actor::System),
        _ => None,
    }
}
