//! What an examination must find: damage done by SQL that is the same for every database, and the
//! findings that it must bring, no more and no fewer.

use std::sync::Arc;

use meishi_contacts::{AccountId, AttributePatch, ContactPatch, UnixMillis};
use meishi_store::{Store, examine::Severity};

use super::{
    fields::{NOON, create_attribute, email, identifier, named, phone, webhook},
    tenant::Tenant,
};

/// What is wrong: the check, how many, and whether it is told of the damaged account.
pub(crate) type Found = (String, Option<i64>, bool);

/// Statements, in which `{account}` stands for the damaged account's id, and the checks that they
/// make fail, each with how many it must count.
pub(crate) struct Damage {
    pub(crate) statement: &'static str,
    pub(crate) found: &'static [(&'static str, i64)],
}

impl Damage {
    /// The statement for an account.
    pub(crate) fn of(&self, account: AccountId) -> String {
        self.statement.replace("{account}", &account.to_string())
    }

    /// What an examination must find.
    pub(crate) fn expected(&self) -> Vec<Found> {
        let of_account = |check| check != "database_identity";
        let found = self.found.iter();
        found.map(|(check, count)| ((*check).into(), Some(*count), of_account(*check))).collect()
    }
}

const fn damage(statement: &'static str, found: &'static [(&'static str, i64)]) -> Damage {
    Damage { statement, found }
}

/// Foreign keys must not be enforced while these run.
pub(crate) const DAMAGES: [Damage; 41] = [
    damage("DELETE FROM databases", &[("database_identity", 0)]),
    damage(
        "DELETE FROM counters WHERE account_id = {account}",
        &[("accounts_without_counters", 1)],
    ),
    damage("DELETE FROM accounts WHERE id = {account}", &[("counters_without_account", 1)]),
    damage(
        "UPDATE counters SET contacts = contacts + 2 WHERE account_id = {account}",
        &[("contacts_counted", 2)],
    ),
    damage(
        "UPDATE counters SET resolved_contacts = 0 WHERE account_id = {account}",
        &[("resolved_contacts_counted", 1)],
    ),
    damage(
        "UPDATE counters SET last_seq = last_seq + 3 WHERE account_id = {account}",
        &[("last_event", 3)],
    ),
    damage(
        "DELETE FROM events WHERE account_id = {account}
           AND seq = (SELECT last_seq FROM counters WHERE account_id = {account})",
        &[("last_event", 1)],
    ),
    damage("DELETE FROM events WHERE account_id = {account} AND seq < 3", &[("first_event", 2)]),
    damage(
        "DELETE FROM events WHERE account_id = {account} AND seq IN (3, 5)",
        &[("events_dense", 2), ("history_chains", 1)],
    ),
    damage(
        "UPDATE counters SET last_contact_id = 1 WHERE account_id = {account}",
        &[("contact_ids", 1)],
    ),
    damage(
        "UPDATE counters SET last_inbox_id = 0 WHERE account_id = {account}",
        &[("inbox_ids", 1)],
    ),
    damage("UPDATE counters SET last_key_id = 0 WHERE account_id = {account}", &[("key_ids", 1)]),
    damage(
        "UPDATE counters SET last_label_id = 0 WHERE account_id = {account}",
        &[("label_ids", 2), ("labels", 2)],
    ),
    damage(
        "UPDATE counters SET last_attribute_id = 0 WHERE account_id = {account}",
        &[("attribute_ids", 1)],
    ),
    damage(
        "UPDATE counters SET last_webhook_id = 0 WHERE account_id = {account}",
        &[("webhook_ids", 1)],
    ),
    // A history that begins with another contact's event, with a key's of the same number, with
    // none.
    damage(
        "UPDATE contacts SET last_seq = 10 WHERE account_id = {account} AND id = 1",
        &[("histories", 1)],
    ),
    damage(
        "UPDATE contacts SET last_seq = 3 WHERE account_id = {account} AND id = 1",
        &[("histories", 1)],
    ),
    damage(
        "UPDATE deleted_contacts SET last_seq = 99 WHERE account_id = {account}",
        &[("histories", 1)],
    ),
    // One that goes on with another contact's event, with a key's, with none, or nowhere.
    damage(
        "UPDATE events SET previous_seq = 4 WHERE account_id = {account} AND seq = 10",
        &[("history_chains", 1)],
    ),
    damage(
        "UPDATE events SET previous_seq = 3 WHERE account_id = {account} AND seq = 9",
        &[("history_chains", 1)],
    ),
    damage(
        "UPDATE events SET previous_seq = 99 WHERE account_id = {account} AND seq = 10",
        &[("history_chains", 1)],
    ),
    damage(
        "UPDATE events SET previous_seq = seq WHERE account_id = {account} AND seq = 10",
        &[("history_chains", 1)],
    ),
    damage(
        "UPDATE webhooks SET cursor = cursor + 1 WHERE account_id = {account}",
        &[("webhook_cursors", 1)],
    ),
    damage(
        "DELETE FROM identities WHERE account_id = {account} AND kind = 'email'",
        &[("contacts_in_ledger", 1)],
    ),
    damage(
        "DELETE FROM identities WHERE account_id = {account} AND kind = 'phone_number'",
        &[("contacts_in_ledger", 1)],
    ),
    damage(
        "DELETE FROM identities WHERE account_id = {account} AND kind = 'identifier'",
        &[("contacts_in_ledger", 1)],
    ),
    damage(
        "UPDATE identities SET is_primary = (1 = 0) WHERE account_id = {account}",
        &[("contacts_in_ledger", 1)],
    ),
    damage(
        "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         VALUES ({account}, 'email', 'b@x.test', 2, (1 = 1))",
        &[("ledger_in_contacts", 1)],
    ),
    damage(
        "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         VALUES ({account}, 'phone_number', '+4930000000', 1, (1 = 1))",
        &[("ledger_in_contacts", 1)],
    ),
    damage(
        "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         VALUES ({account}, 'identifier', 'b', 2, (1 = 1))",
        &[("ledger_in_contacts", 1)],
    ),
    damage(
        "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         VALUES ({account}, 'fax', 'anna@x.test', 1, (1 = 1))",
        &[("ledger_in_contacts", 1)],
    ),
    // One that is not primary must be of a contact too.
    damage(
        "INSERT INTO identities (account_id, kind, value, contact_id, is_primary)
         VALUES ({account}, 'email', 'b@x.test', 99, (1 = 0))",
        &[("ledger_in_contacts", 1)],
    ),
    damage(
        "UPDATE contacts SET email = 'b@x.test' WHERE account_id = {account} AND id = 1",
        &[("contacts_in_ledger", 1), ("ledger_in_contacts", 1)],
    ),
    // The address of one contact is another's in the ledger.
    damage(
        "UPDATE identities SET contact_id = 2 WHERE account_id = {account} AND kind = 'email'",
        &[("contacts_in_ledger", 1), ("ledger_in_contacts", 1)],
    ),
    damage(
        "UPDATE contact_inboxes SET contact_id = 99 WHERE account_id = {account}",
        &[("links", 2)],
    ),
    damage(
        "UPDATE contact_inboxes SET inbox_id = 99 WHERE account_id = {account}",
        &[("links", 2)],
    ),
    damage("UPDATE contacts SET links = NULL WHERE account_id = {account}", &[("links", 1)]),
    damage(
        "UPDATE contacts SET label_ids = '[1,99]' WHERE account_id = {account} AND id = 1",
        &[("labels", 1)],
    ),
    damage(
        "DELETE FROM contacts WHERE account_id = {account} AND id = 1",
        &[
            ("contacts_counted", 1),
            ("resolved_contacts_counted", 1),
            ("ledger_in_contacts", 3),
            ("links", 1),
        ],
    ),
    damage(
        "UPDATE events SET at = at + 61000 WHERE account_id = {account}
           AND seq = (SELECT last_seq FROM counters WHERE account_id = {account})",
        &[("clock", 61)],
    ),
    // Two machines' clocks are never the same.
    damage("UPDATE events SET at = at + 59000 WHERE account_id = {account}", &[]),
];

/// Fills a store with something of every table, in two accounts, and answers the one to damage.
pub(crate) async fn fill(store: &Arc<dyn Store>) -> Tenant {
    let (acme, globex) = Tenant::two(store).await;
    for tenant in [&globex, &acme] {
        let anna = ContactPatch {
            email: email("anna@x.test"),
            phone_number: phone("+493012345"),
            identifier: identifier("a-1"),
            ..named("Anna")
        };
        let anna = tenant.create_linked("anna", anna).await.contact.id;
        let bob = tenant.create(named("Bob")).await.contact.id;
        let gone = tenant.create_linked("gone", named("Gone")).await.contact.id;
        tenant.set_labels(anna, &["vip", "new"]).await;
        tenant.update(bob, named("Robert")).await;
        tenant.delete(gone).await;
        let plan = create_attribute("plan", AttributePatch::default());
        tenant.change(plan).await.unwrap();
        tenant.create_webhook(webhook("https://example.com/")).await;
    }
    acme
}

/// What an examination at noon finds wrong. The disk and the test's own directory are not of the
/// store's making.
pub(crate) async fn found(store: &dyn Store) -> Vec<Found> {
    found_at(store, NOON, None).await
}

/// What an examination finds wrong, of which account.
pub(crate) async fn found_at(
    store: &dyn Store,
    now: UnixMillis,
    damaged: Option<AccountId>,
) -> Vec<Found> {
    let findings = store.examine(now).await.unwrap();
    assert!(findings.iter().any(|finding| finding.severity == Severity::Ok));
    let own = ["data_directory", "free_space"];
    let bad = findings.into_iter().filter(|finding| {
        finding.severity != Severity::Ok && !own.contains(&finding.check.as_str())
    });
    bad.map(|finding| {
        assert!(finding.advice.is_some_and(|advice| !advice.contains('{')));
        assert!(!finding.message.contains('{'), "{}", finding.message);
        (finding.check, finding.count, damaged.is_some() && finding.account_id == damaged)
    })
    .collect()
}
