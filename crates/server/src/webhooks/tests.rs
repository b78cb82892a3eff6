use meishi_contacts::{
    AccountId, Attributes, Availability, Card, Email, Field, InboxId, KeyId, Label, LabelCard,
    LabelId, Phone, Role, UnixSeconds, Version, event::KeyCard,
};
use serde_json::{Value, json};

use super::*;

fn account() -> Account {
    Account { id: AccountId(7), name: "Acme \"Inc\"".into(), created_at: UnixMillis(0) }
}

fn attributes(value: Value) -> Attributes {
    let Value::Object(map) = value else { panic!("no object") };
    map.into()
}

fn contact() -> Contact {
    Contact {
        version: Version(4),
        name: "Zoë".into(),
        email: Some(Email::from_stored("zoe@example.com".into())),
        phone_number: Some(Phone::from_stored("+4930123456".into())),
        thumbnail: "https://example.com/zoe.png".into(),
        availability_status: Availability::Online,
        additional_attributes: attributes(json!({"city": "Zürich"})),
        custom_attributes: attributes(json!({"b": 1, "a": [1.5, null], "new": {"x": {}}})),
        last_activity_at: Some(UnixSeconds(1_765_441_908)),
        labels: vec![Label::from_stored("vip".into())],
        ..Contact::blank(ContactId(12), UnixSeconds(1_765_441_895))
    }
}

fn event(body: EventBody) -> Event {
    Event {
        seq: Seq(17),
        at: UnixMillis(1_766_571_703_250),
        actor: Actor::Key(KeyId(3)),
        request_id: "request".into(),
        body,
    }
}

fn card() -> Card {
    Card { contact: contact(), contact_inboxes: vec![] }
}

/// Two fields, a label, and members of a map that were changed, added and removed.
fn update() -> EventBody {
    let member = |key: &str, before: Option<Value>, after: Option<Value>| FieldChange {
        field: Field::CustomAttributes,
        key: Some(key.into()),
        before,
        after,
    };
    let changes = vec![
        FieldChange::of(Field::Identifier, "u-1", Value::Null),
        FieldChange::of(Field::Name, "Zoe", "Zoë"),
        member("a", Some(json!([1])), Some(json!([1.5, null]))),
        member("gone", Some(Value::Null), None),
        member("new", None, Some(json!({"x": {}}))),
        FieldChange::of(Field::LastActivityAt, Value::Null, 1_765_441_908),
        FieldChange::of(Field::Labels, json!([]), json!(["vip"])),
    ];
    EventBody::ContactUpdated { id: ContactId(12), version: Version(4), changes }
}

fn text(form: PayloadForm, body: EventBody) -> String {
    let rendered = render(form, &account(), &event(body), Some(&contact())).unwrap();
    String::from_utf8(rendered).unwrap()
}

fn text_of(form: PayloadForm, what: What<'_>) -> String {
    let account = account();
    let notice = Notice {
        account: &account,
        seq: Seq(18),
        at: UnixMillis(1_766_571_703_000),
        actor: Actor::System,
        request_id: "request",
        what,
    };
    let rendered = match form {
        PayloadForm::Meishi => meishi::render(&notice),
        PayloadForm::Chatwoot => chatwoot::render(&notice),
    };
    String::from_utf8(rendered).unwrap()
}

const CONTACT: &str = concat!(
    r#"{"additional_attributes":{"city":"Zürich"},"availability_status":"online","#,
    r#""email":"zoe@example.com","id":12,"name":"Zoë","phone_number":"+4930123456","#,
    r#""blocked":false,"identifier":null,"thumbnail":"https://example.com/zoe.png","#,
    r#""custom_attributes":{"b":1,"a":[1.5,null],"new":{"x":{}}},"#,
    r#""last_activity_at":1765441908,"created_at":1765441895}"#,
);

#[test]
fn our_own_form_is_these_very_bytes() {
    let expected = |kind: &str, changes: &str| {
        format!(
            concat!(
                r#"{{"type":"contact.{}","timestamp":"2025-12-24T10:21:43.25Z","data":{{"#,
                r#""account_id":7,"seq":17,"contact":{},{}"actor":{{"type":"key","id":3}},"#,
                r#""request_id":"request"}}}}"#,
            ),
            kind, CONTACT, changes
        )
    };
    let created = text(PayloadForm::Meishi, EventBody::ContactCreated(card()));
    assert_eq!(created, expected("created", ""));
    let deleted = text(PayloadForm::Meishi, EventBody::ContactDeleted(card()));
    assert_eq!(deleted, expected("deleted", ""));
    let changes = concat!(
        r#""changes":[{"field":"identifier","before":"u-1","after":null},"#,
        r#"{"field":"name","before":"Zoe","after":"Zoë"},"#,
        r#"{"field":"custom_attributes","key":"a","before":[1],"after":[1.5,null]},"#,
        r#"{"field":"custom_attributes","key":"gone","before":null},"#,
        r#"{"field":"custom_attributes","key":"new","after":{"x":{}}},"#,
        r#"{"field":"last_activity_at","before":null,"after":1765441908},"#,
        r#"{"field":"labels","before":[],"after":["vip"]}],"#,
    );
    assert_eq!(text(PayloadForm::Meishi, update()), expected("updated", changes));
}

