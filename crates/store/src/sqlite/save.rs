//! What calls left, written row by row: what goes first, then what comes or changes.

use meishi_contacts::{
    AccountId, AttributeDefinition, Email, EventBody, Identifier, LabelCard, Phone, StoredKey,
};
use rusqlite::{Connection, Params, ToSql, params};

use serde::Serialize;

use super::{identities::Identities, row::to_json};
use crate::{
    held::{self, ContactRow},
    ledger::{
        AccountRows, Counters, KeptOutcome, NewEvent, OutcomeKey, StoredContact, StoredInbox,
        Writes, actor_columns,
    },
};

statements! {
    EMPTY_INBOX = "DELETE FROM contact_inboxes WHERE account_id = ?1 AND inbox_id = ?2";
    DELETE_LABEL = "DELETE FROM labels WHERE account_id = ?1 AND id = ?2";
    DELETE_ATTRIBUTE = "DELETE FROM attribute_definitions WHERE account_id = ?1 AND key = ?2";
    DELETE_LINK = "DELETE FROM contact_inboxes
         WHERE account_id = ?1 AND inbox_id = ?2 AND source_id = ?3";
    DELETE_CONTACT = "DELETE FROM contacts WHERE account_id = ?1 AND id = ?2";
    DELETE_INBOX = "DELETE FROM inboxes WHERE account_id = ?1 AND id = ?2";
    DELETE_KEY = "DELETE FROM api_keys WHERE account_id = ?1 AND id = ?2";
    INSERT_INBOX = "INSERT INTO inboxes (account_id, id, name, channel_type, created_at, made_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_INBOX = "UPDATE inboxes SET name = ?3, channel_type = ?4, created_at = ?5,
           made_seq = ?6
         WHERE account_id = ?1 AND id = ?2";
    INSERT_CONTACT = "INSERT INTO contacts (account_id, id, version, name, first_name, last_name,
           email, phone_number, identifier, thumbnail, availability_status, blocked,
           additional_attributes, custom_attributes, last_activity_at, created_at, last_seq,
           label_ids, links)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
           ?19)";
    UPDATE_CONTACT = "UPDATE contacts SET version = ?3, name = ?4, first_name = ?5, last_name = ?6,
           email = ?7, phone_number = ?8, identifier = ?9, thumbnail = ?10,
           availability_status = ?11, blocked = ?12, additional_attributes = ?13,
           custom_attributes = ?14, last_activity_at = ?15, created_at = ?16, last_seq = ?17,
           label_ids = ?18, links = ?19
         WHERE account_id = ?1 AND id = ?2";
    INSERT_LINK = "INSERT INTO contact_inboxes (account_id, inbox_id, source_id, contact_id)
         VALUES (?1, ?2, ?3, ?4)";
    // No label can be of such a title: theirs are in lower case.
    RELEASE_TITLE = "UPDATE labels SET title = 'LABEL ' || id WHERE account_id = ?1 AND id = ?2";
    UPDATE_LABEL = "UPDATE labels SET title = ?3, color = ?4, description = ?5,
           show_on_sidebar = ?6
         WHERE account_id = ?1 AND id = ?2";
    INSERT_LABEL = "INSERT INTO labels (account_id, id, title, color, description, show_on_sidebar)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    INSERT_ATTRIBUTE = "INSERT INTO attribute_definitions (account_id, id, key, name, description,
           type, list_values, regex, hint, mode, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    INSERT_KEY = "INSERT INTO api_keys (account_id, id, api_key, secret_hash, name, role,
           created_at, expires_at, previous_hash, previous_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    UPDATE_KEY = "UPDATE api_keys SET secret_hash = ?3, name = ?4, role = ?5, expires_at = ?6,
           previous_hash = ?7, previous_until = ?8
         WHERE account_id = ?1 AND id = ?2";
    INSERT_EVENT = "INSERT INTO events (account_id, seq, at, actor, actor_id, request_id, kind,
           subject_id, body, previous_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    BURY_EVENT = "UPDATE events SET kind = ?3, body = ?4, request_id = ''
         WHERE account_id = ?1 AND seq = ?2";
    ERASE_DELIVERIES = "UPDATE deliveries
         SET state = 'erased', payload = '', attempts = '[]', next_at = NULL
         WHERE account_id = ?1 AND contact_id = ?2 AND state <> 'erased'
           AND kind <> 'contact.erased'";
    INSERT_DELETED_CONTACT = "INSERT INTO deleted_contacts (account_id, id, last_seq)
         VALUES (?1, ?2, ?3)
         ON CONFLICT (account_id, id) DO UPDATE SET last_seq = excluded.last_seq";
    RETURN_CONTACT = "DELETE FROM deleted_contacts WHERE account_id = ?1 AND id = ?2";
    INSERT_WEBHOOK = "INSERT INTO webhooks (account_id, id, url, events, format, include_activity,
           state, state_reason, failing_since, secret, previous_secret, previous_until, created_at,
           cursor, next_at, lease_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, 0)";
    UPDATE_WEBHOOK = "UPDATE webhooks SET url = ?3, events = ?4, format = ?5,
           include_activity = ?6, state = ?7, state_reason = ?8, failing_since = ?9, secret = ?10,
           previous_secret = ?11, previous_until = ?12, next_at = 0
         WHERE account_id = ?1 AND id = ?2";
    DELETE_WEBHOOK = "UPDATE webhooks SET state = 'deleted', secret = '', previous_secret = NULL
         WHERE account_id = ?1 AND id = ?2";
    // Whoever leases it lets what is pending begin anew.
    REVIVE_WEBHOOK = "UPDATE webhooks SET revive_from = 0 WHERE account_id = ?1 AND id = ?2";
    WAKE_WEBHOOK = "UPDATE webhooks SET next_at = 0 WHERE account_id = ?1 AND id = ?2";
    UPDATE_DELIVERY = "UPDATE deliveries SET state = ?4, tries = ?5, next_at = ?6,
           settled_at = NULL
         WHERE account_id = ?1 AND webhook_id = ?2 AND seq = ?3";
    DELETE_OUTCOME = "DELETE FROM idempotency_keys
         WHERE account_id = ?1 AND api_key_id = ?2 AND route = ?3 AND key = ?4";
    INSERT_OUTCOME_CONTACT = "INSERT INTO idempotency_contacts (account_id, api_key_id, route, key,
           contact_id)
         VALUES (?1, ?2, ?3, ?4, ?5)";
    INSERT_OUTCOME = "INSERT INTO idempotency_keys (account_id, api_key_id, route, key, fingerprint,
           outcome, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    INSERT_COUNTERS = "INSERT INTO counters (account_id, last_seq, last_contact_id, last_inbox_id,
           last_key_id, last_label_id, last_webhook_id, contacts, resolved_contacts, last_attribute_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    UPDATE_COUNTERS = "UPDATE counters SET last_seq = ?2, last_contact_id = ?3, last_inbox_id = ?4,
           last_key_id = ?5, last_label_id = ?6, last_webhook_id = ?7, contacts = ?8,
           resolved_contacts = ?9, last_attribute_id = ?10
         WHERE account_id = ?1";
}

