//! The bodies that a caller should send.

use serde::Serialize;
use utoipa::ToSchema;

/// The profile data that is documented; other members are kept as they are sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdditionalAttributes {
    description: Option<String>,
    #[schema(example = "ACME")]
    company_name: Option<String>,
    #[schema(example = "Zürich")]
    city: Option<String>,
    telegram: Option<String>,
    #[schema(example = "Switzerland")]
    country: Option<String>,
    #[schema(example = "CH")]
    country_code: Option<String>,
    /// Names of profiles: `facebook`, `github`, `instagram`, `linkedin`, `twitter`, …
    #[schema(value_type = Option<Object>, example = json!({"github": "alice"}))]
    social_profiles: Option<serde_json::Value>,
}

/// A contact to be created. The fields of an update may be sent too.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateContact {
    /// The Channel ID.
    #[schema(example = 1)]
    inbox_id: i64,
    /// The contact's address in the channel; random when absent.
    #[schema(max_length = 255, example = "src_001")]
    source_id: Option<String>,
    /// Display name.
    #[schema(max_length = 255, example = "Test")]
    name: Option<String>,
    /// E-mail address; unique in the account.
    #[schema(max_length = 255, example = "alice@acme.inc")]
    email: Option<String>,
    /// Phone number in E.164; unique in the account.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
    /// URL of a picture.
    #[schema(max_length = 2048, example = "https://example.com/avatar.png")]
    avatar_url: Option<String>,
    /// Your own id of the person (UserID); unique in the account.
    #[schema(max_length = 255, example = "1234567890")]
    identifier: Option<String>,
    /// Fields that the project defines.
    #[schema(value_type = Option<Object>, example = json!({"vip_level": "platinum"}))]
    custom_attributes: Option<serde_json::Value>,
    /// Profile data.
    additional_attributes: Option<AdditionalAttributes>,
}

/// A contact to be found and updated, or created. One of `identifier`, `email` and `phone_number`
/// must be there. The fields of an update may be sent too.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpsertContact {
    /// Your own id of the person (UserID); the first by which the contact is looked for.
    #[schema(max_length = 255, example = "1234567890")]
    identifier: Option<String>,
    /// E-mail address; the second.
    #[schema(max_length = 255, example = "alice@acme.inc")]
    email: Option<String>,
    /// Phone number in E.164; the third.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
    /// The Channel ID; needed where the contact is created, and not used where it is found.
    #[schema(example = 1)]
    inbox_id: Option<i64>,
    /// The contact's address in the channel; random when absent.
    #[schema(max_length = 255, example = "src_001")]
    source_id: Option<String>,
    /// Display name.
    #[schema(max_length = 255, example = "Test")]
    name: Option<String>,
    /// URL of a picture.
    #[schema(max_length = 2048, example = "https://example.com/avatar.png")]
    avatar_url: Option<String>,
    /// Fields that the project defines; merged.
    #[schema(value_type = Option<Object>, example = json!({"vip_level": "platinum"}))]
    custom_attributes: Option<serde_json::Value>,
    /// Profile data; merged.
    additional_attributes: Option<AdditionalAttributes>,
}

/// What to change of a contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateContact {
    /// Profile data; merged.
    additional_attributes: Option<AdditionalAttributes>,
    /// `online` or `offline`.
    #[schema(pattern = "^(online|offline)$", example = "offline")]
    availability_status: Option<String>,
    /// E-mail address; `null` clears.
    #[schema(max_length = 255, example = "support@jiguang.cn")]
    email: Option<String>,
    /// Display name.
    #[schema(max_length = 255, example = "support")]
    name: Option<String>,
    /// Phone number in E.164; `null` clears.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
    /// Whether the person is blocked.
    blocked: Option<bool>,
    /// Your own id of the person (UserID); `null` clears.
    #[schema(max_length = 255, example = "2222")]
    identifier: Option<String>,
    /// URL of a picture; an empty text clears. `avatar_url` is the same.
    #[schema(max_length = 2048, example = "")]
    thumbnail: Option<String>,
    /// Last activity in Unix seconds; `null` clears.
    #[schema(minimum = 0, maximum = 253_402_300_799_i64, example = 1_765_441_908)]
    last_activity_at: Option<i64>,
    /// Fields that the project defines; merged: `null` under a key removes it.
    #[schema(value_type = Option<Object>, example = json!({"vip_level": "platinum"}))]
    custom_attributes: Option<serde_json::Value>,
    /// Creation in Unix seconds.
    #[schema(minimum = 0, maximum = 253_402_300_799_i64, example = 1_765_441_895)]
    created_at: Option<i64>,
    /// Given name; makes `name` where the body has none.
    #[schema(max_length = 255, example = "support")]
    first_name: Option<String>,
    /// Family name; makes `name` where the body has none.
    #[schema(max_length = 255, example = "")]
    last_name: Option<String>,
}

