//! What calls left, written table by table in one round trip: what goes (`gone.rs`), then what comes or
//! changes, where a list is a few arrays that `unnest` makes rows of again.

use meishi_contacts::{AccountId, AttributeDefinition, Email, Identifier, Phone, StoredKey};
use tokio_postgres::types::ToSql;

use super::{
    batch::{Batch, Columns, Expect},
    error::Error,
    gone,
    row::to_json,
    session::Session,
    statement::{Statement, statements},
};
use crate::{
    held::{self, ContactRow},
    ledger::{
        AccountRows, Counters, KeptOutcome, NewEvent, OutcomeKey, StoredContact, StoredInbox,
        Writes, actor_columns,
    },
};

statements! {
    INSERT_INBOX(INT8, INT8, TEXT, TEXT, INT8, INT8) =
        "INSERT INTO inboxes (account_id, id, name, channel_type, created_at, made_seq)
         VALUES ($1, $2, $3, $4, $5, $6)";
    UPDATE_INBOX(INT8, INT8, TEXT, TEXT, INT8, INT8) =
        "UPDATE inboxes SET name = $3, channel_type = $4, created_at = $5, made_seq = $6
         WHERE account_id = $1 AND id = $2";
    INSERT_CONTACTS(
        INT8, INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY,
        TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, BOOL_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY,
        INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY
    ) = "INSERT INTO contacts (account_id, id, version, name, first_name, last_name, email,
           phone_number, identifier, thumbnail, availability_status, blocked,
           additional_attributes, custom_attributes, last_activity_at, created_at, last_seq,
           label_ids, links)
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
           $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[],
           $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[],
           $19::text[])";
    UPDATE_CONTACTS(
        INT8, INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY,
        TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, BOOL_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY,
        INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY
    ) = "UPDATE contacts AS c SET version = new.version, name = new.name,
           first_name = new.first_name, last_name = new.last_name, email = new.email,
           phone_number = new.phone_number, identifier = new.identifier,
           thumbnail = new.thumbnail, availability_status = new.availability_status,
           blocked = new.blocked, additional_attributes = new.additional_attributes,
           custom_attributes = new.custom_attributes, last_activity_at = new.last_activity_at,
           created_at = new.created_at, last_seq = new.last_seq, label_ids = new.label_ids,
           links = new.links
         FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
           $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[],
           $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[],
           $19::text[])
           AS new(id, version, name, first_name, last_name, email, phone_number, identifier,
             thumbnail, availability_status, blocked, additional_attributes, custom_attributes,
             last_activity_at, created_at, last_seq, label_ids, links)
         WHERE c.account_id = $1 AND c.id = new.id";
    INSERT_IDENTITIES(INT8, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY) =
        "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         SELECT $1, *, true FROM unnest($2::text[], $3::text[], $4::bigint[])";
    INSERT_LINKS(INT8, INT8_ARRAY, TEXT_ARRAY, INT8_ARRAY) =
        "INSERT INTO contact_inboxes (account_id, inbox_id, source_id, contact_id)
         SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bigint[])";
    // No label can be of such a title: theirs are in lower case.
    RELEASE_TITLE(INT8, INT8) = "UPDATE labels SET title = 'LABEL ' || id
         WHERE account_id = $1 AND id = $2";
    UPDATE_LABEL(INT8, INT8, TEXT, TEXT, TEXT, BOOL) = "UPDATE labels SET title = $3, color = $4,
           description = $5, show_on_sidebar = $6
         WHERE account_id = $1 AND id = $2";
    INSERT_LABELS(INT8, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, BOOL_ARRAY) =
        "INSERT INTO labels (account_id, id, title, color, description, show_on_sidebar)
         SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[])";
    INSERT_ATTRIBUTE(INT8, INT8, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, INT8) =
        "INSERT INTO attribute_definitions (account_id, id, key, name, description, type,
           list_values, regex, hint, mode, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    INSERT_KEY(INT8, INT8, TEXT, BYTEA, TEXT, TEXT, INT8, INT8, BYTEA, INT8) =
        "INSERT INTO api_keys (account_id, id, api_key, secret_hash, name, role, created_at,
           expires_at, previous_hash, previous_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    UPDATE_KEY(INT8, INT8, BYTEA, TEXT, TEXT, INT8, BYTEA, INT8) =
        "UPDATE api_keys SET secret_hash = $3, name = $4, role = $5, expires_at = $6,
           previous_hash = $7, previous_until = $8
         WHERE account_id = $1 AND id = $2";
    INSERT_EVENTS(
        INT8, INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY,
        TEXT_ARRAY, INT8_ARRAY
    ) = "INSERT INTO events (account_id, seq, at, actor, actor_id, request_id, kind, subject_id,
           body, previous_seq)
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bigint[],
           $6::text[], $7::text[], $8::bigint[], $9::text[], $10::bigint[])";
    INSERT_DELETED_CONTACT(INT8, INT8, INT8) =
        "INSERT INTO deleted_contacts (account_id, id, last_seq) VALUES ($1, $2, $3)
         ON CONFLICT (account_id, id) DO UPDATE SET last_seq = excluded.last_seq";
    INSERT_WEBHOOK(
        INT8, INT8, TEXT, TEXT, TEXT, BOOL, TEXT, TEXT, TEXT, INT8, INT8, INT8
    ) = "INSERT INTO webhooks (account_id, id, url, events, format, include_activity, state,
           secret, previous_secret, previous_until, created_at, cursor, next_at, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0)";
    UPDATE_WEBHOOK(INT8, INT8, TEXT, TEXT, TEXT, BOOL, TEXT, TEXT, INT8, TEXT, TEXT, INT8) =
        "UPDATE webhooks SET url = $3, events = $4, format = $5, include_activity = $6,
           state = $7, state_reason = $8, failing_since = $9, secret = $10,
           previous_secret = $11, previous_until = $12, next_at = 0
         WHERE account_id = $1 AND id = $2";
    // Whoever leases it lets what is pending begin anew.
    REVIVE_WEBHOOK(INT8, INT8) =
        "UPDATE webhooks SET revive_from = 0 WHERE account_id = $1 AND id = $2";
    WAKE_WEBHOOK(INT8, INT8) =
        "UPDATE webhooks SET next_at = 0 WHERE account_id = $1 AND id = $2";
    UPDATE_DELIVERY(INT8, INT8, INT8, TEXT, INT8, INT8) = "UPDATE deliveries
         SET state = $4, tries = $5, next_at = $6, settled_at = NULL
         WHERE account_id = $1 AND webhook_id = $2 AND seq = $3";
    INSERT_OUTCOME_CONTACT(INT8, INT8, TEXT, TEXT, INT8) =
        "INSERT INTO idempotency_contacts (account_id, api_key_id, route, key, contact_id)
         VALUES ($1, $2, $3, $4, $5)";
    INSERT_OUTCOME(INT8, INT8, TEXT, TEXT, BYTEA, TEXT, INT8) =
        "INSERT INTO idempotency_keys (account_id, api_key_id, route, key, fingerprint, outcome,
           created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    INSERT_COUNTERS(INT8, INT8, INT8, INT8, INT8, INT8, INT8, INT8, INT8, INT8) =
        "INSERT INTO counters (account_id, last_seq, last_contact_id, last_inbox_id, last_key_id,
           last_label_id, last_webhook_id, contacts, resolved_contacts, last_attribute_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    UPDATE_COUNTERS(INT8, INT8, INT8, INT8, INT8, INT8, INT8, INT8, INT8, INT8) =
        "UPDATE counters SET last_seq = $2, last_contact_id = $3, last_inbox_id = $4,
           last_key_id = $5, last_label_id = $6, last_webhook_id = $7, contacts = $8,
           resolved_contacts = $9, last_attribute_id = $10
         WHERE account_id = $1";
}

