//! How a message proves that it is ours: the headers of Standard Webhooks
//! (<https://www.standardwebhooks.com>, specification 1.0) and those of Chatwoot
//! (`chatwoot-wire.md` section 8). Every message carries both, whatever its form.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::{Seed, UnixSeconds, key::hex, limits::WEBHOOK_SECRET_BYTES};

/// What the text of every secret begins with.
const PREFIX: &str = "whsec_";

/// A secret that messages are signed with; 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// A new secret of 32 bytes.
    pub fn from_seed(seed: &Seed) -> Self {
        Self(seed.bytes("webhook secret", 0).into())
    }

    /// Reads the text of a secret: `whsec_` and the base64 of its bytes, padded.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        WEBHOOK_SECRET_BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The text of the secret, as the endpoint's owner is shown it.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    /// The signature of Standard Webhooks: over id, time and body, with the secret's bytes.
    fn standard(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        format!("v1,{}", BASE64_STANDARD.encode(hmac(&self.0, &parts)))
    }

    /// The signature of Chatwoot: over time and body, with the secret's text.
    fn chatwoot(&self, timestamp: &str, body: &[u8]) -> String {
        let parts = [timestamp.as_bytes(), b".", body];
        format!("sha256={}", hex(&hmac(self.text().as_bytes(), &parts)))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

/// The secrets that a webhook signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The one that was made last.
    pub current: SigningSecret,
    /// The one before it, while both are valid.
    pub previous: Option<SigningSecret>,
}

impl Secrets {
    /// The headers that sign a message: its id, which all attempts share, the time of this attempt,
    /// and the body's very bytes. While two secrets are valid Standard Webhooks gets a signature of
    /// each; Chatwoot's header has room for one, the current secret's.
    pub fn headers(&self, id: Uuid, at: UnixSeconds, body: &[u8]) -> [(&'static str, String); 6] {
        let (id, timestamp) = (id.to_string(), at.0.to_string());
        let signatures = self.standard(&id, &timestamp, body);
        let signature = self.current.chatwoot(&timestamp, body);
        [
            ("webhook-id", id.clone()),
            ("webhook-timestamp", timestamp.clone()),
            ("webhook-signature", signatures),
            ("x-chatwoot-delivery", id),
            ("x-chatwoot-timestamp", timestamp),
            ("x-chatwoot-signature", signature),
        ]
    }

    fn standard(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let secrets = std::iter::once(&self.current).chain(&self.previous);
        let signatures: Vec<_> =
            secrets.map(|secret| secret.standard(id, timestamp, body)).collect();
        signatures.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIFIED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: Uuid = Uuid::from_u128(0x0b5c_7c0e_4c0f_4d7e_9a53_2f6f_3f1c_9a11);

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    #[test]
    fn the_example_of_standard_webhooks_comes_out() {
        // As its specification and its libraries' tests have it.
        let signature = secret(SPECIFIED).standard(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn rfc_4231_comes_out() {
        // Test cases 2 and 6: a key shorter and one longer than a block.
        let short = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            hex(&hmac(&[0xaa; 131], &[text])),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_message_carries_what_either_kind_of_receiver_looks_at() {
        let secrets = Secrets { current: secret(SPECIFIED), previous: None };
        let headers = secrets.headers(ID, UnixSeconds(1_614_265_330), b"{}");
        let header = |name| headers.iter().find(|header| header.0 == name).unwrap().1.as_str();
        assert_eq!(header("webhook-id"), "0b5c7c0e-4c0f-4d7e-9a53-2f6f3f1c9a11");
        assert_eq!(header("x-chatwoot-delivery"), header("webhook-id"));
        assert_eq!(header("webhook-timestamp"), "1614265330");
        assert_eq!(header("x-chatwoot-timestamp"), "1614265330");
        // By `openssl dgst -sha256 -hmac` over "1614265330.{}", with the secret as it is shown.
        assert_eq!(
            header("x-chatwoot-signature"),
            "sha256=f0350121c22e0191dba7cbf90fa37bdb0dcf44bb6e9a1e1ef2e47d6191282643"
        );
        // By `openssl dgst -sha256 -mac hmac -macopt hexkey:…`, with the secret's bytes.
        assert_eq!(header("webhook-signature"), "v1,mEr46mgqlwpqPQKtYxPg0ekA2fwTrm+UIrl/89Kzf3k=");
    }

    #[test]
    fn while_a_secret_is_rotated_standard_webhooks_has_both_signatures() {
        let (old, new) = (secret(SPECIFIED), SigningSecret::from_seed(&Seed([7; 32])));
        let one = |secret: &SigningSecret| {
            Secrets { current: secret.clone(), previous: None }.headers(ID, UnixSeconds(1), b"x")
        };
        let both = Secrets { current: new.clone(), previous: Some(old.clone()) };
        let both = both.headers(ID, UnixSeconds(1), b"x");
        let value = |headers: &[(&str, String)], name| {
            headers.iter().find(|header| header.0 == name).unwrap().1.clone()
        };
        assert_eq!(
            value(&both, "webhook-signature"),
            format!(
                "{} {}",
                value(&one(&new), "webhook-signature"),
                value(&one(&old), "webhook-signature")
            )
        );
        let chatwoot = "x-chatwoot-signature";
        assert_eq!(value(&both, chatwoot), value(&one(&new), chatwoot));
    }

    #[test]
    fn a_secret_is_whsec_and_the_base64_of_24_to_64_bytes() {
        let made = SigningSecret::from_seed(&Seed([7; 32]));
        assert_eq!(made.0.len(), 32);
        for secret in [made, secret(SPECIFIED)] {
            assert_eq!(SigningSecret::parse(&secret.text()), Some(secret));
        }
        let of = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![1; bytes]));
        for (bytes, good) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(SigningSecret::parse(&of(bytes)).is_some(), good, "{bytes}");
        }
        for wrong in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_ä",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        ] {
            assert_eq!(SigningSecret::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let secrets = Secrets { current: secret(SPECIFIED), previous: Some(secret(SPECIFIED)) };
        assert!(!format!("{secrets:?}").contains("MfKQ"));
    }
}