#[test]
fn chatwoots_form_is_these_very_bytes() {
    let expected = |event: &str, changed: &str| {
        format!(
            concat!(
                r#"{{"account":{{"id":7,"name":"Acme \"Inc\""}},"#,
                r#""additional_attributes":{{"city":"Zürich"}},"#,
                r#""avatar":"https://example.com/zoe.png","#,
                r#""custom_attributes":{{"b":1,"a":[1.5,null],"new":{{"x":{{}}}}}},"#,
                r#""email":"zoe@example.com","id":12,"identifier":null,"name":"Zoë","#,
                r#""phone_number":"+4930123456","thumbnail":"https://example.com/zoe.png","#,
                r#""blocked":false,"event":"contact_{}"{}}}"#,
            ),
            event, changed
        )
    };
    let created = text(PayloadForm::Chatwoot, EventBody::ContactCreated(card()));
    assert_eq!(created, expected("created", ""));
    let deleted = text(PayloadForm::Chatwoot, EventBody::ContactDeleted(card()));
    assert_eq!(deleted, expected("deleted", ""));
    // One object for each field; a map whole, though three of its members changed.
    let changed = concat!(
        r#","changed_attributes":["#,
        r#"{"identifier":{"previous_value":"u-1","current_value":null}},"#,
        r#"{"name":{"previous_value":"Zoe","current_value":"Zoë"}},"#,
        r#"{"custom_attributes":{"previous_value":{"b":1,"a":[1],"gone":null},"#,
        r#""current_value":{"b":1,"a":[1.5,null],"new":{"x":{}}}}},"#,
        r#"{"last_activity_at":{"previous_value":null,"#,
        r#""current_value":"2025-12-11T08:31:48.000Z"}},"#,
        r#"{"labels":{"previous_value":[],"current_value":["vip"]}}]"#,
    );
    assert_eq!(text(PayloadForm::Chatwoot, update()), expected("updated", changed));
}

#[test]
fn what_was_brought_back_looks_like_what_was_created() {
    let contact = contact();
    for (form, created) in
        [(PayloadForm::Meishi, "contact.created"), (PayloadForm::Chatwoot, "contact_created")]
    {
        let restored = text_of(form, What::Restored(&contact));
        let plain = text_of(form, What::Created(&contact));
        assert_eq!(restored, plain.replace(created, &created.replace("created", "restored")));
    }
}

#[test]
fn of_what_was_erased_only_the_number_is_told() {
    assert_eq!(
        text_of(PayloadForm::Meishi, What::Erased(ContactId(12))),
        concat!(
            r#"{"type":"contact.erased","timestamp":"2025-12-24T10:21:43Z","data":{"#,
            r#""account_id":7,"seq":18,"contact":{"id":12},"actor":{"type":"system"},"#,
            r#""request_id":"request"}}"#,
        )
    );
    assert_eq!(
        text_of(PayloadForm::Chatwoot, What::Erased(ContactId(12))),
        r#"{"account":{"id":7,"name":"Acme \"Inc\""},"id":12,"event":"contact_erased"}"#
    );
}

#[test]
fn a_message_has_the_name_by_which_its_event_is_selected() {
    let key = KeyCard {
        id: KeyId(1),
        api_key: "mk_1".into(),
        name: "CRM".into(),
        role: Role::Agent,
        expires_at: None,
    };
    let contact = contact();
    for body in [
        EventBody::AccountCreated { name: "Acme".into() },
        EventBody::ContactCreated(card()),
        update(),
        EventBody::ContactDeleted(card()),
        EventBody::LabelCreated(LabelCard::plain(LabelId(1), Label::from_stored("vip".into()))),
        EventBody::InboxUpdated { id: InboxId(1), changes: vec![] },
        EventBody::KeyCreated(key.clone()),
        EventBody::KeyRevoked(key),
    ] {
        let told = What::of(&body, Some(&contact)).map(|what| what.event());
        assert_eq!(told, WebhookEvent::of(&body), "{body:?}");
    }
    // Without the contact there is nothing to say of an update.
    let account = account();
    assert_eq!(render(PayloadForm::Meishi, &account, &event(update()), None), None);
    let created = event(EventBody::ContactCreated(card()));
    assert!(render(PayloadForm::Meishi, &account, &created, None).is_some());
}
