-- The rows of one changed attribute of a contact, in one durable statement, as create.sql has it.
\set id random(1, :contacts)
WITH contact AS (
  UPDATE contacts
  SET custom_attributes = jsonb_set(custom_attributes::jsonb, '{seats}', to_jsonb(:id % 1000))::text,
    version = version + 1
  WHERE account_id = :account AND id = :id
  RETURNING version)
INSERT INTO events (account_id, seq, at, actor, actor_id, request_id, kind, subject_id, body)
SELECT :account, 100000000 + nextval('bench_ids'), 1764000000000, 'key', 1, md5(:id::text),
  'contact.updated', :id, '{"contact_updated":{"id":' || :id || ',"version":' || version
  || ',"changes":[{"field":"custom_attributes","key":"seats","before":1,"after":' || :id % 1000
  || '}]}}'
FROM contact;