/// Writes to be done in order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    /// Whether all are done or none; each is on its own when absent.
    #[schema(example = false)]
    atomic: Option<bool>,
    /// The writes.
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<BatchOperation>,
}

/// One write of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchOperation)]
pub struct BatchOperation {
    /// `create`, `update`, `upsert` or `delete`.
    #[schema(pattern = "^(create|update|upsert|delete)$", example = "upsert")]
    op: String,
    /// Which contact, for `update` and `delete`.
    #[schema(example = 2_219_259)]
    id: Option<i64>,
    /// The body that the route of its own has; not for `delete`.
    #[schema(value_type = Option<Object>, example = json!({"inbox_id": 1, "email": "alice@acme.inc"}))]
    contact: Option<serde_json::Value>,
}

/// Contacts to be looked up.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookUpContacts {
    /// What to look for.
    #[schema(min_items = 1, max_items = 1000)]
    keys: Vec<LookUpKey>,
}

/// What one contact is looked up by; exactly one of the members.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookUpKey {
    /// The contact's number.
    #[schema(example = 2_219_259)]
    id: Option<i64>,
    /// Your own id of the person (UserID).
    #[schema(max_length = 255, example = "1234567890")]
    identifier: Option<String>,
    /// E-mail address.
    #[schema(max_length = 255, example = "alice@acme.inc")]
    email: Option<String>,
    /// Phone number in E.164.
    #[schema(pattern = r"^\+[1-9][0-9]{1,14}$", example = "+123456789")]
    phone_number: Option<String>,
}

/// What to undo.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevertContact {
    /// The event.
    #[schema(example = 17)]
    seq: i64,
    /// The one field of it to undo; all of them when absent.
    #[schema(example = "custom_attributes")]
    field: Option<String>,
    /// The member, where the field is one of the two maps.
    #[schema(example = "vip_level")]
    key: Option<String>,
}

/// A contact's labels.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetLabels {
    /// The titles; they replace those that the contact has.
    #[schema(example = json!(["vip"]))]
    labels: Vec<String>,
}

/// A label to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateLabel {
    /// Its title: at least two letters or digits of any script, `_` or `-`, beginning with a letter
    /// or digit; kept in lower case; unique in the account.
    #[schema(min_length = 2, max_length = 255, example = "vip")]
    title: String,
    /// Its colour; `#1f93ff` when absent.
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#1f93ff")]
    color: Option<String>,
    /// What it is for.
    #[schema(max_length = 255, example = "Whoever is to be called back at once")]
    description: Option<String>,
    /// Whether a console lists it; it does when absent.
    #[schema(example = true)]
    show_on_sidebar: Option<bool>,
}

/// What to change of a label.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateLabel {
    /// Its title, which all contacts that bear it show from then on.
    #[schema(min_length = 2, max_length = 255, example = "vip")]
    title: Option<String>,
    /// Its colour.
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#1f93ff")]
    color: Option<String>,
    /// What it is for; `null` clears.
    #[schema(max_length = 255, example = "Whoever is to be called back at once")]
    description: Option<String>,
    /// Whether a console lists it.
    #[schema(example = true)]
    show_on_sidebar: Option<bool>,
}

/// A custom attribute to be defined.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "key": "vip_level", "name": "VIP level", "description": "What the contract says",
    "type": "list", "values": ["gold", "platinum"], "mode": "enforce",
}))]
pub struct CreateAttribute {
    /// The key in `custom_attributes`: letters of any script, digits, `_`, `-` and `.`; unique in the
    /// account, and for good.
    #[schema(min_length = 1, max_length = 255)]
    key: String,
    /// What people call it; the key when absent.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// What it is for.
    #[schema(max_length = 255)]
    description: Option<String>,
    /// `text`, `number`, `currency`, `percent`, `link`, `date`, `list` or `checkbox`.
    #[serde(rename = "type")]
    #[schema(pattern = "^(text|number|currency|percent|link|date|list|checkbox)$")]
    kind: String,
    /// The values of a `list`, which has at least one, and other types none.
    #[schema(max_items = 200)]
    values: Option<Vec<String>>,
    /// What a `text` matches, anywhere in it unless `^` and `$` say otherwise. It has neither
    /// look-arounds nor references back, so that it takes linear time.
    #[schema(max_length = 255)]
    regex: Option<String>,
    /// What people are told of a `text` that does not match.
    #[schema(max_length = 255)]
    hint: Option<String>,
    /// Whether a write that sets a value that does not fit is refused; `observe` when absent.
    #[schema(pattern = "^(observe|enforce)$")]
    mode: Option<String>,
}

