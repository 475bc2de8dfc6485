//! What went wrong when a TLS connection was not made, in terms that somebody can act on.

use std::error::Error;
use std::fmt;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, OtherError};

use super::CertificateFacts;

/// Why a TLS connection was not made. The issuer is named where it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// Seconds since the Unix epoch.
    Expired {
        not_after: u64,
        now: u64,
        issuer: Option<String>,
    },
    /// Seconds since the Unix epoch. More often a clock that is behind than a certificate of the future.
    NotValidYet {
        not_before: u64,
        now: u64,
        issuer: Option<String>,
    },
    WrongName {
        expected: String,
        presented: Vec<String>,
        issuer: Option<String>,
    },
    /// No known authority stands behind the certificate.
    UnknownIssuer {
        issuer: Option<String>,
        self_signed: bool,
    },
    /// What answered is no TLS: usually plain HTTP.
    NotTls,
    /// In the words of the TLS library.
    Other(String),
}

impl TlsFailure {
    /// What `why` means for `cert`; `None` where the library's own words must do.
    pub(super) fn of_certificate(why: &CertificateError, cert: &CertificateDer<'_>) -> Option<Self> {
        let CertificateFacts { issuer, self_signed, .. } = CertificateFacts::read(cert);
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
            // Most call themselves an authority, which is found wrong before it is seen that nobody knows them.
            CertificateError::Other(_) if self_signed => Self::UnknownIssuer { issuer, self_signed },
            _ => return None,
        })
    }

    /// The TLS failure behind an error, however deep it lies.
    pub(crate) fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
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
}

impl fmt::Display for TlsFailure {
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

impl Error for TlsFailure {}

fn day(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.map_or_else(|| "an impossible day".into(), |t| t.strftime("%Y-%m-%d").to_string())
}

fn describe(error: &rustls::Error) -> TlsFailure {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            inner.downcast_ref::<TlsFailure>().cloned().unwrap_or_else(|| TlsFailure::Other(inner.to_string()))
        }
        Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => TlsFailure::NotTls,
        other => TlsFailure::Other(other.to_string()),
    }
}

/// The verifier writes names as `DnsName("a.example")`.
fn plain_name(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}
