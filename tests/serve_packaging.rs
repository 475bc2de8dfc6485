//! What `packaging/` has for `nest serve` is what the program reads, and proxies set up like this let restarts through.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/current.rs"]
mod current;
#[path = "support/livekit.rs"]
mod livekit;
#[path = "support/nest.rs"]
mod nest;
#[path = "support/nests_api.rs"]
mod nests_api;
#[path = "support/port.rs"]
mod port;
#[path = "support/process.rs"]
mod process;
#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/serve.rs"]
mod serve;
#[path = "support/tls.rs"]
mod tls;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use current::root;
use livekit::LiveKit;
use nest::Nest;
use nostr::Keys;
use redis_server::Redis;
use serve::{SECRET, Setup};
use tls::{Authority, NOW};

const NEST: &str = env!("CARGO_BIN_EXE_nest");
const CONTAINER: &str = "packaging/container/Containerfile";

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

/// The folder where systemd, or a container's runtime, puts secrets.
fn secrets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("livekit-secret"), SECRET).unwrap();
    folder
}

/// Starts it, sees that it listens, and ends it: what is behind it may come later.
fn starts(mut command: Command) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    process::signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn flags_of_serve() -> String {
    Nest::alone().args(["serve", "--help"]).run().expect(0).stdout
}

#[test]
fn the_unit_starts_with_the_example_of_a_configuration() {
    let (folder, secrets) = (tempfile::tempdir().unwrap(), secrets());
    let config = folder.path().join("serve.toml");
    fs::write(&config, read("packaging/serve.toml").replace(":5544", ":0")).unwrap();
    let unit = read("packaging/systemd/nest-serve.service");
    assert!(unit.contains("\nLoadCredential=livekit-secret:"), "{unit}");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/nest ")).unwrap();
    let words = line.replace("/etc/nest/serve.toml", config.to_str().unwrap());
    let mut command = Command::new(NEST);
    command.args(words.split(' ')).env_clear().env("HOME", "/").env("CREDENTIALS_DIRECTORY", secrets.path());
    starts(command);

    // Everything that can be set is in the example, and what is commented out is understood as well.
    let all = read("packaging/serve.toml").replace("\n# livekit-", "\nlivekit-").replace("\n# redis-", "\nredis-");
    let keys: Vec<_> = all.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    let help = flags_of_serve();
    let flags =
        help.lines().filter_map(|line| line.trim().strip_prefix("--")).map(|flag| flag.split(' ').next().unwrap());
    let missing: Vec<_> = flags.take_while(|flag| *flag != "output").filter(|flag| !keys.contains(flag)).collect();
    assert_eq!(missing, ["allow-internal-endpoint"], "which nobody should need");
    let output = Nest::alone()
        .file("serve.toml", &all.replace("redis://127.0.0.1", "nonsense"), 0o644)
        .file("livekit-secret", SECRET, 0o600)
        .file("redis-password", "hunter2", 0o600)
        .args(["serve", "--config", "serve.toml"]);
    let said = output.run().expect(2).stderr;
    assert!(said.contains("no redis:// or unix:// URL") && !said.contains("hunter2"), "{said}");
}

/// The instructions of the container file: name and rest.
fn instructions(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
}

#[test]
fn the_container_starts_with_the_example_of_an_environment() {
    let (text, secrets) = (read(CONTAINER), secrets());
    let all = instructions(&text);
    let only = |name: &str| all.iter().rev().find(|(is, _)| *is == name).unwrap().1;
    let entry: Vec<String> = serde_json::from_str(only("ENTRYPOINT")).unwrap();
    let mut command = Command::new(NEST);
    command.args(&entry[1..]).env_clear();
    let example = read("packaging/container/serve.env");
    let given = example.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('=').unwrap());
    let built_in = all.iter().filter(|(name, _)| *name == "ENV").map(|(_, pair)| pair.split_once('=').unwrap());
    let help = flags_of_serve();
    for (name, value) in built_in.chain(given) {
        if let Some(flag) = name.strip_prefix("NEST_SERVE_") {
            let flag = format!("      --{} ", flag.replace('_', "-").to_lowercase());
            assert!(help.contains(&flag), "{name} is no setting");
        }
        let value = value.replace("/run/secrets", secrets.path().to_str().unwrap());
        command.env(name, value.replace(&format!(":{}", only("EXPOSE")), ":0"));
    }
    starts(command);
}

/// There may be no engine that could build it; this is what can be wrong about it besides the names of the images.
#[test]
fn the_container_is_built_from_what_is_there() {
    let text = read(CONTAINER);
    let context = tempfile::tempdir().unwrap();
    for (_, copy) in instructions(&text).iter().filter(|(name, rest)| *name == "COPY" && !rest.starts_with("--from")) {
        let (sources, _) = copy.rsplit_once(' ').unwrap();
        for source in sources.split(' ') {
            let copied = Command::new("cp").arg("-R").arg(root(source)).arg(context.path()).status().unwrap();
            assert!(copied.success(), "COPY {copy}");
        }
    }
    // Cargo finds a package in it, with every file that it names.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version=1", "--offline", "--locked"]).current_dir(context.path());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for target in metadata["packages"][0]["targets"].as_array().unwrap() {
        assert!(Path::new(target["src_path"].as_str().unwrap()).is_file(), "{target}");
    }
    // What is built is what is copied, and runs on nothing but what the image has: glibc and libgcc.
    assert!(text.contains("--profile dist --bin nest\n") && text.contains("/src/target/dist/nest "));
    assert!(read("Cargo.toml").contains("\n[profile.dist]\n"));
    let libraries = Command::new("ldd").arg(NEST).output().unwrap();
    for library in String::from_utf8(libraries.stdout).unwrap().lines() {
        let name = library.trim().rsplit('/').next().unwrap().split(' ').next().unwrap();
        let there = ["linux-vdso.so", "libgcc_s.so", "libm.so", "libc.so", "ld-linux"];
        assert!(there.iter().any(|known| name.starts_with(known)), "{library}");
    }
}

/// What the page says about settings is what there is.
#[test]
fn the_page_names_settings_and_files_that_exist() {
    let (page, help) = (read("docs/serve.md"), flags_of_serve());
    let commands = page.split("nest serve --").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let quoted = page.split('`').filter(|text| text.starts_with("--") && text.contains(char::is_alphanumeric));
    let flags = commands.flat_map(|rest| format!("--{rest}").split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let flags: Vec<_> = flags.chain(quoted.map(str::to_owned)).filter(|word| word.starts_with("--")).collect();
    assert!(flags.len() > 15, "{flags:?}");
    for flag in &flags {
        let flag = flag.split(' ').next().unwrap();
        assert!(help.lines().any(|line| line.trim().split(' ').next() == Some(flag)), "{flag}");
    }
    for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(link.starts_with("https://") || root("docs").join(link).exists(), "{link}");
    }
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

    // What only concerns those inside stays inside; what clients look at does not.
    assert_eq!(status(reqwest::Method::POST, "/api/v1/nests/webhook").await, 404);
    assert_eq!(status(reqwest::Method::GET, "/metrics").await, 404);
    assert_eq!(status(reqwest::Method::GET, "/health").await, 200);
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