/// What to change of a definition. Its key cannot be changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "text", "regex": "^(gold|platinum)$", "hint": "gold or platinum",
}))]
pub struct UpdateAttribute {
    /// What people call it.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// What it is for; `null` clears.
    #[schema(max_length = 255)]
    description: Option<String>,
    /// What kind of values there are. What only the type before has goes with it.
    #[serde(rename = "type")]
    #[schema(pattern = "^(text|number|currency|percent|link|date|list|checkbox)$")]
    kind: Option<String>,
    /// The values of a `list`.
    #[schema(max_items = 200)]
    values: Option<Vec<String>>,
    /// What a `text` matches; `null` clears.
    #[schema(max_length = 255)]
    regex: Option<String>,
    /// What people are told of a `text` that does not match; `null` clears.
    #[schema(max_length = 255)]
    hint: Option<String>,
    /// Whether a write that sets a value that does not fit is refused.
    #[schema(pattern = "^(observe|enforce)$")]
    mode: Option<String>,
}

/// A channel to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateInbox {
    /// The Channel ID, where you choose it.
    #[schema(minimum = 1, maximum = 4_503_599_627_370_495_i64, example = 407)]
    id: Option<i64>,
    /// What people call it.
    #[schema(max_length = 255, example = "Kundendienstkanal")]
    name: String,
    /// The kind of channel.
    #[schema(pattern = "^Channel::Api$", example = "Channel::Api")]
    channel_type: Option<String>,
}

/// What to change of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateInbox {
    /// What people call it.
    #[schema(max_length = 255, example = "Kundendienstkanal")]
    name: Option<String>,
}

/// A key to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateKey {
    /// What people call it.
    #[schema(max_length = 255, example = "CRM sync")]
    name: String,
    /// What it may do: `administrator`, `agent` or `read_only`.
    #[schema(pattern = "^(administrator|agent|read_only)$", example = "agent")]
    role: String,
    /// When it ends; never when absent.
    #[schema(format = DateTime, example = "2027-11-20T08:00:00Z")]
    expires_at: Option<String>,
}

/// What to change of a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateKey {
    /// What people call it.
    #[schema(max_length = 255, example = "CRM sync")]
    name: Option<String>,
    /// What it may do: `administrator`, `agent` or `read_only`.
    #[schema(pattern = "^(administrator|agent|read_only)$", example = "agent")]
    role: Option<String>,
    /// When it ends; `null` for never.
    #[schema(format = DateTime, example = "2027-11-20T08:00:00Z")]
    expires_at: Option<String>,
}

/// How to rotate a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotateKey {
    /// How long the old secret stays valid beside the new one.
    #[schema(minimum = 0, maximum = 2_592_000, example = 3600)]
    overlap_seconds: Option<i64>,
}

/// A webhook to be made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateWebhook {
    /// Where to: http or https, without user and password.
    #[schema(max_length = 2048, example = "https://crm.example.com/hooks/meishi")]
    url: String,
    /// Of what: `contact.created`, `contact.updated`, `contact.deleted`, `contact.restored`,
    /// `contact.erased`.
    #[schema(min_items = 1, example = json!(["contact.created", "contact.updated"]))]
    events: Vec<String>,
    /// The form of the messages: `meishi`, which is the default, or `chatwoot`.
    #[schema(pattern = "^(meishi|chatwoot)$", example = "meishi")]
    format: Option<String>,
    /// Whether it is told of updates that are nothing but activity, too; off by default.
    include_activity: Option<bool>,
}

/// What to change of a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdateWebhook {
    /// Where to.
    #[schema(max_length = 2048, example = "https://crm.example.com/hooks/meishi")]
    url: Option<String>,
    /// Of what; the whole list.
    #[schema(min_items = 1, example = json!(["contact.created", "contact.updated"]))]
    events: Option<Vec<String>>,
    /// The form of the messages.
    #[schema(pattern = "^(meishi|chatwoot)$", example = "meishi")]
    format: Option<String>,
    /// Whether it is told of updates that are nothing but activity, too.
    include_activity: Option<bool>,
    /// `paused` lets it wait, `enabled` sets it to work again.
    #[schema(pattern = "^(enabled|paused)$", example = "enabled")]
    state: Option<String>,
}

/// How to rotate a webhook's secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotateWebhook {
    /// How long messages are signed with the old secret too.
    #[schema(minimum = 0, maximum = 2_592_000, example = 3600)]
    overlap_seconds: Option<i64>,
}

/// Which deliveries to make once more: `seq`, or `from` and `to`, or `failed`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"failed": true}))]
pub struct Redeliver {
    /// That of this event.
    #[schema(minimum = 1, example = 17)]
    seq: Option<i64>,
    /// Those of the events from this one.
    #[schema(minimum = 1, example = 17)]
    from: Option<i64>,
    /// The last event, where `from` is the first.
    #[schema(minimum = 1, example = 40)]
    to: Option<i64>,
    /// All that were given up.
    failed: Option<bool>,
}
