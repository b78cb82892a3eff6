//! What a body says of a webhook. A member that is absent says nothing; so does `null`, where there
//! is a default.

use meishi_contacts::{
    Fault, FaultCode, PayloadForm, WebhookEvent, WebhookState,
    limits::{FAULTS_PER_FIELD, REPEATED_CHARS},
    webhook::Selection,
};
use serde_json::Value;

use crate::{
    App,
    api::named,
    body::Fields,
    egress::{Target, TargetError},
};

/// Where to, in the form in which it is used.
pub(super) fn url(app: &App, body: &Fields, faults: &mut Vec<Fault>) -> Option<String> {
    let value = body.members.get("url")?;
    let text = match value {
        Value::String(text) if !text.trim().is_empty() => text,
        Value::Null | Value::String(_) => {
            faults.push(Fault::new("url", FaultCode::Blank, "Url can't be blank"));
            return None;
        }
        _ => {
            faults.push(Fault::invalid("url", "must be a string"));
            return None;
        }
    };
    let problem = match Target::parse(text) {
        Ok(target) => match app.egress.check(&target) {
            Ok(()) => return Some(target.as_str().to_owned()),
            Err(error) => {
                Fault::invalid("url", &format!("must lead to a public address ({error})"))
            }
        },
        Err(error) => {
            let mut fault = Fault::invalid("url", &error.to_string());
            if error == TargetError::TooLong {
                fault.code = FaultCode::TooLong;
            }
            fault
        }
    };
    faults.push(problem);
    None
}

/// Of what, in either spelling of the names.
pub(super) fn events(body: &Fields, faults: &mut Vec<Fault>) -> Option<Vec<WebhookEvent>> {
    let entries = match body.members.get("events")? {
        Value::Array(entries) => entries.as_slice(),
        // A form with one of them.
        text @ Value::String(_) => std::slice::from_ref(text),
        Value::Null => &[],
        _ => {
            faults.push(Fault::invalid("events", "must be a list of names"));
            return None;
        }
    };
    if entries.is_empty() {
        faults.push(Fault::new("events", FaultCode::Blank, "Events can't be blank"));
        return None;
    }
    let mut events = Vec::new();
    let mut unknown = 0;
    for (index, entry) in entries.iter().enumerate() {
        match entry.as_str().and_then(WebhookEvent::parse) {
            Some(event) => events.push(event),
            None if unknown == FAULTS_PER_FIELD => {}
            None => {
                unknown += 1;
                let fault = Fault::invalid("events", &format!("{}", Unknown(entry)));
                faults.push(fault.at(format!("/events/{index}")));
            }
        }
    }
    (unknown == 0).then(|| Selection::new(events, false).events().to_vec())
}

/// Says what is no event, and what is one.
struct Unknown<'a>(&'a Value);

impl std::fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = WebhookEvent::ALL.map(WebhookEvent::as_str).join(", ");
        match self.0 {
            Value::String(text) => {
                let shown: String = text.chars().take(REPEATED_CHARS).collect();
                write!(f, "has no {shown:?}; there are {known}")
            }
            _ => write!(f, "must be names; there are {known}"),
        }
    }
}

/// In which form.
pub(super) fn format(body: &Fields, faults: &mut Vec<Fault>) -> Option<PayloadForm> {
    named(body, "format", "must be meishi or chatwoot", PayloadForm::parse, faults)
}

/// Whether it works. That it is disabled is up to its endpoint.
pub(super) fn state(body: &Fields, faults: &mut Vec<Fault>) -> Option<WebhookState> {
    let chosen =
        |name: &str| WebhookState::parse(name).filter(|state| *state != WebhookState::Disabled);
    named(body, "state", "must be enabled or paused", chosen, faults)
}

/// Whether mere activity counts.
pub(super) fn include_activity(body: &Fields, faults: &mut Vec<Fault>) -> Option<bool> {
    crate::api::boolean(body, "include_activity", faults)
}