/// Writes everything that calls left.
pub(super) fn rows(
    connection: &Connection,
    identities: &mut Identities,
    account: AccountId,
    writes: &Writes,
) -> rusqlite::Result<()> {
    let to = Target { connection, account: account.0 };
    to.each(EMPTY_INBOX, &writes.emptied_inboxes, |id| (to.account, id.0))?;
    to.each(DELETE_LABEL, &writes.gone_labels, |id| (to.account, id.0))?;
    to.each(DELETE_ATTRIBUTE, &writes.gone_attributes, |key| (to.account, key))?;
    to.each(DELETE_LINK, &writes.gone_links, |(inbox, source)| {
        (to.account, inbox.0, source.as_str())
    })?;
    for gone in &writes.gone_identities {
        identities.remove(connection, account, gone)?;
    }
    to.each(DELETE_CONTACT, &writes.gone_contacts, |id| (to.account, id.0))?;
    to.each(DELETE_INBOX, &writes.gone_inboxes, |id| (to.account, id.0))?;
    to.each(DELETE_KEY, &writes.gone_keys, |id| (to.account, id.0))?;
    to.each(DELETE_OUTCOME, &writes.gone_outcomes, |key| {
        (to.account, key.api_key_id.0, &key.route, &key.key)
    })?;
    to.each(RETURN_CONTACT, &writes.returned_contacts, |id| (to.account, id.0))?;
    to.each(DELETE_WEBHOOK, &writes.gone_webhooks, |id| (to.account, id.0))?;
    for erased in &writes.erased {
        let tombstone = EventBody::Tombstone { id: erased.id };
        let body = to_json(&tombstone)?;
        to.each(BURY_EVENT, &erased.events, |seq| (to.account, seq.0, tombstone.kind(), &body))?;
    }

    to.inboxes(INSERT_INBOX, &writes.new_inboxes)?;
    to.inboxes(UPDATE_INBOX, &writes.changed_inboxes)?;
    to.contacts(INSERT_CONTACT, &writes.new_contacts)?;
    to.contacts(UPDATE_CONTACT, &writes.changed_contacts)?;
    for (identity, owner) in &writes.new_identities {
        identities.insert(connection, account, identity, *owner)?;
    }
    to.each(INSERT_LINK, &writes.new_links, |((inbox, source), holder)| {
        (to.account, inbox.0, source.as_str(), holder.0)
    })?;
    to.each(RELEASE_TITLE, &writes.changed_labels, |label| (to.account, label.id.0))?;
    to.labels(UPDATE_LABEL, &writes.changed_labels)?;
    to.labels(INSERT_LABEL, &writes.new_labels)?;
    for definition in &writes.new_attributes {
        to.attribute(definition)?;
    }
    to.keys(&writes.new_keys)?;
    to.each(UPDATE_KEY, &writes.changed_keys, |stored| {
        let key = &stored.key;
        let (expires_at, previous_until) = (key.expires_at, key.previous_until);
        (
            to.account,
            key.id.0,
            stored.secret_hash.0,
            &key.name,
            key.role.as_str(),
            expires_at.map(|at| at.0),
            stored.previous_hash.map(|hash| hash.0),
            previous_until.map(|at| at.0),
        )
    })?;
    to.each(INSERT_DELETED_CONTACT, &writes.deleted_contacts, |(id, last_seq)| {
        (to.account, id.0, last_seq.0)
    })?;
    to.webhooks(writes)?;
    to.each(UPDATE_DELIVERY, &writes.changed_deliveries, |((webhook, seq), row)| {
        let next_at = row.next_at.map(|at| at.0);
        (to.account, webhook.0, seq.0, row.state.as_str(), row.tries, next_at)
    })?;
    for erased in writes.erased.iter().filter(|erased| erased.has_deliveries) {
        connection.prepare_cached(ERASE_DELIVERIES)?.execute(params![to.account, erased.id.0])?;
    }
    for webhook in &writes.woken_webhooks {
        connection.prepare_cached(WAKE_WEBHOOK)?.execute(params![to.account, webhook.0])?;
    }
    to.events(&writes.events)?;
    for (key, kept) in &writes.new_outcomes {
        to.outcome(key, kept)?;
    }
    if let Some(counters) = &writes.counters {
        to.counters(UPDATE_COUNTERS, counters)?;
    }
    Ok(())
}

