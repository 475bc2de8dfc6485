//! The one TLS set-up of the client side, and what went wrong when a certificate is refused.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

/// Why a file of certificates cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `BEGIN CERTIFICATE`.
    #[error("it holds no certificate in PEM form")]
    Empty,
    /// There are certificates, but none that could vouch for another.
    #[error("none of its certificates can be read")]
    Unreadable,
}

/// Reads the certificates of a PEM file such as a CA bundle; unreadable ones among readable ones are left out.
///
/// # Errors
/// See [`PemError`].
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
///
/// # Errors
/// [`PemError::Empty`].
pub fn holds_certificates(pem: &[u8]) -> Result<(), PemError> {
    let mark = b"-----BEGIN CERTIFICATE-----";
    pem.windows(mark.len()).any(|bytes| bytes == mark).then_some(()).ok_or(PemError::Empty)
}

/// TLS 1.2 and 1.3 by ring; trusts Mozilla's roots and `extra_roots`. No ALPN: each user of it sets its own on a clone.
#[must_use]
pub fn client_config(extra_roots: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    client_config_with_bundle(extra_roots, Vec::new())
}

/// The same, trusting what is in `bundle` too: a PEM file of a whole system's certificates. Those are read when a server
/// shows a certificate and not before, which takes about a millisecond, a third of a restart on loopback.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "only if a library broke its word")]
pub fn client_config_with_bundle(extra_roots: &[CertificateDer<'static>], bundle: Vec<u8>) -> Arc<ClientConfig> {
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

/// Verifies exactly as its inner verifier does; a refusal then names the issuer.
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
        let verdict = self.inner().verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verdict.map_err(|error| match error {
            rustls::Error::InvalidCertificate(why) => {
                let named = Failure::of_certificate(&why, end_entity);
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

/// Why a TLS connection was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Seconds since the Unix epoch.
    Expired {
        /// When the certificate ended.
        not_after: u64,
        /// What the clock here says.
        now: u64,
        /// Who signed it, where that can be read.
        issuer: Option<String>,
    },
    /// Seconds since the Unix epoch. More often a clock that is behind than a certificate of the future.
    NotValidYet {
        /// When the certificate begins.
        not_before: u64,
        /// What the clock here says.
        now: u64,
        /// Who signed it, where that can be read.
        issuer: Option<String>,
    },
    /// The certificate is for other names.
    WrongName {
        /// The name dialled.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
        /// Who signed it, where that can be read.
        issuer: Option<String>,
    },
    /// No known authority stands behind the certificate.
    UnknownIssuer {
        /// Who signed it, where that can be read.
        issuer: Option<String>,
        /// It vouches for itself.
        self_signed: bool,
    },
    /// What answered is no TLS: usually plain HTTP.
    NotTls,
    /// In the words of the TLS library.
    Other(String),
}

impl Failure {
    /// What `why` means for `cert`; `None` where the library's own words must do.
    fn of_certificate(why: &CertificateError, cert: &CertificateDer<'_>) -> Option<Self> {
        let (issuer, subject) = names(cert).unwrap_or_default();
        let self_signed = issuer == subject;
        let issuer = common_name(issuer);
        Some(match why {
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { not_after: not_after.as_secs(), now: time.as_secs(), issuer }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotValidYet { not_before: not_before.as_secs(), now: time.as_secs(), issuer }
            }
            CertificateError::NotValidForNameContext { expected, presented } => Self::WrongName {
                expected: expected.to_str().into_owned(),
                presented: presented.iter().map(|name| plain_name(name)).collect(),
                issuer,
            },
            CertificateError::UnknownIssuer => Self::UnknownIssuer { issuer, self_signed },
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |issuer: &Option<String>| {
            issuer.as_ref().map_or_else(String::new, |issuer| format!("; it was issued by {issuer:?}"))
        };
        match self {
            Self::Expired { not_after, now, issuer } => {
                let days = now.saturating_sub(*not_after) / 86_400;
                let ago = if days == 1 { "1 day ago".into() } else { format!("{days} days ago") };
                write!(f, "its certificate expired on {} ({ago}){}", day(*not_after), by(issuer))
            }
            Self::NotValidYet { not_before, now, issuer } => {
                let (begins, today) = (day(*not_before), day(*now));
                write!(f, "its certificate begins on {begins}, and the clock here says {today}{}", by(issuer))
            }
            Self::WrongName { expected, presented, issuer } if presented.is_empty() => {
                write!(f, "its certificate does not name {expected}{}", by(issuer))
            }
            Self::WrongName { expected, presented, issuer } => {
                let more = presented.len().saturating_sub(3);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let names = presented[..presented.len().min(3)].join(", ");
                write!(f, "its certificate is for {names}{more}, not for {expected}{}", by(issuer))
            }
            Self::UnknownIssuer { self_signed: true, .. } => f.write_str("its certificate is signed by itself"),
            Self::UnknownIssuer { issuer: Some(issuer), .. } => {
                write!(f, "its certificate was issued by {issuer:?}, which is not trusted here")
            }
            Self::UnknownIssuer { issuer: None, .. } => f.write_str("nobody known has issued its certificate"),
            Self::NotTls => f.write_str("it does not speak TLS"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Error for Failure {}

fn day(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.map_or_else(|| "an impossible day".into(), |t| t.strftime("%Y-%m-%d").to_string())
}

/// The TLS failure behind an error, however deep it lies.
#[must_use]
pub fn failure(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(describe(tls));
        }
        // `source()` of an I/O error skips the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(|e| e.get_ref());
        next = wrapped.map(|e| e as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn describe(error: &rustls::Error) -> Failure {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<Failure>().cloned().unwrap_or_else(|| Failure::Other(inner.to_string()))
        }
        Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Failure::NotTls,
        other => Failure::Other(other.to_string()),
    }
}

/// The verifier writes names as `DnsName("a.example")`.
fn plain_name(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

/// The DER of issuer and subject of a certificate (RFC 5280, 4.1).
fn names<'a>(cert: &'a CertificateDer<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let (_, certificate, _) = element(cert)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2; // version
    }
    let after_serial = element(rest)?.2;
    let after_algorithm = element(after_serial)?.2;
    let (_, issuer, after_issuer) = element(after_algorithm)?;
    let after_validity = element(after_issuer)?.2;
    Some((issuer, element(after_validity)?.1))
}

/// The common name in a DER name, or else its organisation.
fn common_name(name: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    const ORGANISATION: &[u8] = &[0x55, 4, 10];
    let find = |wanted: &[u8]| {
        let mut sets = name;
        while let Some((_, set, rest)) = element(sets) {
            sets = rest;
            let (_, pair, _) = element(set)?;
            let (_, kind, value) = element(pair)?;
            if kind == wanted {
                return Some(String::from_utf8_lossy(element(value)?.1).into_owned());
            }
        }
        None
    };
    find(COMMON_NAME).or_else(|| find(ORGANISATION))
}

/// Takes one DER element off: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    #[test]
    fn a_bundle_keeps_what_can_be_read() {
        let cert = rcgen::generate_simple_self_signed(["h.example".into()]).unwrap().cert.pem();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(read_pem(format!("# text\n{broken}{cert}").as_bytes()).unwrap().len(), 1);
        assert_eq!(read_pem(broken.as_bytes()), Err(PemError::Unreadable));
        assert_eq!(read_pem(b"no certificate"), Err(PemError::Empty));
        assert_eq!(holds_certificates(cert.as_bytes()), Ok(()));
        assert_eq!(holds_certificates(b"no certificate"), Err(PemError::Empty));
    }

    #[test]
    fn the_issuer_is_named() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, "Home Ltd");
        params.distinguished_name.push(DnType::CommonName, "Home CA");
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["h.example".into()]).unwrap().signed_by(&key, &issuer).unwrap();
        let (name, subject) = names(leaf.der()).unwrap();
        assert_eq!(common_name(name).as_deref(), Some("Home CA"));
        assert_ne!(name, subject);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let cert = CertificateDer::from(bytes.clone());
            if let Some((issuer, _)) = names(&cert) {
                let _ = common_name(issuer);
            }
            let _ = common_name(&bytes);
            let _ = read_pem(&bytes);
        }
    }
}
