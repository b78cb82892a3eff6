-- Spreads Meishi's tables over a Citus cluster, by account. Run it once, on the coordinator, after
-- `meishi init` made the tables and before there is much in them:
--
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -1 -f citus.sql
--
-- What has no account, or is looked up before the account is known, is on every node. The rest is
-- where its account is: one account's rows are all on one shard, so that a lane's transaction, its
-- lock and its foreign keys stay on one node. docs/scaling.md says what was tried of this.

CREATE EXTENSION IF NOT EXISTS citus;

SELECT create_reference_table('meishi_schema');
SELECT create_reference_table('databases');
SELECT create_reference_table('accounts');
SELECT create_reference_table('api_keys');

SELECT create_distributed_table('counters', 'account_id');
SELECT create_distributed_table('inboxes', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('contacts', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('identities', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('contact_inboxes', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('labels', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('attribute_definitions', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('events', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('idempotency_keys', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('deleted_contacts', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('idempotency_contacts', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('webhooks', 'account_id', colocate_with => 'counters');
SELECT create_distributed_table('deliveries', 'account_id', colocate_with => 'counters');