/// Writes everything that calls left.
pub(super) async fn rows(
    session: &Session,
    account: AccountId,
    writes: &Writes,
) -> Result<(), Error> {
    let mut batch = Batch::new(session, account);
    gone::rows(&mut batch, writes)?;
    batch.inboxes(INSERT_INBOX, &writes.new_inboxes);
    batch.inboxes(UPDATE_INBOX, &writes.changed_inboxes);
    batch.contacts(INSERT_CONTACTS, &writes.new_contacts)?;
    batch.contacts(UPDATE_CONTACTS, &writes.changed_contacts)?;
    if !writes.new_identities.is_empty() {
        let new = &writes.new_identities;
        let kinds: Vec<_> = new.iter().map(|(identity, _)| identity.kind.as_str()).collect();
        let values: Vec<_> = new.iter().map(|(identity, _)| identity.value.as_str()).collect();
        let owners: Vec<_> = new.iter().map(|(_, owner)| owner.0).collect();
        batch.send(INSERT_IDENTITIES, Expect::Rows(new.len()), (kinds, values, owners));
    }
    if !writes.new_links.is_empty() {
        let new = &writes.new_links;
        let inboxes: Vec<_> = new.iter().map(|((inbox, _), _)| inbox.0).collect();
        let sources: Vec<_> = new.iter().map(|((_, source), _)| source.as_str()).collect();
        let holders: Vec<_> = new.iter().map(|(_, holder)| holder.0).collect();
        batch.send(INSERT_LINKS, Expect::Rows(new.len()), (inboxes, sources, holders));
    }
    batch.labels(writes);
    for definition in &writes.new_attributes {
        batch.attribute(definition)?;
    }
    batch.new_keys(&writes.new_keys);
    for stored in &writes.changed_keys {
        let key = &stored.key;
        batch.send(
            UPDATE_KEY,
            Expect::Rows(1),
            (
                key.id.0,
                stored.secret_hash.0.as_slice(),
                key.name.as_str(),
                key.role.as_str(),
                key.expires_at.map(|at| at.0),
                stored.previous_hash.map(|hash| hash.0.to_vec()),
                key.previous_until.map(|at| at.0),
            ),
        );
    }
    for (contact, last_seq) in &writes.deleted_contacts {
        batch.send(INSERT_DELETED_CONTACT, Expect::Rows(1), (contact.0, last_seq.0));
    }
    batch.webhooks(writes)?;
    for webhook in &writes.revived_webhooks {
        batch.send(REVIVE_WEBHOOK, Expect::Rows(1), (webhook.0,));
    }
    for ((webhook, seq), row) in &writes.changed_deliveries {
        let next_at = row.next_at.map(|at| at.0);
        let columns = (webhook.0, seq.0, row.state.as_str(), row.tries, next_at);
        batch.send(UPDATE_DELIVERY, Expect::Rows(1), columns);
    }
    gone::deliveries(&mut batch, writes);
    for webhook in &writes.woken_webhooks {
        batch.send(WAKE_WEBHOOK, Expect::Rows(1), (webhook.0,));
    }
    batch.events(&writes.events)?;
    for (key, kept) in &writes.new_outcomes {
        batch.outcome(key, kept)?;
    }
    if let Some(counters) = &writes.counters {
        batch.counters(UPDATE_COUNTERS, counters);
    }
    batch.finish().await
}

