//! The one TLS set-up of the client side, and what went wrong when a certificate is refused.

mod failure;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

pub use self::failure::TlsFailure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `BEGIN CERTIFICATE`.
    #[error("it holds no certificate in PEM form")]
    Empty,
    #[error("none of its certificates can be read")]
    Unreadable,
}

/// Reads the certificates of a PEM file such as a CA bundle; unreadable ones among readable ones are left out.
pub fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect();
    if found.is_empty() {
        return Err(PemError::Empty);
    }
    let readable = |cert: &CertificateDer<'_>| RootCertStore::empty().add(cert.clone()).is_ok();
    let usable: Vec<_> = found.into_iter().flatten().filter(readable).collect();
    if usable.is_empty() { Err(PemError::Unreadable) } else { Ok(usable) }
}

/// Whether a file looks like a CA bundle, without reading all of it as [`read_pem`] does.
pub fn holds_certificates(pem: &[u8]) -> Result<(), PemError> {
    let mark = b"-----BEGIN CERTIFICATE-----";
    pem.windows(mark.len()).any(|bytes| bytes == mark).then_some(()).ok_or(PemError::Empty)
}

/// TLS 1.2 and 1.3 by ring; trusts Mozilla's roots and `extra_roots`. No ALPN: each user of it sets its own on a clone.
pub fn client_config(extra_roots: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    client_config_with_bundle(extra_roots, Vec::new())
}

/// The same, trusting what is in `bundle` too: a PEM file of a whole system's certificates. Those are read when a server
/// shows a certificate and not before, which takes about a millisecond, a third of a restart on loopback.
pub(crate) fn client_config_with_bundle(extra_roots: &[CertificateDer<'static>], bundle: Vec<u8>) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = NamingVerifier {
        inner: OnceLock::new(),
        extra_roots: extra_roots.to_vec(),
        bundle,
        provider: provider.clone(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Arc::new(config)
}

/// Verifies as its inner verifier does, unless the server shows a certificate that was given; a refusal then names the
/// issuer.
#[derive(Debug)]
struct NamingVerifier {
    inner: OnceLock<Arc<WebPkiServerVerifier>>,
    extra_roots: Vec<CertificateDer<'static>>,
    bundle: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl NamingVerifier {
    fn inner(&self) -> &WebPkiServerVerifier {
        self.inner.get_or_init(|| {
            let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
            let bundle = CertificateDer::pem_slice_iter(&self.bundle).flatten();
            roots.add_parsable_certificates(self.extra_roots.iter().cloned().chain(bundle));
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build()
                .expect("the roots are not empty, and there are no revocation lists")
        })
    }
}

impl ServerCertVerifier for NamingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = if self.extra_roots.contains(end_entity) {
            holds(end_entity, server_name, now)
        } else {
            self.inner().verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        verdict.map_err(|error| match error {
            rustls::Error::InvalidCertificate(why) => {
                let named = TlsFailure::of_certificate(&why, end_entity);
                named.map_or(why, |failure| CertificateError::Other(OtherError(Arc::new(failure)))).into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a certificate that was given, and is trusted, is one for this server, now. One that `openssl req -x509` makes
/// calls itself an authority, which no chain may end with, and often names nobody in a way that could be compared: then
/// it is enough that it is the one that was given.
fn holds(
    given: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, rustls::Error> {
    let unreadable = |_| rustls::Error::from(CertificateError::BadEncoding);
    let (_, cert) = X509Certificate::from_der(given).map_err(unreadable)?;
    let time =
        |time: ASN1Time| UnixTime::since_unix_epoch(Duration::from_secs(time.timestamp().try_into().unwrap_or(0)));
    let (not_before, not_after) = (time(cert.validity().not_before), time(cert.validity().not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    if !matches!(cert.subject_alternative_name(), Ok(None)) {
        verify_server_name(&ParsedCertificate::try_from(given)?, server_name)?;
    }
    Ok(ServerCertVerified::assertion())
}

/// What people are told of a certificate; of one that cannot be read, nothing. It does not decide about trust.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The common name of whoever signed it, or else the organisation.
    pub issuer: Option<String>,
    pub self_signed: bool,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after: Option<i64>,
}

impl CertificateFacts {
    pub fn read(cert: &CertificateDer<'_>) -> Self {
        let Ok((_, cert)) = X509Certificate::from_der(cert) else { return Self::default() };
        Self {
            issuer: name(cert.issuer()),
            self_signed: cert.issuer().as_raw() == cert.subject().as_raw(),
            not_after: Some(cert.validity().not_after.timestamp()),
        }
    }
}

fn name(name: &X509Name<'_>) -> Option<String> {
    let mut known = name.iter_common_name().chain(name.iter_organization());
    known.find_map(|part| part.as_str().ok()).map(str::to_owned)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsSession {
    pub version: &'static str,
    /// Who signed the server's certificate, where that can be read.
    pub issuer: Option<String>,
    /// When the certificate ends, in seconds since the Unix epoch.
    pub not_after: Option<i64>,
}

impl TlsSession {
    /// Reads it off a connection whose handshake is done.
    pub fn on(connection: &rustls::ClientConnection) -> Self {
        let cert =
            connection.peer_certificates().and_then(<[_]>::first).map(CertificateFacts::read).unwrap_or_default();
        Self {
            version: match connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
                _ => "TLS",
            },
            issuer: cert.issuer,
            not_after: cert.not_after,
        }
    }
}
