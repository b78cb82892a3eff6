-- A contact and its channels by id.
\set id random(1, :contacts)
SELECT * FROM contacts WHERE account_id = :account AND id = :id;
