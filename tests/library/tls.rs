//! What is read in certificates.

use nostr_nests::net::tls::{CertificateFacts, PemError, holds_certificates, read_pem};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;

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
    let shown = CertificateFacts { issuer: Some("Home CA".into()), self_signed: false, not_after: end };
    assert_eq!(CertificateFacts::read(leaf.der()), shown);
    let own = rcgen::generate_simple_self_signed(["h.example".into()]).unwrap();
    assert!(CertificateFacts::read(own.cert.der()).self_signed);
}

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

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = read_pem(&bytes);
        CertificateFacts::read(&CertificateDer::from(bytes));
    }
}
