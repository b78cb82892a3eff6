//! What goes of what calls left, row by row, and what an erasure empties.

use meishi_contacts::{EventBody, limits::ERASED_EVENTS};

use super::{
    batch::{Batch, Expect},
    error::Error,
    row::to_json,
    statement::statements,
};
use crate::ledger::Writes;

statements! {
    EMPTY_INBOX(INT8, INT8) = "DELETE FROM contact_inboxes
         WHERE account_id = $1 AND inbox_id = $2";
    DELETE_LABEL(INT8, INT8) = "DELETE FROM labels WHERE account_id = $1 AND id = $2";
    DELETE_ATTRIBUTE(INT8, TEXT) = "DELETE FROM attribute_definitions
         WHERE account_id = $1 AND key = $2";
    DELETE_LINK(INT8, INT8, TEXT) = "DELETE FROM contact_inboxes
         WHERE account_id = $1 AND inbox_id = $2 AND source_id = $3";
    DELETE_IDENTITY(INT8, TEXT, TEXT) = "DELETE FROM identities
         WHERE account_id = $1 AND kind = $2 AND value = $3";
    DELETE_CONTACT(INT8, INT8) = "DELETE FROM contacts WHERE account_id = $1 AND id = $2";
    DELETE_INBOX(INT8, INT8) = "DELETE FROM inboxes WHERE account_id = $1 AND id = $2";
    DELETE_KEY(INT8, INT8) = "DELETE FROM api_keys WHERE account_id = $1 AND id = $2";
    BURY_EVENTS(INT8, INT8_ARRAY, TEXT, TEXT) =
        "UPDATE events SET kind = $3, body = $4, request_id = ''
         WHERE account_id = $1 AND seq = ANY($2)";
    ERASE_DELIVERIES(INT8, INT8) = "UPDATE deliveries
         SET state = 'erased', payload = '', attempts = '[]', next_at = NULL
         WHERE account_id = $1 AND contact_id = $2 AND state <> 'erased'
           AND kind <> 'contact.erased'";
    RETURN_CONTACT(INT8, INT8) = "DELETE FROM deleted_contacts WHERE account_id = $1 AND id = $2";
    DELETE_WEBHOOK(INT8, INT8) =
        "UPDATE webhooks SET state = 'deleted', secret = '', previous_secret = NULL
         WHERE account_id = $1 AND id = $2";
    DELETE_OUTCOME(INT8, INT8, TEXT, TEXT) = "DELETE FROM idempotency_keys
         WHERE account_id = $1 AND api_key_id = $2 AND route = $3 AND key = $4";
}

/// Takes away what goes; it must go before anything comes.
pub(super) fn rows<'a>(batch: &mut Batch<'a>, writes: &'a Writes) -> Result<(), Error> {
    for inbox in &writes.emptied_inboxes {
        batch.send(EMPTY_INBOX, Expect::Any, (inbox.0,));
    }
    for label in &writes.gone_labels {
        batch.send(DELETE_LABEL, Expect::Rows(1), (label.0,));
    }
    for key in &writes.gone_attributes {
        batch.send(DELETE_ATTRIBUTE, Expect::Rows(1), (key.as_str(),));
    }
    for (inbox, source_id) in &writes.gone_links {
        batch.send(DELETE_LINK, Expect::Rows(1), (inbox.0, source_id.as_str()));
    }
    for identity in &writes.gone_identities {
        let address = (identity.kind.as_str(), identity.value.as_str());
        batch.send(DELETE_IDENTITY, Expect::Rows(1), address);
    }
    for contact in &writes.gone_contacts {
        batch.send(DELETE_CONTACT, Expect::Rows(1), (contact.0,));
    }
    for inbox in &writes.gone_inboxes {
        batch.send(DELETE_INBOX, Expect::Rows(1), (inbox.0,));
    }
    for key in &writes.gone_keys {
        batch.send(DELETE_KEY, Expect::Rows(1), (key.0,));
    }
    for key in &writes.gone_outcomes {
        let columns = (key.api_key_id.0, key.route.as_str(), key.key.as_str());
        batch.send(DELETE_OUTCOME, Expect::Rows(1), columns);
    }
    for contact in &writes.returned_contacts {
        batch.send(RETURN_CONTACT, Expect::Rows(1), (contact.0,));
    }
    for webhook in &writes.gone_webhooks {
        batch.send(DELETE_WEBHOOK, Expect::Rows(1), (webhook.0,));
    }
    for erased in &writes.erased {
        let tombstone = EventBody::Tombstone { id: erased.id };
        for events in erased.events.chunks(ERASED_EVENTS) {
            let seqs: Vec<i64> = events.iter().map(|seq| seq.0).collect();
            let columns = (seqs, tombstone.kind(), to_json(&tombstone)?);
            batch.send_planned(BURY_EVENTS, Expect::Rows(events.len()), columns);
        }
    }
    Ok(())
}

/// Empties what was delivered of erased contacts, after whatever calls made of it.
pub(super) fn deliveries<'a>(batch: &mut Batch<'a>, writes: &'a Writes) {
    for erased in writes.erased.iter().filter(|erased| erased.has_deliveries) {
        batch.send(ERASE_DELIVERIES, Expect::Any, (erased.id.0,));
    }
}
