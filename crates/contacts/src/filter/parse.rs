//! A filter out of JSON, in either form, with every fault told at once.
//!
//! The flat form is Chatwoot's: `{"payload": [condition, …]}`, each condition joined to the next
//! by its `query_operator`, and `and` binds tighter than `or`. The grouped form is
//! `{"filter": group}`, where a group is a condition or `{"and": [group, …]}`, `{"or": [group, …]}`
//! or `{"not": group}`. A condition has `attribute_key`, `filter_operator` and `values` in both.

use serde_json::{Map, Value};

use super::{
    Condition, Filter, Reading, check,
    operator::{Arity, Operator},
    subject::Subject,
};
use crate::{
    fault::{Fault, FaultCode},
    limits::{
        FAULTS_PER_FIELD, FILTER_CONDITIONS, FILTER_DEPTH, FILTER_KEY_CHARS, FILTER_VALUE_BYTES,
        FILTER_VALUES,
    },
};

const PAYLOAD: &str = "payload";
const FILTER: &str = "filter";
const KEY: &str = "attribute_key";
const OPERATOR: &str = "filter_operator";
const VALUES: &str = "values";
const JOIN: &str = "query_operator";

impl Filter {
    /// Reads the body of a call: `payload` or `filter`. Fails with every fault, up to
    /// [`FAULTS_PER_FIELD`], each with a pointer into the body.
    pub fn parse(body: &Map<String, Value>, reading: &Reading<'_>) -> Result<Self, Vec<Fault>> {
        let sent = |name: &str| body.get(name).filter(|value| !value.is_null());
        let parsed = |field, parse: &dyn Fn(&mut Parser<'_>) -> Option<Self>| {
            let mut parser =
                Parser { field, reading, conditions: 0, values: 0, faults: Vec::new() };
            match parse(&mut parser) {
                Some(filter) if parser.faults.is_empty() => Ok(filter),
                _ => Err(parser.faults),
            }
        };
        match (sent(PAYLOAD), sent(FILTER)) {
            (Some(payload), None) => parsed(PAYLOAD, &|parser| parser.flat(payload)),
            (None, Some(group)) => {
                parsed(FILTER, &|parser| parser.group(group, &format!("/{FILTER}"), 0))
            }
            (None, None) => {
                Err(vec![Fault::new(PAYLOAD, FaultCode::Blank, "Payload can't be blank")])
            }
            (Some(_), Some(_)) => {
                Err(vec![Fault::invalid(FILTER, "must not be sent beside payload")])
            }
        }
    }

    /// Reads what [`Filter::to_json`] wrote.
    pub fn from_json(group: &Value, reading: &Reading<'_>) -> Result<Self, Vec<Fault>> {
        let body = Map::from_iter([(FILTER.to_owned(), group.clone())]);
        Self::parse(&body, reading)
    }
}

struct Parser<'a> {
    /// The member of the body that is read.
    field: &'static str,
    reading: &'a Reading<'a>,
    conditions: usize,
    values: usize,
    faults: Vec<Fault>,
}

