//! TLS in front of a plain server, with certificates that are right or wrong, and a proxy that does as it likes.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A certificate authority that nobody knows.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// When a certificate holds, as years.
pub type Years = (i32, i32);

pub const NOW: Years = (2000, 2099);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Home CA");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Listens on a free port, with a certificate for `name`, and passes all that it hears on to `target`.
    pub fn front(&self, name: &str, years: Years, target: SocketAddr) -> u16 {
        let (cert, key) = self.issue(name, years);
        front(cert.der().clone(), &key, target)
    }

    /// A certificate for `name`, and its key.
    pub fn issue(&self, name: &str, years: Years) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// The same with a certificate that vouches for itself.
pub fn self_signed(name: &str, target: SocketAddr) -> u16 {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    front(made.cert.der().clone(), &made.signing_key, target)
}

/// The same as `openssl req -x509` makes it: it calls itself an authority, and often has no names. With its PEM form.
pub fn own(names: &[&str], years: Years, target: SocketAddr) -> (u16, String) {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "nests.example");
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    (front(cert.der().clone(), &key, target), cert.pem())
}

fn front(cert: CertificateDer<'static>, key: &KeyPair, target: SocketAddr) -> u16 {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut target = TcpStream::connect(target).await.unwrap();
            // Either side may end it.
            let _ = copy_bidirectional(&mut stream, &mut target).await;
        }
    })
}

/// A proxy that connects everybody to `target`, wherever they want to go.
pub fn proxy(target: SocketAddr) -> u16 {
    hearing_proxy(target).0
}

/// The same, and all the heads that it has heard.
pub fn hearing_proxy(target: SocketAddr) -> (u16, Arc<Mutex<String>>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let all = Arc::<Mutex<String>>::default();
    let kept = Arc::clone(&all);
    let port = serve(move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            kept.lock().unwrap().push_str(&String::from_utf8_lossy(&head));
            let mut target = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut target).await;
        }
    });
    (port, all)
}

fn serve<F: Future<Output = ()> + Send + 'static>(each: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    // Ends with the process.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(each(stream));
            }
        });
    });
    port
}
