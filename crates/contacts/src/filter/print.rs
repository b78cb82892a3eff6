//! A filter as JSON: what a segment keeps and what a cursor is bound to. Read again, with the same
//! time and definitions, it is the same filter.

use serde_json::{Map, Value, json};

use super::{Condition, Filter, operator::Arity};

impl Filter {
    /// The filter in its grouped form. The same filter always has the same text.
    pub fn to_json(&self) -> Value {
        let group = |name: &str, members: Value| {
            Value::Object(Map::from_iter([(name.to_owned(), members)]))
        };
        match self {
            Self::And(filters) => group("and", filters.iter().map(Self::to_json).collect()),
            Self::Or(filters) => group("or", filters.iter().map(Self::to_json).collect()),
            Self::Not(filter) => group("not", filter.to_json()),
            Self::Is(condition) => condition.to_json(),
        }
    }
}

impl Condition {
    fn to_json(&self) -> Value {
        let mut json = json!({
            "attribute_key": self.subject.key(),
            "filter_operator": self.operator.as_str(),
        });
        if let Some(members) = json.as_object_mut()
            && self.operator.arity() != Arity::None
        {
            members.insert("values".to_owned(), self.values.clone().into());
        }
        json
    }
}
