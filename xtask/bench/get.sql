-- A contact and its channels by id.
\set id random(1, :contacts)
SELECT contacts.*, contact_inboxes.inbox_id, contact_inboxes.source_id
FROM contacts LEFT JOIN contact_inboxes
  ON contact_inboxes.account_id = contacts.account_id AND contact_inboxes.contact_id = contacts.id
WHERE contacts.account_id = :account AND contacts.id = :id;
