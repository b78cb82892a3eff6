//! The dialect that LiveDesk documents (`/api/v2/accounts/…`): parses a request into the domain's
//! types, renders the answer, and holds no rule.

pub mod contacts;
