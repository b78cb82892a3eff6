-- What makes the events public: a contact's history, webhooks with their deliveries, retention, and
-- what an erasure has to find.

-- dropped_seq: the last event that retention took away; 0 while all are there.
ALTER TABLE counters ADD COLUMN last_webhook_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN dropped_seq INTEGER NOT NULL DEFAULT 0;

-- A contact's events are a chain, from the last one back, so that reading a history needs no index
-- that every write would have to pay for.
ALTER TABLE contacts ADD COLUMN last_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN previous_seq INTEGER;

-- Where the chain of a contact that is gone begins.
CREATE TABLE deleted_contacts (
  account_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

UPDATE events SET previous_seq = chain.previous_seq
FROM (SELECT account_id, seq, lag(seq) OVER (PARTITION BY account_id, subject_id ORDER BY seq)
        AS previous_seq
      FROM events
      WHERE kind IN ('contact.created', 'contact.updated', 'contact.deleted')) AS chain
WHERE events.account_id = chain.account_id AND events.seq = chain.seq;

UPDATE contacts SET last_seq = chain.last_seq
FROM (SELECT account_id, subject_id, max(seq) AS last_seq FROM events
      WHERE kind IN ('contact.created', 'contact.updated')
      GROUP BY account_id, subject_id) AS chain
WHERE contacts.account_id = chain.account_id AND contacts.id = chain.subject_id;

INSERT INTO deleted_contacts (account_id, id, last_seq)
SELECT account_id, subject_id, seq FROM events WHERE kind = 'contact.deleted';

-- What a label is besides its title.
ALTER TABLE labels ADD COLUMN color TEXT NOT NULL DEFAULT '#1f93ff';
ALTER TABLE labels ADD COLUMN description TEXT;
ALTER TABLE labels ADD COLUMN show_on_sidebar INTEGER NOT NULL DEFAULT 1;

-- Contacts bear labels by number, so that nothing of a contact tells when one of them was renamed or
-- deleted; whoever wants to know what a contact was looks here. Few events are in it.
CREATE INDEX events_relabelled ON events (account_id, seq)
  WHERE kind IN ('label.updated', 'label.deleted');

-- Definitions of custom attributes. list_values is JSON.
ALTER TABLE counters ADD COLUMN last_attribute_id INTEGER NOT NULL DEFAULT 0;
CREATE TABLE attribute_definitions (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  id INTEGER NOT NULL,
  key TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  type TEXT NOT NULL, -- text, number, currency, percent, link, date, list, checkbox
  list_values TEXT NOT NULL,
  regex TEXT,
  hint TEXT,
  mode TEXT NOT NULL, -- observe, enforce
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, id),
  UNIQUE (account_id, key)
) STRICT, WITHOUT ROWID;

-- Outcomes expire, and an erasure must find those that tell of a contact.
CREATE INDEX idempotency_keys_created ON idempotency_keys (account_id, created_at);
CREATE TABLE idempotency_contacts (
  account_id INTEGER NOT NULL,
  api_key_id INTEGER NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  PRIMARY KEY (account_id, api_key_id, route, key, contact_id),
  FOREIGN KEY (account_id, api_key_id, route, key)
    REFERENCES idempotency_keys (account_id, api_key_id, route, key) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_contacts_contact ON idempotency_contacts (account_id, contact_id);

INSERT INTO idempotency_contacts (account_id, api_key_id, route, key, contact_id)
SELECT DISTINCT account_id, api_key_id, route, idempotency_keys.key,
  coalesce(result.value ->> '$.Ok.ContactCreated.contact.id',
    result.value ->> '$.Ok.ContactUpdated.contact.id')
FROM idempotency_keys, json_each(outcome) AS result
WHERE result.value -> '$.Ok.ContactCreated' IS NOT NULL
  OR result.value -> '$.Ok.ContactUpdated' IS NOT NULL;

-- cursor: the last event that was looked at for the webhook. next_at: when it may be worked on
-- again. lease: the server that works on it, until lease_until. leased_at: when it last was.
-- revive_from: from which event on pending deliveries are still to begin anew.
CREATE TABLE webhooks (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  id INTEGER NOT NULL,
  url TEXT NOT NULL,
  events TEXT NOT NULL, -- JSON
  format TEXT NOT NULL,
  include_activity INTEGER NOT NULL,
  state TEXT NOT NULL, -- enabled, paused, disabled, deleted
  state_reason TEXT,
  created_at INTEGER NOT NULL,
  failing_since INTEGER,
  secret TEXT NOT NULL,
  previous_secret TEXT,
  previous_until INTEGER,
  cursor INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  lease TEXT,
  lease_until INTEGER NOT NULL,
  leased_at INTEGER NOT NULL DEFAULT 0,
  revive_from INTEGER,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

-- One event for one webhook. waiting: an earlier one of the same contact is still under way.
CREATE TABLE deliveries (
  account_id INTEGER NOT NULL,
  webhook_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL, -- waiting, pending, delivered, failed, erased
  attempts TEXT NOT NULL, -- JSON
  tries INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  next_at INTEGER,
  settled_at INTEGER,
  PRIMARY KEY (account_id, webhook_id, seq),
  FOREIGN KEY (account_id, webhook_id) REFERENCES webhooks (account_id, id)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (account_id, webhook_id, next_at, seq)
  WHERE state = 'pending';
CREATE INDEX deliveries_unsettled ON deliveries (account_id, webhook_id, contact_id, seq)
  WHERE state IN ('waiting', 'pending');
CREATE INDEX deliveries_state ON deliveries (account_id, webhook_id, state, seq);
-- An erasure finds what was delivered of a contact.
CREATE INDEX deliveries_contact ON deliveries (account_id, contact_id);
