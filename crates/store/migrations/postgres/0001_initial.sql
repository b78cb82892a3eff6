-- The same tables as in SQLite, under the rules that keep them usable on Citus, sharded by account:
-- every primary key, unique index and foreign key of a tenant's table begins with account_id; no
-- triggers; no sequences. databases, accounts and api_keys are found before an account is known.
--
-- Text is compared byte by byte (COLLATE "C"), as SQLite does it, whatever the database's locale.
-- Times are unix milliseconds, but for the two of a contact that callers write back as they read
-- them: unix seconds. What a lane writes under the lock of the account's counters row has no
-- foreign key to accounts, since that row has one.

CREATE TABLE databases (
  one bigint PRIMARY KEY CHECK (one = 1),
  id text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL
);

CREATE TABLE accounts (
  id bigint PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL
);

-- The last number given of each kind, and exact counts without counting. The row is rewritten with
-- every commit: room on its page lets that happen in place.
CREATE TABLE counters (
  account_id bigint PRIMARY KEY REFERENCES accounts (id),
  last_seq bigint NOT NULL DEFAULT 0,
  last_contact_id bigint NOT NULL DEFAULT 0,
  last_inbox_id bigint NOT NULL DEFAULT 0,
  last_key_id bigint NOT NULL DEFAULT 0,
  last_label_id bigint NOT NULL DEFAULT 0,
  contacts bigint NOT NULL DEFAULT 0,
  resolved_contacts bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);

-- api_key and the two hashes are looked up before the account is known.
CREATE TABLE api_keys (
  account_id bigint NOT NULL REFERENCES accounts (id),
  id bigint NOT NULL,
  api_key text COLLATE "C" NOT NULL UNIQUE,
  secret_hash bytea NOT NULL UNIQUE,
  previous_hash bytea,
  previous_until bigint,
  name text COLLATE "C" NOT NULL,
  role text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint,
  last_used_at bigint,
  PRIMARY KEY (account_id, id)
);
CREATE INDEX api_keys_previous_hash ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL;

CREATE TABLE inboxes (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  channel_type text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  made_seq bigint NOT NULL, -- the event that made it: its id may be given again
  PRIMARY KEY (account_id, id)
);

-- label_ids and links are what a contact is read with, without a look at other tables: JSON, and
-- nothing where there are none. Numbers of labels and of the events that made channels are never
-- given again, so that those of what was deleted may stay.
CREATE TABLE contacts (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  version bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  first_name text COLLATE "C",
  last_name text COLLATE "C",
  email text COLLATE "C",
  phone_number text COLLATE "C",
  identifier text COLLATE "C",
  thumbnail text COLLATE "C" NOT NULL,
  availability_status text COLLATE "C" NOT NULL,
  blocked boolean NOT NULL,
  additional_attributes text COLLATE "C" NOT NULL,
  custom_attributes text COLLATE "C" NOT NULL,
  last_activity_at bigint, -- unix seconds
  created_at bigint NOT NULL, -- unix seconds
  label_ids text COLLATE "C", -- [id, …]
  links text COLLATE "C", -- [[inbox_id, source_id, the inbox's made_seq], …]
  PRIMARY KEY (account_id, id)
) WITH (fillfactor = 85);

-- Who owns which address. The contact's own columns repeat the primary ones.
CREATE TABLE identities (
  account_id bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  contact_id bigint NOT NULL,
  is_primary boolean NOT NULL,
  PRIMARY KEY (account_id, kind, value)
);
-- What reads the ledger of either store finds its two tables and their sum.
CREATE VIEW recent_identities AS SELECT * FROM identities WHERE false;
CREATE VIEW addresses AS SELECT * FROM identities;

-- Which contact an address in a channel leads to.
CREATE TABLE contact_inboxes (
  account_id bigint NOT NULL,
  inbox_id bigint NOT NULL,
  source_id text COLLATE "C" NOT NULL,
  contact_id bigint NOT NULL,
  PRIMARY KEY (account_id, inbox_id, source_id),
  FOREIGN KEY (account_id, inbox_id) REFERENCES inboxes (account_id, id)
);

CREATE TABLE labels (
  account_id bigint NOT NULL,
  id bigint NOT NULL,
  title text COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, id),
  UNIQUE (account_id, title)
);

-- What the contacts' rows say, row by row.
CREATE VIEW held_labels AS
SELECT contacts.account_id, contacts.id AS contact_id, held.value::bigint AS label_id
FROM contacts, json_array_elements_text(contacts.label_ids::json) AS held (value);
CREATE VIEW held_links AS
SELECT contacts.account_id, contacts.id AS contact_id, (held.value ->> 0)::bigint AS inbox_id,
  (held.value ->> 1) COLLATE "C" AS source_id, (held.value ->> 2)::bigint AS made_seq
FROM contacts, json_array_elements(contacts.links::json) AS held (value);

-- The spine: every change, dense per account.
CREATE TABLE events (
  account_id bigint NOT NULL,
  seq bigint NOT NULL,
  at bigint NOT NULL,
  actor text COLLATE "C" NOT NULL, -- key, system
  actor_id bigint,
  request_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  subject_id bigint,
  body text COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, seq)
);

-- The outcome of a keyed call, written with the call's effect.
CREATE TABLE idempotency_keys (
  account_id bigint NOT NULL,
  api_key_id bigint NOT NULL,
  route text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (account_id, api_key_id, route, key)
);