impl Parser<'_> {
    fn fault(&mut self, code: FaultCode, pointer: String, message: impl Into<String>) {
        if self.faults.len() < FAULTS_PER_FIELD {
            self.faults.push(Fault::new(self.field, code, message).at(pointer));
        }
    }

    /// A limit is told once, however often it is exceeded.
    fn limit(&mut self, pointer: &str, problem: &str) {
        let message = Fault::invalid(self.field, problem).message;
        if !self.faults.iter().any(|fault| fault.message == message) {
            self.fault(FaultCode::LimitExceeded, pointer.to_owned(), message);
        }
    }

    fn flat(&mut self, payload: &Value) -> Option<Filter> {
        let Value::Array(conditions) = payload else {
            let message = Fault::invalid(self.field, "must be a list of conditions").message;
            self.fault(FaultCode::Invalid, format!("/{PAYLOAD}"), message);
            return None;
        };
        if conditions.is_empty() {
            self.fault(FaultCode::Blank, format!("/{PAYLOAD}"), "Payload can't be blank");
        }
        // What `or` stands between, each a run of conditions with `and` between them.
        let mut runs = vec![Vec::new()];
        for (number, value) in conditions.iter().enumerate() {
            let pointer = format!("/{PAYLOAD}/{number}");
            if self.is_full(&pointer) {
                return None;
            }
            let condition = self.condition(value, &pointer);
            if let (Some(run), Some(condition)) = (runs.last_mut(), condition) {
                run.push(Filter::Is(condition));
            }
            let is_last = number + 1 == conditions.len();
            if self.join(value.get(JOIN), is_last, &pointer) == Some(Join::Or) {
                runs.push(Vec::new());
            }
        }
        let runs = runs.into_iter().filter_map(|run| collapsed(run, Filter::And));
        collapsed(runs.collect(), Filter::Or)
    }

    /// What joins a condition to the next.
    fn join(&mut self, sent: Option<&Value>, is_last: bool, pointer: &str) -> Option<Join> {
        let word = match sent {
            None | Some(Value::Null) => "",
            Some(Value::String(word)) => word.as_str(),
            Some(_) => "?",
        };
        let join = [("and", Join::And), ("or", Join::Or)]
            .into_iter()
            .find_map(|(known, join)| known.eq_ignore_ascii_case(word.trim()).then_some(join));
        let pointer = format!("{pointer}/{JOIN}");
        match join {
            Some(_) if is_last => {
                let message = "Query operator must be left out of the last condition, which it \
                               would join to nothing";
                self.fault(FaultCode::Invalid, pointer, message);
                None
            }
            None if is_last && word.is_empty() => None,
            None => {
                let message = r#"Query operator must be either "AND" or "OR"."#;
                self.fault(FaultCode::Invalid, pointer, message);
                None
            }
            join => join,
        }
    }

    fn group(&mut self, value: &Value, pointer: &str, depth: usize) -> Option<Filter> {
        let members = value.as_object();
        let named = |name: &'static str| Some((name, members?.get(name)?));
        let mut groups = ["and", "or", "not"].into_iter().filter_map(named);
        let (group, further) = (groups.next(), groups.next());
        let has_key = members.is_some_and(|members| members.contains_key(KEY));
        let Some((name, value)) = group else {
            if self.is_full(pointer) {
                return None;
            }
            if let Some(join) = members.and_then(|members| members.get(JOIN))
                && !join.is_null()
            {
                let message = "Query operator belongs to the flat form (payload); a group joins \
                               its conditions itself";
                self.fault(FaultCode::Invalid, format!("{pointer}/{JOIN}"), message);
            }
            return self.condition(value, pointer).map(Filter::Is);
        };
        if further.is_some() || has_key {
            let message = "Filter must have either one of and, or, not, or a condition, at each \
                           place";
            self.fault(FaultCode::Invalid, pointer.to_owned(), message);
            return None;
        }
        if depth == FILTER_DEPTH {
            self.limit(
                pointer,
                &format!("is nested too deeply (maximum is {FILTER_DEPTH} groups)"),
            );
            return None;
        }
        let pointer = format!("{pointer}/{name}");
        if name == "not" {
            return Some(Filter::Not(Box::new(self.group(value, &pointer, depth + 1)?)));
        }
        let members = match value {
            Value::Array(members) if !members.is_empty() => members,
            _ => {
                let message =
                    format!("Filter must have a list of at least one condition in {name}");
                self.fault(FaultCode::Invalid, pointer, message);
                return None;
            }
        };
        let mut filters = Vec::new();
        for (number, member) in members.iter().enumerate() {
            let filter = self.group(member, &format!("{pointer}/{number}"), depth + 1);
            filters.extend(filter);
            if self.faults.len() == FAULTS_PER_FIELD {
                return None;
            }
        }
        collapsed(filters, if name == "and" { Filter::And } else { Filter::Or })
    }

    /// Counts a condition; whether there is one too many, or nothing more to say.
    fn is_full(&mut self, pointer: &str) -> bool {
        self.conditions += 1;
        if self.conditions > FILTER_CONDITIONS {
            let problem = format!("has too many conditions (maximum is {FILTER_CONDITIONS})");
            self.limit(pointer, &problem);
            return true;
        }
        self.faults.len() == FAULTS_PER_FIELD
    }

    fn condition(&mut self, value: &Value, pointer: &str) -> Option<Condition> {
        let Value::Object(members) = value else {
            let problem = "must have objects as conditions";
            let message = Fault::invalid(self.field, problem).message;
            self.fault(FaultCode::Invalid, pointer.to_owned(), message);
            return None;
        };
        let subject = self.subject(members, pointer);
        // A further fault of the same condition is told only where it does not follow from the first.
        let operator = self.operator(members.get(OPERATOR), subject.as_ref(), pointer);
        let values = self.values(members.get(VALUES), pointer);
        let (subject, operator, values) = (subject?, operator?, values?);
        let checks = self.checks(&subject, operator, &values, pointer)?;
        let values = if operator.arity() == Arity::None { Vec::new() } else { values };
        Some(Condition { subject, operator, values, checks })
    }

    fn subject(&mut self, members: &Map<String, Value>, pointer: &str) -> Option<Subject> {
        let pointer = format!("{pointer}/{KEY}");
        let sent = members.get(KEY);
        let key = sent.and_then(Value::as_str).unwrap_or_default();
        if key.len() > FILTER_KEY_CHARS && key.chars().count() > FILTER_KEY_CHARS {
            let problem = format!("has too long a key (maximum is {FILTER_KEY_CHARS} characters)");
            self.limit(&pointer, &problem);
            return None;
        }
        let model = members.get("attribute_model").and_then(Value::as_str).unwrap_or_default();
        let subject = match Subject::parse(key) {
            // A custom attribute may have the name of a field.
            Some(field)
                if matches!(model, "customAttributes" | "custom_attributes")
                    && field.name() == key =>
            {
                Subject::parse(&format!("custom_attributes.{key}"))
            }
            subject => subject,
        };
        let is_defined = |subject: &Subject| match subject {
            Subject::Custom(key) if self.reading.only_defined => {
                (self.reading.types)(key).is_some()
            }
            _ => true,
        };
        let subject = subject.filter(is_defined);
        if subject.is_none() {
            let sent =
                sent.map(|sent| sent.as_str().map_or_else(|| sent.to_string(), str::to_owned));
            let shown: String =
                sent.unwrap_or_default().chars().take(crate::limits::REPEATED_CHARS).collect();
            let names = Subject::names();
            let message = format!(
                "Invalid attribute key - [{shown}]. The key should be one of [{names}] or a custom \
                 attribute defined in the account."
            );
            self.fault(FaultCode::Invalid, pointer, message);
        }
        subject
    }

    fn operator(
        &mut self,
        sent: Option<&Value>,
        subject: Option<&Subject>,
        pointer: &str,
    ) -> Option<Operator> {
        let operator = sent.and_then(Value::as_str).and_then(Operator::parse);
        let subject = subject?;
        let allowed = subject.operators();
        let operator = operator.filter(|operator| allowed.contains(operator));
        if operator.is_none() {
            let names: Vec<&str> = allowed.iter().map(|operator| operator.as_str()).collect();
            let message = format!(
                "Invalid operator. The allowed operators for {} are [{}].",
                subject.name(),
                names.join(",")
            );
            self.fault(FaultCode::Invalid, format!("{pointer}/{OPERATOR}"), message);
        }
        operator
    }

    /// The values as a list; what is no list is one value.
    fn values(&mut self, sent: Option<&Value>, pointer: &str) -> Option<Vec<Value>> {
        let values = match sent {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(values)) => values.clone(),
            Some(value) => vec![value.clone()],
        };
        let pointer = format!("{pointer}/{VALUES}");
        self.values += values.len();
        if self.values > FILTER_VALUES {
            self.limit(&pointer, &format!("has too many values (maximum is {FILTER_VALUES})"));
            return None;
        }
        let is_long = |value: &Value| value.as_str().is_some_and(|t| t.len() > FILTER_VALUE_BYTES);
        if let Some(number) = values.iter().position(is_long) {
            let problem = format!("has too long a value (maximum is {FILTER_VALUE_BYTES} bytes)");
            self.limit(&format!("{pointer}/{number}"), &problem);
            return None;
        }
        Some(values)
    }

    fn checks(
        &mut self,
        subject: &Subject,
        operator: Operator,
        values: &[Value],
        pointer: &str,
    ) -> Option<Vec<check::Check>> {
        let is_count_right = match operator.arity() {
            Arity::None => true,
            Arity::Exactly(count) => values.len() == count,
            Arity::Several => !values.is_empty(),
        };
        let read = if is_count_right {
            check::read(subject, operator, values, self.reading)
        } else {
            Err(None)
        };
        read.map_err(|wrong| {
            let message =
                format!("Invalid value. The values provided for {} are invalid", subject.name());
            let place = wrong.map(|number| format!("/{number}")).unwrap_or_default();
            self.fault(FaultCode::Invalid, format!("{pointer}/{VALUES}{place}"), message);
        })
        .ok()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

/// A group; one of a single filter is that filter.
fn collapsed(mut filters: Vec<Filter>, group: fn(Vec<Filter>) -> Filter) -> Option<Filter> {
    match filters.len() {
        0 | 1 => filters.pop(),
        _ => Some(group(filters)),
    }
}