/// Writes the first rows of an account.
pub(super) fn account(connection: &Connection, rows: &AccountRows) -> rusqlite::Result<()> {
    let to = Target { connection, account: rows.account.id.0 };
    to.inboxes(INSERT_INBOX, std::slice::from_ref(&rows.inbox))?;
    to.keys(std::slice::from_ref(&rows.key))?;
    to.events(&rows.events)?;
    to.counters(INSERT_COUNTERS, &rows.counters)
}

/// What hangs on a contact, as its row has it.
fn held(list: &[impl Serialize]) -> rusqlite::Result<Option<String>> {
    held::column(list).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Where rows are written: an account in a database.
struct Target<'a> {
    connection: &'a Connection,
    account: i64,
}

impl Target<'_> {
    /// Runs a statement once for each row.
    fn each<'r, R, P: Params>(
        &self,
        statement: &str,
        rows: &'r [R],
        columns: impl Fn(&'r R) -> P,
    ) -> rusqlite::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(statement)?;
        for row in rows {
            statement.execute(columns(row))?;
        }
        Ok(())
    }

    fn inboxes(&self, statement: &str, inboxes: &[StoredInbox]) -> rusqlite::Result<()> {
        self.each(statement, inboxes, |StoredInbox { inbox, made_seq }| {
            let (channel_type, created_at) = (inbox.channel_type.as_str(), inbox.created_at.0);
            (self.account, inbox.id.0, &inbox.name, channel_type, created_at, made_seq.0)
        })
    }

    fn labels(&self, statement: &str, labels: &[LabelCard]) -> rusqlite::Result<()> {
        self.each(statement, labels, |label| {
            let (title, show) = (label.title.as_str(), label.show_on_sidebar);
            (self.account, label.id.0, title, &label.color, &label.description, show)
        })
    }

    fn attribute(&self, definition: &AttributeDefinition) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(INSERT_ATTRIBUTE)?;
        statement.execute(params![
            self.account,
            definition.id.0,
            definition.key,
            definition.name,
            definition.description,
            definition.kind.as_str(),
            to_json(&definition.values)?,
            definition.regex,
            definition.hint,
            definition.mode.as_str(),
            definition.created_at.0,
        ])?;
        Ok(())
    }

    fn contacts(&self, statement: &str, contacts: &[ContactRow]) -> rusqlite::Result<()> {
        let mut statement = if contacts.is_empty() {
            return Ok(());
        } else {
            self.connection.prepare_cached(statement)?
        };
        for ContactRow { stored: StoredContact { contact, last_seq }, label_ids, links } in contacts
        {
            statement.execute(params![
                self.account,
                contact.id.0,
                contact.version.0,
                &contact.name,
                &contact.first_name,
                &contact.last_name,
                contact.email.as_ref().map(Email::as_str),
                contact.phone_number.as_ref().map(Phone::as_str),
                contact.identifier.as_ref().map(Identifier::as_str),
                &contact.thumbnail,
                contact.availability_status.as_str(),
                contact.blocked,
                contact.additional_attributes.as_json(),
                contact.custom_attributes.as_json(),
                contact.last_activity_at.map(|at| at.0),
                contact.created_at.0,
                last_seq.0,
                held(label_ids)?,
                held(links)?,
            ])?;
        }
        Ok(())
    }

    fn webhooks(&self, writes: &Writes) -> rusqlite::Result<()> {
        let both =
            [(INSERT_WEBHOOK, &writes.new_webhooks), (UPDATE_WEBHOOK, &writes.changed_webhooks)];
        for (statement, rows) in both {
            for stored in rows {
                let webhook = &stored.webhook;
                let (id, state) = (webhook.id.0, webhook.state.as_str());
                let (events, format) = (to_json(&webhook.events)?, webhook.format.as_str());
                let failing_since = webhook.failing_since.map(|at| at.0);
                let previous_until = webhook.previous_until.map(|at| at.0);
                let mut columns: Vec<(&str, &dyn ToSql)> = vec![
                    ("?1", &self.account as &dyn ToSql),
                    ("?2", &id),
                    ("?3", &webhook.url),
                    ("?4", &events),
                    ("?5", &format),
                    ("?6", &webhook.include_activity),
                    ("?7", &state),
                    ("?8", &webhook.state_reason),
                    ("?9", &failing_since),
                    ("?10", &stored.secret),
                    ("?11", &stored.previous_secret),
                    ("?12", &previous_until),
                ];
                if statement == INSERT_WEBHOOK {
                    columns.extend([
                        ("?13", &webhook.created_at.0 as &dyn ToSql),
                        ("?14", &stored.cursor.0),
                    ]);
                }
                self.connection.prepare_cached(statement)?.execute(columns.as_slice())?;
            }
        }
        self.each(REVIVE_WEBHOOK, &writes.revived_webhooks, |id| (self.account, id.0))
    }

    fn keys(&self, keys: &[StoredKey]) -> rusqlite::Result<()> {
        self.each(INSERT_KEY, keys, |stored| {
            let key = &stored.key;
            let (expires_at, previous_until) = (key.expires_at, key.previous_until);
            (
                self.account,
                key.id.0,
                &key.api_key,
                stored.secret_hash.0,
                &key.name,
                key.role.as_str(),
                key.created_at.0,
                expires_at.map(|at| at.0),
                stored.previous_hash.map(|hash| hash.0),
                previous_until.map(|at| at.0),
            )
        })
    }

    fn events(&self, events: &[NewEvent]) -> rusqlite::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(INSERT_EVENT)?;
        for NewEvent { event, previous } in events {
            let (actor, actor_id) = actor_columns(event.actor);
            statement.execute(params![
                self.account,
                event.seq.0,
                event.at.0,
                actor,
                actor_id,
                event.request_id,
                event.body.kind(),
                event.body.subject(),
                to_json(&event.body)?,
                previous.map(|seq| seq.0),
            ])?;
        }
        Ok(())
    }

    fn outcome(&self, key: &OutcomeKey, kept: &KeptOutcome) -> rusqlite::Result<()> {
        let outcome = to_json(&kept.results)?;
        let columns = params![
            self.account,
            key.api_key_id.0,
            key.route,
            key.key,
            kept.fingerprint,
            outcome,
            kept.at.0
        ];
        self.connection.prepare_cached(INSERT_OUTCOME)?.execute(columns)?;
        for contact in &kept.contacts {
            self.connection.prepare_cached(INSERT_OUTCOME_CONTACT)?.execute(params![
                self.account,
                key.api_key_id.0,
                key.route,
                key.key,
                contact.0
            ])?;
        }
        Ok(())
    }

    fn counters(&self, statement: &str, counters: &Counters) -> rusqlite::Result<()> {
        let columns = params![
            self.account,
            counters.last_seq,
            counters.last_contact_id,
            counters.last_inbox_id,
            counters.last_key_id,
            counters.last_label_id,
            counters.last_webhook_id,
            counters.contacts,
            counters.resolved_contacts,
            counters.last_attribute_id,
        ];
        self.connection.prepare_cached(statement)?.execute(columns).map(drop)
    }
}
