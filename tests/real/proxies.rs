//! Proxies set up as `packaging/proxy` has it let restarts through.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nostr::Keys;

use crate::support::current::root;
use crate::support::livekit::LiveKit;
use crate::support::nest::Nest;
use crate::support::port;
use crate::support::redis::Redis;
use crate::support::serve::Setup;
use crate::support::tls::{Authority, NOW};

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

/// A proxy that runs; it ends when dropped.
struct Proxy(Child);

impl Proxy {
    fn start(command: &mut Command, port: u16) -> Self {
        let mut proxy =
            Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it does not start");
            let ended = proxy.0.try_wait().unwrap();
            let last_words = ended.map(|_| std::io::read_to_string(proxy.0.stderr.take().unwrap()).unwrap());
            assert_eq!(last_words, None);
            std::thread::sleep(Duration::from_millis(10));
        }
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where everything is while a proxy is tried out.
struct Place<'a> {
    folder: &'a Path,
    port: u16,
    api: &'a str,
    livekit: &'a str,
}

/// The whole way: program, TLS, proxy, API, Redis, LiveKit and, through the proxy again, the check.
async fn restarts_go_through(proxy: impl FnOnce(&Place<'_>) -> Proxy) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost", NOW);
    fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();

    let (redis, livekit, host) = (Redis::start(), LiveKit::start(false), Keys::generate());
    let port = port::reserved();
    let origin = format!("https://localhost:{port}");
    let setup = Setup::new(&redis.url(), &livekit.url).public(&origin).args(["--trusted-proxy", "127.0.0.1"]);
    let setup = setup.args(["--cors-origin", "https://web.example"]);
    let serve = setup.announcing(&format!("wss://localhost:{port}/livekit"));
    let (api, media) = (serve.origin.trim_start_matches("http://"), livekit.url.trim_start_matches("ws://"));
    let _proxy = proxy(&Place { folder: folder.path(), port, api, livekit: media });

    let id = serve.create(&host).await;
    let nest = || {
        let nest = Nest::alone().file("ca.pem", &authority.pem, 0o644);
        nest.file("key", &host.secret_key().to_secret_hex(), 0o600)
    };
    let call = ["restart", &id, "--api", &origin, "--cacert", "ca.pem", "--key-file", "key", "--check", "--json"];
    let document = nest().args(call).run().expect(0).document();
    assert_eq!(document["endpoints"][0], format!("wss+livekit://localhost:{port}/livekit"));
    assert_eq!((&document["check"]["verdict"], &document["attempts"]), (&"joinable".into(), &1.into()));
    assert_eq!(document["check"]["endpoint"], format!("wss://localhost:{port}/livekit"));

    // A client elsewhere that claims to be yet another one.
    let mut roots = rustls::RootCertStore::empty();
    let pem = rustls::pki_types::pem::PemObject::from_pem_slice(authority.pem.as_bytes());
    roots.add(pem.unwrap()).unwrap();
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    let client = client.local_address(IpAddr::from(Ipv4Addr::new(127, 0, 0, 2))).build().unwrap();
    let status = async |method, path: &str| {
        let request = client.request(method, format!("{origin}{path}")).header("x-forwarded-for", "203.0.113.7");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(reqwest::Method::GET, &format!("/api/v1/nests/{id}/info")).await, 200);
    let line = &serve.lines_with("/info", 1)[0];
    assert!(line.contains(" 127.0.0.2"), "{line}");

    // A web client elsewhere asks first, and hears from nest serve, once, that it may call.
    for (method, status) in [(reqwest::Method::OPTIONS, 200), (reqwest::Method::POST, 401)] {
        let request = client.request(method.clone(), format!("{origin}/api/v1/nests/{id}/restart"));
        let request = request.header("origin", "https://web.example");
        let request = request.header("access-control-request-method", "POST");
        let answer = request.header("access-control-request-headers", "authorization").send().await.unwrap();
        assert_eq!(answer.status(), status);
        let allowed: Vec<_> = answer.headers().get_all("access-control-allow-origin").iter().collect();
        assert_eq!(allowed, ["https://web.example"], "{method}");
        assert_eq!(serve.lines_with("/restart", 1).len(), 1, "it has come as far as that");
    }
    assert_eq!(status(reqwest::Method::HEAD, &format!("/api/v1/nests/{id}/info")).await, 200);

    // What only concerns those inside stays inside; what clients look at does not.
    assert_eq!(status(reqwest::Method::POST, "/api/v1/nests/webhook").await, 404);
    assert_eq!(status(reqwest::Method::GET, "/metrics").await, 404);
    assert_eq!(status(reqwest::Method::GET, "/health").await, 200);
    for path in [&format!("/n/{id}"), "/n/-/page.css", "/n/-/page.js"] {
        assert_eq!(status(reqwest::Method::GET, path).await, 200, "{path}");
    }
    let seen = serve.lines_with("/health", 1);
    assert_eq!(seen.len(), 1);
    assert!(serve.get("/metrics").await.text.lines().all(|line| !line.contains("webhook")), "the proxy has answered");
}

#[tokio::test]
#[ignore = "needs nginx, redis and livekit"]
async fn restarts_go_through_nginx() {
    restarts_go_through(|place| {
        let here = place.folder.display();
        let site = read("packaging/proxy/nginx.conf")
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{} ssl", place.port))
            .replace("/etc/letsencrypt/live/nests.example/fullchain.pem", &format!("{here}/cert.pem"))
            .replace("/etc/letsencrypt/live/nests.example/privkey.pem", &format!("{here}/key.pem"))
            .replace("127.0.0.1:5544", place.api)
            .replace("127.0.0.1:7880", place.livekit);
        fs::write(place.folder.join("site.conf"), site).unwrap();
        let paths =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("{name}_temp_path {here};"));
        // As Debian's own nginx.conf would take it in.
        let main = format!(
            "pid {here}/pid; events {{}} http {{ {} access_log {here}/access; include {here}/site.conf; }}",
            paths.concat()
        );
        let config = place.folder.join("nginx.conf");
        fs::write(&config, main).unwrap();
        let nginx = |rest: &[&str]| {
            let mut nginx = Command::new("nginx");
            nginx.env_clear().env("PATH", "/usr/sbin:/usr/bin").args(["-e", "stderr", "-c"]).arg(&config).args(rest);
            nginx
        };
        let tested = nginx(&["-t"]).output().unwrap();
        let said = String::from_utf8(tested.stderr).unwrap();
        assert!(tested.status.success() && !said.contains("[warn]"), "{said}");
        // One process, so that it can be ended.
        Proxy::start(&mut nginx(&["-g", "daemon off; master_process off;"]), place.port)
    })
    .await;
}

#[tokio::test]
#[ignore = "needs caddy, redis and livekit"]
async fn restarts_go_through_caddy() {
    restarts_go_through(|place| {
        let here = place.folder.display();
        // It would fetch a certificate.
        let name = format!("localhost:{} {{\n\ttls {here}/cert.pem {here}/key.pem\n\tbind 127.0.0.1", place.port);
        let site = read("packaging/proxy/Caddyfile")
            .replace("\nnests.example {", &format!("\n{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n\n{name}"))
            .replace("127.0.0.1:5544", place.api)
            .replace("127.0.0.1:7880", place.livekit);
        let config = place.folder.join("Caddyfile");
        fs::write(&config, site).unwrap();
        let caddy = |verb: &str| {
            let mut caddy = Command::new("caddy");
            caddy.env_clear().env("HOME", place.folder).env("PATH", "/usr/bin");
            caddy.args([verb, "--adapter", "caddyfile", "--config"]).arg(&config);
            caddy
        };
        let tested = caddy("validate").output().unwrap();
        assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
        Proxy::start(&mut caddy("run"), place.port)
    })
    .await;
}
