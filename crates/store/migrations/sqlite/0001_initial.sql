-- Every table of a tenant has account_id first in its primary key, its unique indexes and its
-- foreign keys. Times are unix milliseconds, but for the two of a contact that callers write back
-- as they read them: unix seconds. Tables of long rows have a rowid: one without keeps few long rows
-- a page, also in its inner pages, and spills what exceeds a quarter of a page.

-- The database's own identity: a snapshot or a cursor that was made of another one, or before a
-- restore, must not pass for this one's.
CREATE TABLE databases (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- The last number given of each kind, and exact counts without counting.
CREATE TABLE counters (
  account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
  last_seq INTEGER NOT NULL DEFAULT 0,
  last_contact_id INTEGER NOT NULL DEFAULT 0,
  last_inbox_id INTEGER NOT NULL DEFAULT 0,
  last_key_id INTEGER NOT NULL DEFAULT 0,
  last_label_id INTEGER NOT NULL DEFAULT 0,
  contacts INTEGER NOT NULL DEFAULT 0,
  resolved_contacts INTEGER NOT NULL DEFAULT 0
) STRICT;

-- api_key and the two hashes are looked up before the account is known.
CREATE TABLE api_keys (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  id INTEGER NOT NULL,
  api_key TEXT NOT NULL UNIQUE,
  secret_hash BLOB NOT NULL UNIQUE,
  previous_hash BLOB,
  previous_until INTEGER,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_previous_hash ON api_keys (previous_hash) WHERE previous_hash IS NOT NULL;

CREATE TABLE inboxes (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  id INTEGER NOT NULL,
  name TEXT NOT NULL,
  channel_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  made_seq INTEGER NOT NULL, -- the event that made it: its id may be given again
  PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

-- label_ids and links are what a contact is read with, without a look at other tables: JSON, and
-- nothing where there are none. Numbers of labels and of the events that made channels are never
-- given again, so that those of what was deleted may stay.
CREATE TABLE contacts (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  id INTEGER NOT NULL,
  version INTEGER NOT NULL,
  name TEXT NOT NULL,
  first_name TEXT,
  last_name TEXT,
  email TEXT,
  phone_number TEXT,
  identifier TEXT,
  thumbnail TEXT NOT NULL,
  availability_status TEXT NOT NULL,
  blocked INTEGER NOT NULL,
  additional_attributes TEXT NOT NULL,
  custom_attributes TEXT NOT NULL,
  last_activity_at INTEGER, -- unix seconds
  created_at INTEGER NOT NULL, -- unix seconds
  label_ids TEXT, -- [id, …]
  links TEXT, -- [[inbox_id, source_id, the inbox's made_seq], …]
  PRIMARY KEY (account_id, id)
) STRICT;

-- Who owns which address. The contact's own columns repeat the primary ones.
CREATE TABLE identities (
  account_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  is_primary INTEGER NOT NULL,
  PRIMARY KEY (account_id, kind, value)
) STRICT, WITHOUT ROWID;

-- Those of late, in the order in which they came: they are moved over many at a time, in the order
-- of that table, so that a new one need not cost a page at random.
CREATE TABLE recent_identities (
  position INTEGER PRIMARY KEY,
  account_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  is_primary INTEGER NOT NULL
) STRICT;

CREATE VIEW addresses AS
SELECT account_id, kind, value, contact_id, is_primary FROM identities
UNION ALL SELECT account_id, kind, value, contact_id, is_primary FROM recent_identities;

-- Which contact an address in a channel leads to.
CREATE TABLE contact_inboxes (
  account_id INTEGER NOT NULL,
  inbox_id INTEGER NOT NULL,
  source_id TEXT NOT NULL,
  contact_id INTEGER NOT NULL,
  PRIMARY KEY (account_id, inbox_id, source_id),
  FOREIGN KEY (account_id, inbox_id) REFERENCES inboxes (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE labels (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  id INTEGER NOT NULL,
  title TEXT NOT NULL,
  PRIMARY KEY (account_id, id),
  UNIQUE (account_id, title)
) STRICT, WITHOUT ROWID;

-- What the contacts' rows say, row by row.
CREATE VIEW held_labels AS
SELECT contacts.account_id, contacts.id AS contact_id, held.value AS label_id
FROM contacts, json_each(contacts.label_ids) AS held;
CREATE VIEW held_links AS
SELECT contacts.account_id, contacts.id AS contact_id, held.value ->> 0 AS inbox_id,
  held.value ->> 1 AS source_id, held.value ->> 2 AS made_seq
FROM contacts, json_each(contacts.links) AS held;

-- The spine: every change, dense per account.
CREATE TABLE events (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL, -- key, system
  actor_id INTEGER,
  request_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject_id INTEGER,
  body TEXT NOT NULL,
  PRIMARY KEY (account_id, seq)
) STRICT;

-- The outcome of a keyed call, written with the call's effect.
CREATE TABLE idempotency_keys (
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  api_key_id INTEGER NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  outcome TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, api_key_id, route, key)
) STRICT;
