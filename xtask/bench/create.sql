-- The rows of one created contact, in one durable statement: what PostgreSQL itself can do when
-- every contact is a transaction and nothing is checked, counted or answered.
WITH new AS (SELECT nextval('bench_ids') AS id),
contact AS (
  INSERT INTO contacts (account_id, id, version, name, email, phone_number, identifier, thumbnail,
    availability_status, blocked, additional_attributes, custom_attributes, created_at, links)
  SELECT :account, id, 1, 'Anna Meier ' || id, 'anna.' || id || '@example.com',
    '+441' || lpad(id::text, 9, '0'), 'user-' || id, '', 'offline', false,
    '{"city":"Berlin","company_name":"ACME"}', '{"plan":"pro","seats":' || id || '}', 1764000000,
    '[[1,"' || md5(id::text) || '",2]]'
  FROM new),
identity AS (
  INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
  SELECT :account, kind, value, id, true
  FROM new, LATERAL (VALUES
    ('email', 'anna.' || id || '@example.com'),
    ('phone_number', '+441' || lpad(id::text, 9, '0')),
    ('identifier', 'user-' || id)) AS address (kind, value)),
link AS (
  INSERT INTO contact_inboxes (account_id, inbox_id, source_id, contact_id)
  SELECT :account, 1, md5(id::text), id FROM new)
INSERT INTO events (account_id, seq, at, actor, actor_id, request_id, kind, subject_id, body)
SELECT :account, 1000 + id, 1764000000000, 'key', 1, md5(id::text), 'contact.created', id,
  '{"contact_created":{"contact":{"id":' || id || ',"version":1,"name":"Anna Meier ' || id
  || '","first_name": null,"last_name": null,"email":"anna.' || id
  || '@example.com","phone_number":"+441' || lpad(id::text, 9, '0') || '","identifier":"user-'
  || id || '","thumbnail":"","availability_status":"offline","blocked": false,'
  || '"additional_attributes":{"city":"Berlin","company_name":"ACME"},"custom_attributes":'
  || '{"plan":"pro","seats":' || id || '},"last_activity_at": null,"created_at":1764000000,'
  || '"labels":[]},"contact_inboxes":[{"inbox_id":1,"source_id":"' || md5(id::text) || '"}]}}'
FROM new;
