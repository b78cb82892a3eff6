//! What an HTTP server can do at most: the same authentication, the same parsing and rendering,
//! and nothing kept. `cargo xtask bench` measures Meishi beside it.
//!
//! `reference <address> <api key> <secret>`

use std::{env::args, error::Error};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = args().skip(1);
    let mut word = || words.next().unwrap_or_default();
    let (address, key, secret) = (word(), word(), word());
    let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let admit = move |headers: &HeaderMap| {
        let encoded = headers.get(AUTHORIZATION)?.as_bytes().strip_prefix(b"Basic ")?;
        let pair = BASE64_STANDARD.decode(encoded).ok()?;
        let secret = pair.strip_prefix(key.as_bytes())?.strip_prefix(b":")?;
        bool::from(Sha256::digest(secret).as_slice().ct_eq(&hash)).then_some(())
    };
    let admit_post = admit.clone();
    let constant = async move |headers: HeaderMap| {
        admit(&headers).map(|()| r#"{"payload":{"id":1}}"#).ok_or(StatusCode::UNAUTHORIZED)
    };
    let echo = async move |headers: HeaderMap, Json(body): Json<serde_json::Map<String, Value>>| {
        admit_post(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
        let name = body.get("name").cloned();
        Ok::<_, StatusCode>(Json(json!({"payload": {"contact": {
            "id": 1, "name": name, "email": body.get("email"), "phone_number": body.get("phone_number"),
            "identifier": body.get("identifier"), "thumbnail": "", "availability_status": "offline",
            "additional_attributes": body.get("additional_attributes"),
            "custom_attributes": body.get("custom_attributes"), "created_at": 1,
            "last_activity_at": body.get("last_activity_at"),
            "contact_inboxes": [{"source_id": "x", "inbox": {"id": 1}}],
        }}})))
    };
    let router = Router::new().route("/", get(constant)).route("/", post(echo));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}