/// Writes the first rows of an account.
pub(super) async fn account(session: &Session, rows: &AccountRows) -> Result<(), Error> {
    let mut batch = Batch::new(session, rows.account.id);
    batch.counters(INSERT_COUNTERS, &rows.counters);
    batch.inboxes(INSERT_INBOX, std::slice::from_ref(&rows.inbox));
    batch.new_keys(std::slice::from_ref(&rows.key));
    batch.events(&rows.events)?;
    batch.finish().await
}

impl<'a> Batch<'a> {
    fn inboxes(&mut self, statement: Statement, inboxes: &'a [StoredInbox]) {
        for StoredInbox { inbox, made_seq } in inboxes {
            let (channel_type, created_at) = (inbox.channel_type.as_str(), inbox.created_at.0);
            let columns = (inbox.id.0, inbox.name.as_str(), channel_type, created_at, made_seq.0);
            self.send(statement, Expect::Rows(1), columns);
        }
    }

    fn labels(&mut self, writes: &'a Writes) {
        for label in &writes.changed_labels {
            self.send(RELEASE_TITLE, Expect::Rows(1), (label.id.0,));
        }
        for label in &writes.changed_labels {
            let (title, show) = (label.title.as_str(), label.show_on_sidebar);
            let columns = (label.id.0, title, label.color.as_str(), &label.description, show);
            self.send(UPDATE_LABEL, Expect::Rows(1), columns);
        }
        let new = &writes.new_labels;
        if !new.is_empty() {
            let ids: Vec<_> = new.iter().map(|label| label.id.0).collect();
            let titles: Vec<_> = new.iter().map(|label| label.title.as_str()).collect();
            let colors: Vec<_> = new.iter().map(|label| label.color.as_str()).collect();
            let descriptions: Vec<_> = new.iter().map(|label| &label.description).collect();
            let shown: Vec<_> = new.iter().map(|label| label.show_on_sidebar).collect();
            let columns = (ids, titles, colors, descriptions, shown);
            self.send(INSERT_LABELS, Expect::Rows(new.len()), columns);
        }
    }

