//! Who calls: API keys by Basic, by bearer token or by Chatwoot's token header, and what their
//! roles allow.
//!
//! A handler takes [`Reader`], [`Agent`] or [`Administrator`]; having one is the permission.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use meishi_contacts::{AccountId, Actor, KeyId, Role, SecretHash, StoredKey};
use meishi_store::{Context, StoreError};

use crate::{
    ApiError, App,
    account_path::PathAccount,
    idempotency::{BodyDigest, Keyed},
    observe::RequestInfo,
    state::ChangeRequest,
};

/// Chatwoot's token header, in the spellings that clients use; letter case does not matter.
const TOKEN_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("api_access_token"), HeaderName::from_static("api-access-token")];

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account that the key opens.
    pub account: AccountId,
    /// The key.
    pub key: KeyId,
    /// What the key may do.
    pub role: Role,
    info: RequestInfo,
    keyed: Option<Keyed>,
    /// What is kept of the secret that it came with.
    secret: SecretHash,
}

impl Caller {
    /// The request that it made, as `X-Request-Id` names it.
    pub fn request_id(&self) -> &str {
        self.info.request_id()
    }

    /// Whether the credential still opens the account: for calls that last.
    pub(crate) async fn is_still_good(&self, app: &App) -> Result<bool, StoreError> {
        let found = app.store.key_by_secret(&self.secret).await?;
        Ok(found.is_some_and(|stored| {
            (stored.account, stored.key.id) == (self.account, self.key)
                && stored.accepts(&self.secret, app.clock.now())
        }))
    }

    /// What a change of this caller's needs from outside. `body` is the body that asks for it, or
    /// [`NoBody`](crate::idempotency::NoBody).
    pub fn context(&self, app: &App, body: impl Into<BodyDigest>) -> ChangeRequest {
        let cx = Context {
            account: self.account,
            actor: Actor::Key(self.key),
            at: app.clock.now(),
            request_id: self.request_id().to_owned(),
            seed: app.rng.seed(),
            precondition: None,
            idempotency: self.keyed.as_ref().map(|keyed| keyed.with(self.key, body.into())),
        };
        ChangeRequest { cx, info: Some(self.info.clone()) }
    }
}

macro_rules! permission {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Caller);

        impl FromRequestParts<App> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
                let caller = authenticate(parts, app).await?;
                if caller.role < $role {
                    return Err(ApiError::Forbidden);
                }
                Ok(Self(Caller { keyed: Keyed::read(parts)?, ..caller }))
            }
        }
    };
}

permission!(
    /// A caller that may read.
    Reader,
    Role::ReadOnly
);
permission!(
    /// A caller that may also write contacts.
    Agent,
    Role::Agent
);
permission!(
    /// A caller that may do everything.
    Administrator,
    Role::Administrator
);

async fn authenticate(parts: &Parts, app: &App) -> Result<Caller, ApiError> {
    let credential = Credential::read(&parts.headers).ok_or(ApiError::Unauthenticated)?;
    let now = app.clock.now();
    let secret = SecretHash::of(credential.secret());
    let is_good = |stored: &StoredKey| stored.accepts(&secret, now);
    let found = match credential.key() {
        Some(key) => match app.store.key_by_name(key).await? {
            // What a store remembers of a key may be older than the secret that it was just given.
            Some(stored) if !is_good(&stored) => {
                let newer = app.store.key_by_secret(&secret).await?;
                newer.filter(|newer| newer.key.api_key == key && is_good(newer))
            }
            found => found,
        },
        None => app.store.key_by_secret(&secret).await?.filter(is_good),
    };
    let stored = found.ok_or_else(|| app.rate_limits.failed(parts, now))?;
    let info = parts.extensions.get::<RequestInfo>();
    if let Some(info) = info {
        info.note_caller(stored.account, stored.key.id);
    }
    app.rate_limits.admit_key(parts, (stored.account, stored.key.id), now)?;
    // An account that the path names must be the key's own; any other is as good as none.
    if parts.extensions.get::<PathAccount>().is_some_and(|named| named.0 != Some(stored.account)) {
        return Err(ApiError::NotFound);
    }
    app.touch_key(stored.account, stored.key.id, now);
    Ok(Caller {
        account: stored.account,
        key: stored.key.id,
        role: stored.key.role,
        info: info.cloned().unwrap_or_default(),
        keyed: None,
        secret,
    })
}

enum Credential<'a> {
    /// A key and its secret, with a colon between.
    Pair(String),
    Token(&'a str),
}

impl<'a> Credential<'a> {
    /// The credential that counts: a bearer token, else the token header, else Basic.
    fn read(headers: &'a HeaderMap) -> Option<Self> {
        let authorization =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, value) = authorization
            .map(str::trim)
            .map_or(("", ""), |value| value.split_once(' ').unwrap_or((value, "")));
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Token(value));
        }
        let token = TOKEN_HEADERS.iter().find_map(|name| headers.get(name));
        if let Some(token) = token {
            return token.to_str().ok().map(|token| Self::Token(token.trim()));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let pair = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
            return pair.contains(':').then_some(Self::Pair(pair));
        }
        None
    }

    /// The public half, where it is told.
    fn key(&self) -> Option<&str> {
        match self {
            Self::Pair(pair) => pair.split_once(':').map(|(key, _)| key),
            Self::Token(_) => None,
        }
    }

    fn secret(&self) -> &str {
        match self {
            Self::Pair(pair) => pair.split_once(':').map_or("", |(_, secret)| secret),
            Self::Token(token) => token,
        }
    }
}
