//! What people are told of a certificate. Nothing here decides whether it is trusted.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// What can be read off a certificate; of one that cannot be read, nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The common name of whoever signed it, or else the organisation.
    pub issuer: Option<String>,
    /// It names itself as its issuer.
    pub self_signed: bool,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after: Option<i64>,
}

impl Shown {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    #[test]
    fn issuer_and_end_are_named() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, "Home Ltd");
        params.distinguished_name.push(DnType::CommonName, "Home CA");
        let issuer = Issuer::new(params, KeyPair::generate().unwrap());
        let mut leaf = CertificateParams::new(vec!["h.example".into()]).unwrap();
        leaf.not_after = rcgen::date_time_ymd(2031, 5, 6);
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let end = Some("2031-05-06T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second());
        let shown = Shown { issuer: Some("Home CA".into()), self_signed: false, not_after: end };
        assert_eq!(Shown::read(leaf.der()), shown);
        let own = rcgen::generate_simple_self_signed(["h.example".into()]).unwrap();
        assert!(Shown::read(own.cert.der()).self_signed);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Shown::read(&CertificateDer::from(bytes));
        }
    }
}