    fn attribute(&mut self, definition: &'a AttributeDefinition) -> Result<(), Error> {
        let columns = (
            definition.id.0,
            definition.key.as_str(),
            definition.name.as_str(),
            &definition.description,
            definition.kind.as_str(),
            to_json(&definition.values)?,
            &definition.regex,
            &definition.hint,
            definition.mode.as_str(),
            definition.created_at.0,
        );
        self.send(INSERT_ATTRIBUTE, Expect::Rows(1), columns);
        Ok(())
    }

    fn contacts(&mut self, statement: Statement, contacts: &'a [ContactRow]) -> Result<(), Error> {
        if contacts.is_empty() {
            return Ok(());
        }
        let columns = ContactColumns::of(contacts)?;
        let expect = Expect::Rows(contacts.len());
        if statement.sql == UPDATE_CONTACTS.sql {
            self.send_planned(statement, expect, columns);
        } else {
            self.send(statement, expect, columns);
        }
        Ok(())
    }

    fn new_keys(&mut self, keys: &'a [StoredKey]) {
        for stored in keys {
            let key = &stored.key;
            let columns = (
                key.id.0,
                key.api_key.as_str(),
                stored.secret_hash.0.as_slice(),
                key.name.as_str(),
                key.role.as_str(),
                key.created_at.0,
                key.expires_at.map(|at| at.0),
                stored.previous_hash.map(|hash| hash.0.to_vec()),
                key.previous_until.map(|at| at.0),
            );
            self.send(INSERT_KEY, Expect::Rows(1), columns);
        }
    }

    fn events(&mut self, events: &'a [NewEvent]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let previous: Vec<_> = events.iter().map(|new| new.previous.map(|seq| seq.0)).collect();
        let events: Vec<_> = events.iter().map(|new| &new.event).collect();
        let bodies =
            events.iter().map(|event| to_json(&event.body)).collect::<Result<Vec<_>, Error>>()?;
        let (actors, actor_ids): (Vec<_>, Vec<_>) =
            events.iter().map(|event| actor_columns(event.actor)).unzip();
        let columns = (
            events.iter().map(|event| event.seq.0).collect::<Vec<_>>(),
            events.iter().map(|event| event.at.0).collect::<Vec<_>>(),
            actors,
            actor_ids,
            events.iter().map(|event| event.request_id.as_str()).collect::<Vec<_>>(),
            events.iter().map(|event| event.body.kind()).collect::<Vec<_>>(),
            events.iter().map(|event| event.body.subject()).collect::<Vec<_>>(),
            bodies,
            previous,
        );
        self.send(INSERT_EVENTS, Expect::Rows(events.len()), columns);
        Ok(())
    }

    fn webhooks(&mut self, writes: &'a Writes) -> Result<(), Error> {
        for stored in &writes.new_webhooks {
            let webhook = &stored.webhook;
            let columns = (
                webhook.id.0,
                webhook.url.as_str(),
                to_json(&webhook.events)?,
                webhook.format.as_str(),
                webhook.include_activity,
                webhook.state.as_str(),
                stored.secret.as_str(),
                stored.previous_secret.as_deref(),
                webhook.previous_until.map(|at| at.0),
                webhook.created_at.0,
                stored.cursor.0,
            );
            self.send(INSERT_WEBHOOK, Expect::Rows(1), columns);
        }
        for stored in &writes.changed_webhooks {
            let webhook = &stored.webhook;
            let columns = (
                webhook.id.0,
                webhook.url.as_str(),
                to_json(&webhook.events)?,
                webhook.format.as_str(),
                webhook.include_activity,
                webhook.state.as_str(),
                webhook.state_reason.as_deref(),
                webhook.failing_since.map(|at| at.0),
                stored.secret.as_str(),
                stored.previous_secret.as_deref(),
                webhook.previous_until.map(|at| at.0),
            );
            self.send(UPDATE_WEBHOOK, Expect::Rows(1), columns);
        }
        Ok(())
    }

