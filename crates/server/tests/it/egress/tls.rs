//! https: whom the service believes, and what it says of those that it does not.

use std::{sync::Arc, time::Duration};

use meishi_contacts::limits::EGRESS_TIME;
use meishi_server::egress::{Egress, EgressError, Phase};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{RootCertStore, ServerConfig, crypto::ring};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;

use super::{
    allowing, code, names, post,
    time::{post_timed, wait_for_ever},
};
use crate::endpoint::{Endpoint, OK, Visit};

/// A certificate authority of the tests.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// An https endpoint whose certificate holds that name and ends in that year.
async fn https_endpoint(
    authority: &CertifiedIssuer<'_, KeyPair>,
    name: &str,
    until: i32,
) -> Endpoint {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.signed_by(&key, authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Endpoint::start(move |visit| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut visit) = visit.over(async |stream| acceptor.accept(stream).await).await {
                visit.request().await;
                visit.answer(OK.as_bytes()).await;
            }
        }
    })
    .await
}

fn trusting(authority: &CertifiedIssuer<'_, KeyPair>) -> Egress {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let names = names(&[("hooks.example", &["127.0.0.1"])]);
    Egress::with(allowing(&["127.0.0.1"]), names, Some(roots))
}

#[tokio::test]
async fn an_https_endpoint_must_prove_who_it_is() {
    let (ours, theirs) = (authority(), authority());
    let egress = trusting(&ours);
    for (authority, name, until, host, failure) in [
        (&ours, "hooks.example", 4000, "hooks.example", None),
        (&ours, "127.0.0.1", 4000, "127.0.0.1", None),
        (
            &theirs,
            "hooks.example",
            4000,
            "hooks.example",
            Some("not signed by one that is trusted"),
        ),
        (&ours, "other.example", 4000, "hooks.example", Some("is not the host's")),
        (&ours, "hooks.example", 4000, "127.0.0.1", Some("is not the host's")),
        (&ours, "hooks.example", 2001, "hooks.example", Some("has expired")),
    ] {
        let mut endpoint = https_endpoint(authority, name, until).await;
        let url = format!("https://{host}:{}/hook", endpoint.address.port());
        let result = post(&egress, &url).await;
        match failure {
            None => {
                assert_eq!(result.unwrap().status, 204);
                assert_eq!(endpoint.received().await.line, "POST /hook HTTP/1.1");
            }
            Some(words) => {
                assert_eq!(code(&result), "tls");
                let text = result.unwrap_err().to_string();
                assert!(text.contains(words), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn an_https_endpoint_that_speaks_something_else_or_nothing_is_given_up() {
    let egress = trusting(&authority());
    let plain = Endpoint::start(async |mut visit: Visit| {
        visit.stream.read_u8().await.unwrap();
        visit.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let result = post(&egress, &format!("https://{}/", plain.address)).await;
    assert_eq!(result.unwrap_err().to_string(), "TLS failed: the endpoint does not speak TLS");

    let silent = Endpoint::start(async |_visit| wait_for_ever().await).await;
    let (result, took) = post_timed(&egress, &format!("https://{}/", silent.address)).await;
    assert_eq!(result, Err(EgressError::Timeout(Phase::Handshake)));
    assert!((EGRESS_TIME..EGRESS_TIME + Duration::from_secs(1)).contains(&took), "{took:?}");
}
