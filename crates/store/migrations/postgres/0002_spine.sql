-- What makes the events public: a contact's history, webhooks with their deliveries, retention, and
-- what an erasure has to find.

-- dropped_seq: the last event that retention took away; 0 while all are there.
ALTER TABLE counters ADD COLUMN last_webhook_id bigint NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN dropped_seq bigint NOT NULL DEFAULT 0;

-- A contact's events are a chain, from the last one back, so that reading a history needs no index
-- that every write would have to pay for.
ALTER TABLE contacts ADD COLUMN last_seq bigint NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN previous_seq bigint;

-- Where the chain of a contact that is gone begins.
CREATE TABLE deleted_contacts (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  last_seq bigint NOT NULL,
  PRIMARY KEY (account_id, id)
);

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
ALTER TABLE labels ADD COLUMN color text COLLATE "C" NOT NULL DEFAULT '#1f93ff';
ALTER TABLE labels ADD COLUMN description text COLLATE "C";
ALTER TABLE labels ADD COLUMN show_on_sidebar boolean NOT NULL DEFAULT true;

-- Contacts bear labels by number, so that nothing of a contact tells when one of them was renamed or
-- deleted; whoever wants to know what a contact was looks here. Few events are in it.
CREATE INDEX events_relabelled ON events (account_id, seq)
  WHERE kind IN ('label.updated', 'label.deleted');

-- Definitions of custom attributes. list_values is JSON.
ALTER TABLE counters ADD COLUMN last_attribute_id bigint NOT NULL DEFAULT 0;
CREATE TABLE attribute_definitions (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  description text COLLATE "C",
  type text COLLATE "C" NOT NULL, -- text, number, currency, percent, link, date, list, checkbox
  list_values text COLLATE "C" NOT NULL,
  regex text COLLATE "C",
  hint text COLLATE "C",
  mode text COLLATE "C" NOT NULL, -- observe, enforce
  created_at bigint NOT NULL,
  PRIMARY KEY (account_id, id),
  UNIQUE (account_id, key)
);

-- Outcomes expire, and an erasure must find those that tell of a contact.
CREATE INDEX idempotency_keys_created ON idempotency_keys (account_id, created_at);
CREATE TABLE idempotency_contacts (
  account_id bigint NOT NULL,
  api_key_id bigint NOT NULL,
  route text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  contact_id bigint NOT NULL,
  PRIMARY KEY (account_id, api_key_id, route, key, contact_id),
  FOREIGN KEY (account_id, api_key_id, route, key)
    REFERENCES idempotency_keys (account_id, api_key_id, route, key) ON DELETE CASCADE
);
CREATE INDEX idempotency_contacts_contact ON idempotency_contacts (account_id, contact_id);

-- Another escape stands for that of NUL, which PostgreSQL does not read; only the ids are wanted.
INSERT INTO idempotency_contacts (account_id, api_key_id, route, key, contact_id)
SELECT DISTINCT account_id, api_key_id, route, key,
  coalesce(result -> 'Ok' -> 'ContactCreated' -> 'contact' ->> 'id',
    result -> 'Ok' -> 'ContactUpdated' -> 'contact' ->> 'id')::bigint
FROM idempotency_keys
CROSS JOIN LATERAL json_array_elements(replace(outcome, '\u0000', '\u0001')::json) AS result
WHERE result -> 'Ok' -> 'ContactCreated' IS NOT NULL
  OR result -> 'Ok' -> 'ContactUpdated' IS NOT NULL;

-- cursor: the last event that was looked at for the webhook. next_at: when it may be worked on
-- again. lease: the server that works on it, until lease_until. leased_at: when it last was.
-- revive_from: from which event on pending deliveries are still to begin anew.
CREATE TABLE webhooks (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  url text COLLATE "C" NOT NULL,
  events text COLLATE "C" NOT NULL, -- JSON
  format text COLLATE "C" NOT NULL,
  include_activity boolean NOT NULL,
  state text COLLATE "C" NOT NULL, -- enabled, paused, disabled, deleted
  state_reason text COLLATE "C",
  created_at bigint NOT NULL,
  failing_since bigint,
  secret text COLLATE "C" NOT NULL,
  previous_secret text COLLATE "C",
  previous_until bigint,
  cursor bigint NOT NULL,
  next_at bigint NOT NULL,
  lease text COLLATE "C",
  lease_until bigint NOT NULL,
  leased_at bigint NOT NULL DEFAULT 0,
  revive_from bigint,
  PRIMARY KEY (account_id, id)
);

-- One event for one webhook. waiting: an earlier one of the same contact is still under way.
CREATE TABLE deliveries (
  account_id bigint NOT NULL,
  webhook_id bigint NOT NULL,
  seq bigint NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  contact_id bigint NOT NULL,
  payload text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL, -- waiting, pending, delivered, failed, erased
  attempts text COLLATE "C" NOT NULL, -- JSON
  tries bigint NOT NULL,
  created_at bigint NOT NULL,
  next_at bigint,
  settled_at bigint,
  PRIMARY KEY (account_id, webhook_id, seq),
  FOREIGN KEY (account_id, webhook_id) REFERENCES webhooks (account_id, id)
);
CREATE INDEX deliveries_due ON deliveries (account_id, webhook_id, next_at, seq)
  WHERE state = 'pending';
CREATE INDEX deliveries_unsettled ON deliveries (account_id, webhook_id, contact_id, seq)
  WHERE state IN ('waiting', 'pending');
CREATE INDEX deliveries_state ON deliveries (account_id, webhook_id, state, seq);
-- An erasure finds what was delivered of a contact.
CREATE INDEX deliveries_contact ON deliveries (account_id, contact_id);