    fn outcome(&mut self, key: &'a OutcomeKey, kept: &'a KeptOutcome) -> Result<(), Error> {
        let columns = (
            key.api_key_id.0,
            key.route.as_str(),
            key.key.as_str(),
            kept.fingerprint.as_slice(),
            to_json(&kept.results)?,
            kept.at.0,
        );
        self.send(INSERT_OUTCOME, Expect::Rows(1), columns);
        for contact in &kept.contacts {
            let columns = (key.api_key_id.0, key.route.as_str(), key.key.as_str(), contact.0);
            self.send(INSERT_OUTCOME_CONTACT, Expect::Rows(1), columns);
        }
        Ok(())
    }

    fn counters(&mut self, statement: Statement, counters: &Counters) {
        let columns = (
            counters.last_seq,
            counters.last_contact_id,
            counters.last_inbox_id,
            counters.last_key_id,
            counters.last_label_id,
            counters.last_webhook_id,
            counters.contacts,
            counters.resolved_contacts,
            counters.last_attribute_id,
        );
        self.send(statement, Expect::Rows(1), columns);
    }
}

/// Contacts, a column each.
#[derive(Default)]
struct ContactColumns<'a> {
    ids: Vec<i64>,
    versions: Vec<i64>,
    names: Vec<&'a str>,
    first_names: Vec<Option<&'a str>>,
    last_names: Vec<Option<&'a str>>,
    emails: Vec<Option<&'a str>>,
    phone_numbers: Vec<Option<&'a str>>,
    identifiers: Vec<Option<&'a str>>,
    thumbnails: Vec<&'a str>,
    availability_statuses: Vec<&'a str>,
    blocked: Vec<bool>,
    additional_attributes: Vec<&'a str>,
    custom_attributes: Vec<&'a str>,
    last_activity_at: Vec<Option<i64>>,
    created_at: Vec<i64>,
    last_seqs: Vec<i64>,
    label_ids: Vec<Option<String>>,
    links: Vec<Option<String>>,
}

impl<'a> ContactColumns<'a> {
    fn of(contacts: &'a [ContactRow]) -> Result<Self, Error> {
        let mut columns = Self::default();
        let unreadable = |error: serde_json::Error| Error::Unreadable(error.to_string());
        for ContactRow { stored: StoredContact { contact, last_seq }, label_ids, links } in contacts
        {
            columns.ids.push(contact.id.0);
            columns.versions.push(contact.version.0);
            columns.names.push(&contact.name);
            columns.first_names.push(contact.first_name.as_deref());
            columns.last_names.push(contact.last_name.as_deref());
            columns.emails.push(contact.email.as_ref().map(Email::as_str));
            columns.phone_numbers.push(contact.phone_number.as_ref().map(Phone::as_str));
            columns.identifiers.push(contact.identifier.as_ref().map(Identifier::as_str));
            columns.thumbnails.push(&contact.thumbnail);
            columns.availability_statuses.push(contact.availability_status.as_str());
            columns.blocked.push(contact.blocked);
            columns.additional_attributes.push(contact.additional_attributes.as_json());
            columns.custom_attributes.push(contact.custom_attributes.as_json());
            columns.last_activity_at.push(contact.last_activity_at.map(|at| at.0));
            columns.created_at.push(contact.created_at.0);
            columns.last_seqs.push(last_seq.0);
            columns.label_ids.push(held::column(label_ids).map_err(unreadable)?);
            columns.links.push(held::column(links).map_err(unreadable)?);
        }
        Ok(columns)
    }
}

impl Columns for ContactColumns<'_> {
    fn after<'b>(&'b self, account: &'b i64) -> Vec<&'b (dyn ToSql + Sync)> {
        vec![
            account,
            &self.ids,
            &self.versions,
            &self.names,
            &self.first_names,
            &self.last_names,
            &self.emails,
            &self.phone_numbers,
            &self.identifiers,
            &self.thumbnails,
            &self.availability_statuses,
            &self.blocked,
            &self.additional_attributes,
            &self.custom_attributes,
            &self.last_activity_at,
            &self.created_at,
            &self.last_seqs,
            &self.label_ids,
            &self.links,
        ]
    }
}
