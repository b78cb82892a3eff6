//! Labels as things of an account: what they are besides their titles, and what it does to the
//! contacts that bear one when it is renamed or deleted.

use serde::{Deserialize, Serialize};

use crate::{EventBody, Fault, FaultCode, Field, Label, LabelId, Patch};

/// The colour of a label that none was chosen for.
pub const DEFAULT_COLOR: &str = "#1f93ff";

/// A label of an account. Contacts refer to it by its number, so that all of them show its title of
/// now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCard {
    /// Its number; 0 where an event from before labels had one in it tells of the label.
    #[serde(default = "no_id")]
    pub id: LabelId,
    /// Its title, unique in the account.
    pub title: Label,
    /// `#` and six hexadecimal digits.
    #[serde(default = "default_color")]
    pub color: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether a console lists it beside its contacts.
    #[serde(default = "yes")]
    pub show_on_sidebar: bool,
}

impl LabelCard {
    /// A label of which nothing is known but its title.
    pub fn plain(id: LabelId, title: Label) -> Self {
        let color = DEFAULT_COLOR.to_owned();
        Self { id, title, color, description: None, show_on_sidebar: true }
    }
}

fn no_id() -> LabelId {
    LabelId(0)
}

fn default_color() -> String {
    DEFAULT_COLOR.to_owned()
}

const fn yes() -> bool {
    true
}

/// A label to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLabel {
    /// Its title, from [`Label::parse_title`].
    pub title: Label,
    /// Its colour, from [`parse_color`]; [`DEFAULT_COLOR`] when absent.
    pub color: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether a console lists it; it does when absent.
    pub show_on_sidebar: Option<bool>,
}

/// What a write does to a label.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelPatch {
    /// New title, from [`Label::parse_title`].
    pub title: Option<Label>,
    /// New colour, from [`parse_color`].
    pub color: Option<String>,
    /// New description.
    pub description: Patch<String>,
    /// Whether a console lists it.
    pub show_on_sidebar: Option<bool>,
}

/// A colour as `#rrggbb`, in lower case.
pub fn parse_color(text: &str) -> Result<String, Fault> {
    let color = text.trim().to_ascii_lowercase();
    let digits = color.strip_prefix('#').filter(|digits| digits.len() == 6);
    if digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())) {
        return Ok(color);
    }
    Err(Fault::invalid("color", "must be # and six hexadecimal digits, such as #1f93ff"))
}

/// The fault of a title that another label has.
pub fn title_taken() -> Fault {
    Fault::new("title", FaultCode::Taken, "Title has already been taken")
}

/// What happened to a label with all contacts that bear it, told by one event for all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relabelling {
    /// It has another title.
    Renamed {
        /// The title that it had.
        before: Label,
        /// The title that it has.
        after: Label,
    },
    /// It is gone.
    Deleted(Label),
}

impl Relabelling {
    /// What the event did to labels of contacts; nothing where it tells of anything else.
    pub fn of(body: &EventBody) -> Option<Self> {
        match body {
            EventBody::LabelUpdated { title, changes, .. } => {
                let change = changes.iter().find(|change| change.field == Field::Title)?;
                let before = change.before.as_ref()?.as_str()?.to_owned();
                Some(Self::Renamed { before: Label::from_stored(before), after: title.clone() })
            }
            EventBody::LabelDeleted(label) => Some(Self::Deleted(label.title.clone())),
            _ => None,
        }
    }

    /// The title that the label had.
    pub const fn before(&self) -> &Label {
        match self {
            Self::Renamed { before, .. } | Self::Deleted(before) => before,
        }
    }

    /// Does it to a contact's labels, which are sorted and stay so.
    pub fn apply(&self, labels: &mut Vec<Label>) {
        let Some(place) = labels.iter().position(|label| label == self.before()) else { return };
        labels.remove(place);
        if let Self::Renamed { after, .. } = self {
            labels.push(after.clone());
            labels.sort_unstable();
        }
    }

    /// Takes back from a contact's labels that one of them was renamed. Of one that was deleted they
    /// do not tell.
    pub fn take_back(&self, labels: &mut Vec<Label>) {
        if let Self::Renamed { before, after } = self {
            let (before, after) = (after.clone(), before.clone());
            Self::Renamed { before, after }.apply(labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(titles: &[&str]) -> Vec<Label> {
        titles.iter().map(|title| Label::from_stored((*title).to_owned())).collect()
    }

    #[test]
    fn titles_are_words_of_any_script() {
        for (text, title) in [
            (" VIP ", "vip"),
            ("vip-2_b", "vip-2_b"),
            ("2x", "2x"),
            ("Ärger", "ärger"),
            ("王小", "王小"),
            ("ใหม่", "ใหม่"),
            ("हिन्दी", "हिन्दी"),
        ] {
            assert_eq!(Label::parse_title(text).unwrap().as_str(), title, "{text}");
        }
        for text in ["v", "王", "_vip", "-vip", "v ip", "v,ip", "v/ip", "vip!", "😀😀"] {
            assert_eq!(Label::parse_title(text).unwrap_err().code, FaultCode::Invalid, "{text}");
        }
        for text in ["", "  "] {
            assert_eq!(Label::parse_title(text).unwrap_err().code, FaultCode::Blank, "{text}");
        }
        let long = "x".repeat(256);
        assert_eq!(Label::parse_title(&long).unwrap_err().code, FaultCode::TooLong);
    }

    #[test]
    fn colors_are_six_digits() {
        assert_eq!(parse_color(" #1F93ff").unwrap(), "#1f93ff");
        for text in ["", "#", "1f93ff", "#1f93f", "#1f93fff", "#1f93fg", "red", "#ääa"] {
            assert!(parse_color(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_happens_to_a_label_happens_to_whoever_bears_it() {
        let [a, z] = ["a", "z"].map(|title| Label::from_stored(title.to_owned()));
        let renamed = Relabelling::Renamed { before: a.clone(), after: z };
        let mut bearing = labels(&["a", "b"]);
        renamed.apply(&mut bearing);
        assert_eq!(bearing, labels(&["b", "z"]));
        let mut others = labels(&["b"]);
        renamed.apply(&mut others);
        assert_eq!(others, labels(&["b"]));
        let mut bearing = labels(&["a", "b"]);
        Relabelling::Deleted(a).apply(&mut bearing);
        assert_eq!(bearing, labels(&["b"]));
    }

    #[test]
    fn an_event_of_a_label_from_before_it_had_more_than_a_title_is_read() {
        let body: EventBody = serde_json::from_str(r#"{"label_created":{"title":"vip"}}"#).unwrap();
        let label = labels(&["vip"]).remove(0);
        assert_eq!(body, EventBody::LabelCreated(LabelCard::plain(LabelId(0), label)));
        assert_eq!(body.subject(), None);
    }
}
