//! The messages in the API description: one entry of `webhooks` for each event, in both forms.

use meishi_contacts::{
    AccountId, Actor, Contact, ContactId, Email, Field, FieldChange, KeyId, Seq, UnixMillis,
    UnixSeconds,
    webhook::{PayloadForm, WebhookEvent},
};
use meishi_store::Account;
use serde_json::{Map, Value};
use utoipa::openapi::{
    Content, ContentBuilder, HttpMethod, OneOfBuilder, OpenApi, PathItem, PathsBuilder, Ref,
    Required, Response, Type,
    example::ExampleBuilder,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::ObjectBuilder,
};

use super::{Notice, What, chatwoot, meishi};

/// 2026-11-20T08:00:00Z.
const AT: UnixSeconds = UnixSeconds(1_795_161_600);

/// The headers of every message, and what they are.
const HEADERS: [(&str, &str); 6] = [
    (
        "webhook-id",
        "The message's id, a UUID. Every attempt and redelivery has the same, so that you know a \
         message that you have already.",
    ),
    ("webhook-timestamp", "When this attempt was made, in Unix seconds."),
    (
        "webhook-signature",
        "`v1,` and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, with \
         the bytes that the secret has in base64 after `whsec_` (Standard Webhooks). While a secret \
         is rotated there are two, with a space between them.",
    ),
    ("x-chatwoot-delivery", "The same as `webhook-id`."),
    ("x-chatwoot-timestamp", "The same as `webhook-timestamp`."),
    (
        "x-chatwoot-signature",
        "`sha256=` and HMAC-SHA256 in hexadecimal over `{x-chatwoot-timestamp}.{body}`, with the \
         whole text of the secret.",
    ),
];

/// Adds them to the description.
pub(crate) fn describe(document: &mut OpenApi) {
    let paths = WebhookEvent::ALL.into_iter().fold(PathsBuilder::new(), |paths, event| {
        paths.path(event.as_str(), PathItem::new(HttpMethod::Post, operation(event)))
    });
    document.webhooks = Some(paths.build());
}

fn operation(event: WebhookEvent) -> Operation {
    let (id, summary, description) = match event {
        WebhookEvent::ContactCreated => ("contactCreatedMessage", "A contact was created", ""),
        WebhookEvent::ContactUpdated => (
            "contactUpdatedMessage",
            "A contact changed",
            "Fields or labels changed. Of changes that tell of nothing but activity only webhooks \
             that ask for them hear.",
        ),
        WebhookEvent::ContactDeleted => {
            ("contactDeletedMessage", "A contact was deleted", "The contact is what it last was.")
        }
        WebhookEvent::ContactRestored => {
            ("contactRestoredMessage", "A deleted contact was brought back", "")
        }
        WebhookEvent::ContactErased => (
            "contactErasedMessage",
            "A contact was erased",
            "Erase what you have of it too. The message holds its number alone.",
        ),
    };
    let operation = OperationBuilder::new()
        .tag("webhooks")
        .operation_id(Some(id))
        .summary(Some(summary))
        .description((!description.is_empty()).then_some(description))
        .request_body(Some(
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content("application/json", content(event))
                .build(),
        ))
        .response("2XX", Response::new("The message is delivered"))
        .response("410", Response::new("The webhook is switched off"))
        .response("default", Response::new("The message is sent again later, a redirect too"));
    let parameters = HEADERS.into_iter().map(|(name, description)| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
    });
    parameters.fold(operation, OperationBuilder::parameter).build()
}

fn content(event: WebhookEvent) -> Content {
    let erased = event == WebhookEvent::ContactErased;
    let names = if erased {
        ["WebhookErased", "ChatwootErasedMessage"]
    } else {
        ["WebhookMessage", "ChatwootContactMessage"]
    };
    let schema = names
        .into_iter()
        .fold(OneOfBuilder::new(), |schema, name| schema.item(Ref::from_schema_name(name)));
    let examples = [PayloadForm::Meishi, PayloadForm::Chatwoot].map(|form| {
        (form.as_str(), ExampleBuilder::new().value(Some(sample(event, form))).build())
    });
    ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
}

/// What such a message says.
fn sample(event: WebhookEvent, form: PayloadForm) -> Value {
    let account =
        Account { id: AccountId(1), name: "Acme".into(), created_at: UnixMillis(AT.0 * 1000) };
    let mut contact = Contact::blank(ContactId(2_219_259), AT);
    contact.name = "Alice Muster".into();
    contact.email = Some(Email::from_stored("alice@acme.inc".into()));
    contact.custom_attributes =
        Map::from_iter([("vip_level".to_owned(), Value::from("platinum"))]).into();
    let changes = [
        FieldChange::of(Field::Name, "Alice", "Alice Muster"),
        FieldChange {
            field: Field::CustomAttributes,
            key: Some("vip_level".into()),
            before: None,
            after: Some("platinum".into()),
        },
    ];
    let what = match event {
        WebhookEvent::ContactCreated => What::Created(&contact),
        WebhookEvent::ContactUpdated => What::Updated(&contact, &changes),
        WebhookEvent::ContactDeleted => What::Deleted(&contact),
        WebhookEvent::ContactRestored => What::Restored(&contact),
        WebhookEvent::ContactErased => What::Erased(contact.id),
    };
    let notice = Notice {
        account: &account,
        seq: Seq(17),
        at: UnixMillis(AT.0 * 1000),
        actor: Actor::Key(KeyId(3)),
        request_id: "3f0d7c62-9d35-4c6b-8c64-0a3b1f0c5d11",
        what,
    };
    let message = match form {
        PayloadForm::Meishi => meishi::render(&notice),
        PayloadForm::Chatwoot => chatwoot::render(&notice),
    };
    serde_json::from_slice(&message).unwrap_or_default()
}
