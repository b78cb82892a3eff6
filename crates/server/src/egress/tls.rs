//! Whom an https endpoint's certificate must be signed by, and the handshake.

use std::{io, sync::Arc};

use rustls::{CertificateError, ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{net::TcpStream, sync::OnceCell, task::spawn_blocking};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{EgressError, Target, target::Host};

/// The certificates that are trusted; the system's are read when they are first needed.
pub(super) struct Trust {
    roots: Option<RootCertStore>,
    connector: OnceCell<TlsConnector>,
}

impl Trust {
    /// These roots, or else the system's.
    pub(super) fn new(roots: Option<RootCertStore>) -> Self {
        Self { roots, connector: OnceCell::new() }
    }

    /// Makes a connection one to that very host.
    pub(super) async fn handshake(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, EgressError> {
        let name = match target.host() {
            Host::Address(address) => ServerName::from(address),
            Host::Name(name) => ServerName::try_from(name.to_owned())
                .map_err(|_| EgressError::Tls("no certificate can hold the host's name".into()))?,
        };
        let connector = self.connector.get_or_try_init(|| self.connector()).await?;
        connector.connect(name, stream).await.map_err(|error| EgressError::Tls(reason(&error)))
    }

    async fn connector(&self) -> Result<TlsConnector, EgressError> {
        let roots = match &self.roots {
            Some(roots) => roots.clone(),
            None => spawn_blocking(systems_own)
                .await
                .map_err(|_| EgressError::Tls("the system's certificates cannot be read".into()))?,
        };
        if roots.is_empty() {
            let none = "this system has no certificates of its own to trust";
            return Err(EgressError::Tls(none.into()));
        }
        // Named, and not the process's own: nobody need install one.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| EgressError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn systems_own() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Why a handshake failed, in words that the endpoint's owner can act on.
fn reason(error: &io::Error) -> String {
    use CertificateError as Invalid;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let words = match inner {
        Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
            Invalid::UnknownIssuer | Invalid::BadSignature => {
                "the certificate is not signed by one that is trusted"
            }
            Invalid::NotValidForName | Invalid::NotValidForNameContext { .. } => {
                "the certificate is not the host's"
            }
            Invalid::Expired | Invalid::ExpiredContext { .. } => "the certificate has expired",
            Invalid::NotValidYet | Invalid::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            _ => return error.to_string(),
        },
        Some(rustls::Error::InvalidMessage(_)) => "the endpoint does not speak TLS",
        _ => return error.to_string(),
    };
    words.to_owned()
}
