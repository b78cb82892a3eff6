//! Whom a connection trusts: libpq's `sslmode` and `sslrootcert`, done with rustls.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use tokio_postgres::config::SslMode;

use super::{invalid, url};
use crate::OpenError;

/// What is looked at in the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// What a URL says of TLS.
#[derive(Debug)]
pub(super) struct Tls {
    negotiated: SslMode,
    check: Check,
    trusted: Vec<CertificateDer<'static>>,
}

impl Tls {
    /// As libpq has it: a CA file is looked at whatever the mode, `sslrootcert=system` means
    /// `verify-full`, and sockets of this machine go without TLS.
    pub(super) fn new(
        mode: Option<&str>,
        root: Option<&str>,
        only_sockets: bool,
    ) -> Result<Self, OpenError> {
        let system = root == Some("system");
        let with_file = if root.is_some() { Check::Chain } else { Check::Nothing };
        let (negotiated, check) = match mode {
            Some("disable") => (SslMode::Disable, Check::Nothing),
            None if system => (SslMode::Require, Check::ChainAndName),
            Some("verify-full") => (SslMode::Require, Check::ChainAndName),
            Some("allow" | "prefer" | "require" | "verify-ca") if system => {
                return Err(url("`sslrootcert=system` goes with `sslmode=verify-full` alone"));
            }
            None | Some("allow" | "prefer") => (SslMode::Prefer, with_file),
            Some("require") => (SslMode::Require, with_file),
            Some("verify-ca") => (SslMode::Require, Check::Chain),
            Some(_) => return Err(invalid("sslmode")),
        };
        if only_sockets || negotiated == SslMode::Disable {
            return Ok(Self {
                negotiated: SslMode::Disable,
                check: Check::Nothing,
                trusted: vec![],
            });
        }
        let trusted = match (check, root) {
            (Check::Nothing, _) => vec![],
            (_, Some(file)) if !system => read(file)?,
            _ => systems_own()?,
        };
        Ok(Self { negotiated, check, trusted })
    }

    /// What is asked of the server before the handshake.
    pub(super) fn negotiated(&self) -> SslMode {
        self.negotiated
    }

    /// The handshake; `direct` for one that no question goes before.
    pub(super) fn client_config(self, direct: bool) -> Result<ClientConfig, OpenError> {
        // Named, and not the process's own: nobody need install one.
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        let (readable, _) = roots.add_parsable_certificates(self.trusted.iter().cloned());
        if self.check != Check::Nothing && readable == 0 {
            return Err(url("the file of `sslrootcert` holds no certificate that can be read"));
        }
        let verifier = Verifier {
            provider: provider.clone(),
            check: self.check,
            roots,
            trusted: self.trusted,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| url(&format!("TLS cannot be set up: {error}")))?;
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        if direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(config)
    }
}

fn read(file: &str) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let text = std::fs::read(file)
        .map_err(|error| url(&format!("the file of `sslrootcert` cannot be read: {error}")))?;
    CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| url("the file of `sslrootcert` is not one of PEM certificates"))
}

fn systems_own() -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(url(
            "this system has no certificates of its own to trust: name a CA file with \
                        `sslrootcert`",
        ));
    }
    Ok(found.certs)
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
    roots: RootCertStore,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // libpq takes a self-signed certificate that is itself in the file; as a link of a chain
        // it would be refused for being a CA's.
        if !self.trusted.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if self.check == Check::ChainAndName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // A certificate that nobody looked at proves nothing by its signature, and may be one of
        // the first version, which cannot be parsed.
        if self.check == Check::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.check == Check::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What is wrong with a server's certificate, in a few words.
pub(super) fn reason(error: &Error) -> String {
    use CertificateError as Invalid;
    let words = match error {
        // The latter where another authority goes by the same name.
        Error::InvalidCertificate(Invalid::UnknownIssuer | Invalid::BadSignature) => {
            "its certificate is not signed by one that is trusted"
        }
        Error::InvalidCertificate(
            Invalid::NotValidForName | Invalid::NotValidForNameContext { .. },
        ) => "its certificate's alternative names do not hold the host's name",
        Error::InvalidCertificate(Invalid::Expired | Invalid::ExpiredContext { .. }) => {
            "its certificate has expired"
        }
        Error::InvalidCertificate(Invalid::NotValidYet | Invalid::NotValidYetContext { .. }) => {
            "its certificate is not valid yet"
        }
        other => return other.to_string(),
    };
    words.to_owned()
}
