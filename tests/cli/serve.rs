//! What `nest serve` does before it needs anything behind it: settings, limits, signatures, logs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::Keys;
use nostr_nests::secret::Secret;
use nostr_nests::server::token::{Claims, Issuer};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::api_contract::head_of;
use crate::support::nest::Nest;
use crate::support::nests_api::{Draft, client};
use crate::support::serve::{KEY, PUBLIC, Reply, SECRET, Serve, Setup};
use crate::support::{port, process};

fn exchange(serve: &Serve, request: &str) -> String {
    let mut stream = TcpStream::connect(serve.origin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // The server may have answered and closed before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

const GOOD: [&str; 12] = [
    "--redis",
    "redis://127.0.0.1",
    "--livekit",
    "ws://livekit:7880",
    "--livekit-key",
    "k",
    "--livekit-secret-file",
    "secret",
    "--public-url",
    "https://nests.example",
    "--public-livekit-url",
    "wss://nests.example/livekit",
];

/// The flags above with one changed or, without a value, left out.
fn but(name: &str, value: Option<&str>) -> Vec<String> {
    let pairs = GOOD.chunks(2).map(|pair| (pair[0], if pair[0] == name { value } else { Some(pair[1]) }));
    pairs.filter_map(|(name, value)| Some([name.to_owned(), value?.to_owned()])).flatten().collect()
}

#[test]
fn it_does_not_start_with_settings_that_cannot_be_meant() {
    // The address is the last thing that is used.
    let bound = Nest::alone().file("secret", SECRET, 0o600);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = bound.args(["serve", "--listen", &address]).args(GOOD).run().expect(1);
    assert!(failed.stderr.contains(&format!("cannot listen on {address}")), "{}", failed.stderr);

    for (args, says) in [
        (but("--redis", None), "--redis is missing"),
        (but("--livekit", None), "--livekit is missing"),
        (but("--livekit-key", None), "--livekit-key is missing"),
        (but("--livekit-secret-file", None), "--livekit-secret-file is missing"),
        (but("--public-url", None), "--public-url is missing"),
        (but("--public-livekit-url", None), "--public-livekit-url is missing"),
        (but("--redis", Some("http://127.0.0.1")), "no redis:// or unix:// URL"),
        (but("--livekit", Some("livekit:7880")), "is no ws:// or wss:// URL"),
        (but("--livekit-secret-file", Some("none")), "there is no file none"),
        (but("--public-url", Some("nests.example")), "is no https:// URL"),
        (but("--public-livekit-url", Some("wss://livekit:7880")), "is internal: clients elsewhere cannot reach it"),
        (but("--public-livekit-url", Some("wss://10.0.0.4")), "is internal"),
        (but("--public-livekit-url", Some("ws://nests.example")), "is not encrypted"),
        (
            [but("", None), vec!["--trusted-proxy".into(), "proxy".into()]].concat(),
            "for '--trusted-proxy <NET>': \"proxy\" is no address",
        ),
        ([but("", None), vec!["--record-ttl".into(), "5s".into()]].concat(), "must be between 1m and a year"),
        (
            [but("", None), vec!["--listen".into(), "256.0.0.1:1".into()]].concat(),
            "for '--listen <ADDR>': invalid socket address",
        ),
    ] {
        let output = Nest::alone().file("secret", SECRET, 0o600).env("NEST_SERVE_LISTEN", "127.0.0.1:0");
        let output = output.args(["serve"]).args(&args);
        let output = output.run().expect(2);
        assert!(output.stderr.contains(says), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains(SECRET));
    }
}

#[test]
fn secrets_are_no_arguments_and_nobody_elses() {
    let args = but("--redis", Some("redis://:hunter2@127.0.0.1"));
    let output = Nest::alone().file("secret", SECRET, 0o600).args(["serve"]).args(args).run().expect(2);
    assert!(output.stderr.contains("a Redis password among the arguments"), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"));
    let open = Nest::alone().file("secret", SECRET, 0o644).args(["serve"]).args(GOOD).run().expect(2);
    assert!(open.stderr.contains("is open to others (mode 0644)"), "{}", open.stderr);
    let help = Nest::alone().env("NEST_SERVE_REDIS", "redis://:hunter2@127.0.0.1").args(["serve", "--help"]);
    let help = help.run().expect(0).stdout;
    assert!(!help.contains("--livekit-secret ") && !help.contains("--redis-password "), "{help}");
    assert!(help.contains("[env: NEST_SERVE_REDIS]") && !help.contains("hunter2"), "{help}");
}

#[test]
fn settings_come_from_flags_variables_or_a_file() {
    let taken = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [in_file, in_variable] = [0, 1].map(|at| taken[at].local_addr().unwrap().to_string());
    let file = format!(
        "[serve]\nlisten = '{in_file}'\nredis = 'redis://127.0.0.1'\nlivekit = 'ws://livekit:7880'\nlivekit-key = 'k'\n\
         livekit-secret-file = 'secret'\npublic-url = 'https://nests.example'\nallow-internal-endpoint = true\n\
         public-livekit-url = 'ws://livekit'\nrecord-ttl = '48h'\ntrusted-proxy = ['10.0.0.0/8']\n\
         cors-origin = ['https://web.example']\n"
    );
    let nest =
        || Nest::alone().file(".config/nest/config.toml", &file, 0o644).file(".config/nest/secret", SECRET, 0o600);
    // The address is the last thing that is used: whoever comes so far has understood all of them.
    let listens_on = |nest: Nest, address: &str| {
        let output = nest.args(["serve"]).run().expect(1);
        assert!(output.stderr.contains(&format!("cannot listen on {address}")), "{}", output.stderr);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    };
    listens_on(nest(), &in_file);
    listens_on(nest().env("NEST_SERVE_LISTEN", &in_variable), &in_variable);
    listens_on(nest().env("NEST_SERVE_LISTEN", ""), &in_file);
    // Nobody else sees it there.
    listens_on(nest().env("NEST_SERVE_REDIS", "redis://:hunter2@127.0.0.1"), &in_file);

    let says = |nest: Nest| nest.run().expect(2).stderr;
    for (name, value, complaint) in [
        (
            "NEST_SERVE_TRUSTED_PROXY",
            "10.0.0.1, nonsense",
            "for 'NEST_SERVE_TRUSTED_PROXY': \"nonsense\" is no address",
        ),
        (
            "NEST_SERVE_CORS_ORIGIN",
            "https://web.example,https://web.example/page",
            "for 'NEST_SERVE_CORS_ORIGIN': \"https://web.example/page\" is no origin such as https://nests.example",
        ),
        ("NEST_SERVE_RECORD_TTL", "nonsense", "for 'NEST_SERVE_RECORD_TTL': \"nonsense\" is no time"),
        ("NEST_SERVE_ALLOW_INTERNAL_ENDPOINT", "false", "public-livekit-url: ws://livekit is internal"),
        (
            "NEST_SERVE_WEB_CLIENT",
            "javascript:alert(1)",
            "NEST_SERVE_WEB_CLIENT: \"javascript:alert(1)\" is no https:// URL",
        ),
        ("NEST_SERVE_RATE_LIMIT", "many", "for 'NEST_SERVE_RATE_LIMIT': invalid digit"),
        ("NEST_SERVE_LOG_FORMAT", "xml", "for 'NEST_SERVE_LOG_FORMAT'"),
        ("NEST_SERVE_PUBLIC_URL", "nonsense", "NEST_SERVE_PUBLIC_URL: \"nonsense\" is no https:// URL"),
        ("NEST_SERVE_LIVEKIT_SECRET_FILE", "elsewhere", "there is no file elsewhere"),
    ] {
        let output = says(nest().args(["serve"]).env(name, value));
        assert!(output.contains(complaint), "{name}: {output}");
    }
    let flag = says(nest().args(["serve", "--public-url", "nonsense"]).env("NEST_SERVE_PUBLIC_URL", "https://a.b"));
    assert!(flag.contains("public-url: \"nonsense\" is no https:// URL"), "{flag}");
    let flag = says(nest().args(["serve", "--rate-limit=many"]).env("NEST_SERVE_RATE_LIMIT", "5"));
    assert!(flag.contains("for '--rate-limit <N>': invalid digit"), "{flag}");
    for (line, complaint) in [
        ("listne = 'x'", "listne"),
        ("trusted-proxy = ['proxy']", "is no address"),
        ("cors-origin = ['*']", "is no origin"),
        ("record-ttl = '5s'", "a year"),
    ] {
        let unknown = Nest::alone().file(".config/nest/config.toml", &format!("[serve]\n{line}\n"), 0o644);
        assert!(says(unknown.args(["serve"])).contains(complaint), "{line}");
    }
}

#[tokio::test]
async fn a_systemd_credential_is_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("livekit-secret"), SECRET).unwrap();
    let nest = Nest::alone().env("CREDENTIALS_DIRECTORY", folder.path());
    let nest = nest.args(["serve", "--listen", "127.0.0.1:0"]).args(but("--livekit-secret-file", None));
    let (mut command, _home) = nest.into_parts();
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.starts_with("listening on 127.0.0.1:"), "{line}");
    process::signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn too_much_is_refused_in_json() {
    let serve = Setup::alone().start();
    let path = "/api/v1/nests/a/restart";
    let error = |answer: &str| {
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        serde_json::from_str::<Value>(&body).unwrap_or_else(|e| panic!("{e}: {answer}"))["error"].clone()
    };
    let headed = |header: &str| {
        exchange(&serve, &format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n"))
    };
    let long = headed(&format!("authorization: Nostr {}\r\ncontent-length: 0", "x".repeat(20_000)));
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
    assert_eq!(error(&long), "Request header fields too large");
    let endless = headed(&format!("authorization: Nostr {}\r\ncontent-length: 0", "x".repeat(200_000)));
    assert!(endless.is_empty() || endless.starts_with("HTTP/1.1 431 "), "{endless}");
    let body = headed(&format!("content-length: 100000\r\n\r\n{}", "x".repeat(100_000)));
    assert!(body.starts_with("HTTP/1.1 413 "), "{body}");
    assert_eq!(error(&body), "request entity too large");
    let nowhere = serve.get("/api/v1/nests/a/b/c").await.expect(404);
    assert_eq!(nowhere.json()["error"], "Endpoint not found");
    assert_eq!(serve.get("/rtc").await.expect(404).json()["error"], "Endpoint not found");
}

#[tokio::test]
async fn requests_are_counted_for_each_address() {
    let serve = Setup::alone().args(["--rate-limit", "3", "--trusted-proxy", "127.0.0.0/8"]).start();
    let from = async |address: &str| {
        let request = client().post(serve.url("/api/v1/nests/a/restart")).header("x-forwarded-for", address);
        Reply::of(request.send().await.unwrap()).await
    };
    for left in ["2", "1", "0"] {
        let reply = from("203.0.113.7").await.expect(401);
        assert_eq!((reply.header("ratelimit-limit"), reply.header("ratelimit-remaining")), ("3", left));
        assert_eq!(reply.header("ratelimit-policy"), "3;w=60");
    }
    let refused = from("203.0.113.7").await.expect(429);
    assert_eq!(refused.json()["error"], "Too many requests, please try again later");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait) && refused.header("ratelimit-reset") == refused.header("retry-after"));
    from("203.0.113.8").await.expect(401);
    // Whatever a client writes to the left of what the proxy adds.
    from("1.1.1.1, 203.0.113.7").await.expect(429);
    // One network of IPv6 is one client.
    for n in 1..=3 {
        from(&format!("2001:db8::{n}")).await.expect(401);
    }
    from("2001:db8::4").await.expect(429);
}

#[tokio::test]
async fn every_path_is_limited() {
    let event = r#"{"event":"room_finished","room":{"sid":"RM_a","name":"a"}}"#;
    let paths =
        ["/health", "/metrics", "/nowhere", "/n/a", "/n/-/page.js", "/api/v1/nests/webhook", "/api/v1/nests/webhook/"];
    for path in paths {
        let serve = Setup::alone().args(["--rate-limit", "2"]).start();
        let method = if path.contains("webhook") { Method::POST } else { Method::GET };
        // A token for a client of LiveKit is signed with the same key as what LiveKit tells, and everybody can have one.
        let token = issuer().mint(&Claims { exp: Some(i64::MAX), ..Claims::default() });
        let ask = async || {
            let request = client().request(method.clone(), serve.url(path)).body(event);
            Reply::of(request.header("authorization", &token).send().await.unwrap()).await
        };
        for left in ["1", "0"] {
            assert_eq!(ask().await.header("ratelimit-remaining"), left, "{path}");
        }
        ask().await.expect(429);
        // Whoever restarts what is not alive does so by this one, which strangers must not change.
        serve.get("/health/alive").await.expect(200);
    }
}

#[tokio::test]
async fn the_page_of_a_nest_says_that_nothing_can_be_looked_up() {
    let serve = Setup::alone().start();
    let page = serve.get("/n/a").await.expect(503);
    assert!(page.text.contains("Nobody knows whether it runs"), "{}", page.text);
    assert_eq!((page.header("retry-after"), page.header("cache-control")), ("2", "no-store"));
    // What is wrong in detail is for the operator.
    assert!(!page.text.contains("refused") && !page.text.contains("Redis"), "{}", page.text);
    assert!(serve.lines_with("/n/a", 1)[0].contains("room store"));
    for path in ["/n/-/page.css", "/n/-/page.js"] {
        let cached = serve.get(path).await.expect(200).header("cache-control").to_owned();
        assert_eq!(cached, "public, max-age=31536000, immutable", "{path}");
    }
    let link = format!("<{PUBLIC}/n/a%20b>; rel=\"alternate\"; type=\"text/html\"");
    assert_eq!(serve.get("/api/v1/nests/a%20b/guest").await.header("link"), link);
    let metrics = serve.get("/metrics").await.text;
    assert!(metrics.contains(r#"nest_serve_requests_total{call="page",status="503"} 1"#), "{metrics}");
    for setting in [Setup::alone().args(["--no-page"]), Setup::alone().env("NEST_SERVE_NO_PAGE", "true")] {
        let serve = setting.start();
        for path in ["/n/a", "/n/-/page.css", "/n/-/page.js"] {
            assert_eq!(serve.get(path).await.expect(404).json()["error"], "Endpoint not found");
        }
        assert_eq!(serve.get("/api/v1/nests/a%20b/guest").await.header("link"), "");
    }
}

#[tokio::test]
async fn what_livekit_tells_is_not_counted() {
    let serve = Setup::alone().args(["--rate-limit", "1"]).start();
    let event = r#"{"event":"room_started"}"#;
    let sha256 = STANDARD.encode(Sha256::digest(event));
    let token = issuer().mint(&Claims { exp: Some(i64::MAX), sha256, ..Claims::default() });
    for path in ["/api/v1/nests/webhook", "/api/v1/nests/webhook/"].repeat(3) {
        let request = client().post(serve.url(path)).header("authorization", &token).body(event);
        Reply::of(request.send().await.unwrap()).await.expect(200);
    }
}

fn issuer() -> Issuer {
    Issuer { key: KEY.into(), secret: Secret::new(SECRET) }
}

#[tokio::test]
async fn forwarded_addresses_of_strangers_are_not_believed() {
    let serve = Setup::alone().args(["--rate-limit", "1"]).start();
    for (n, status) in [401, 429, 429].into_iter().enumerate() {
        let request =
            client().post(serve.url("/api/v1/nests/a/restart")).header("x-forwarded-for", format!("1.1.1.{n}"));
        Reply::of(request.send().await.unwrap()).await.expect(status);
    }
}

#[tokio::test]
async fn requests_are_counted_for_each_key() {
    let serve = Setup::alone().args(["--key-rate-limit", "2"]).start();
    let (one, other) = (Keys::generate(), Keys::generate());
    // Redis is not there, which a key gets to know as often as it may ask.
    for left in ["1", "0"] {
        assert_eq!(serve.restart(&one, "a").await.expect(503).header("ratelimit-remaining"), left);
    }
    let refused = serve.restart(&one, "a").await.expect(429);
    assert_eq!(refused.header("ratelimit-limit"), "2");
    serve.restart(&other, "a").await.expect(503);
    // A stranger cannot use up what a key may ask for.
    let victim = Keys::generate();
    for _ in 0..3 {
        let header = Draft::new("POST", "https://elsewhere.example/", b"").header(&victim);
        let request = client().post(serve.url("/api/v1/nests/a/restart")).header("authorization", header);
        Reply::of(request.send().await.unwrap()).await.expect(401);
    }
    serve.restart(&victim, "a").await.expect(503);
}

#[tokio::test]
async fn there_are_so_many_connections_and_no_more() {
    let serve = Setup::alone().args(["--max-connections", "2"]).start();
    let address = serve.origin.trim_start_matches("http://").to_owned();
    let held = [TcpStream::connect(&address).unwrap(), TcpStream::connect(&address).unwrap()];
    let ask = |path: &str| exchange(&serve, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
    let begun = Instant::now();
    loop {
        let answer = ask("/nowhere");
        if answer.starts_with("HTTP/1.1 503 ") {
            assert!(answer.ends_with("{\"error\":\"Too many connections\"}"), "{answer}");
            assert!(answer.contains("retry-after: 2\r\n") && answer.contains("connection: close\r\n"), "{answer}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{answer}");
    }
    // It still says that it lives, or it would be restarted for no reason.
    assert!(ask("/health/alive").starts_with("HTTP/1.1 200 "));
    drop(held);
    while !exchange(&serve, "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").contains(" 404 ") {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

/// It once waited up to 20 s for each of them.
#[test]
fn the_end_does_not_wait_for_who_is_slow() {
    let mut serve = Setup::alone().args(["--rate-limit", "0"]).start();
    let head = "POST /api/v1/nests/a/restart HTTP/1.1\r\nhost: x\r\n";
    let slow = [
        String::new(),
        head.to_owned(),
        format!("{head}content-length: 10\r\n\r\n{{"),
        "GET /health/alive HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3000),
    ];
    let _held = slow.map(|request| {
        let mut stream = TcpStream::connect(serve.origin.trim_start_matches("http://")).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        // Where nobody reads the answers, nobody reads the requests.
        let _ = stream.write_all(request.as_bytes());
        stream
    });
    serve.lines_with("/metrics", 1);
    let begun = Instant::now();
    serve.signal("TERM");
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

/// Once it stood still as soon as the pipe was full.
#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    const REQUESTS: usize = 2000;
    for format in ["text", "json"] {
        let setup = Setup::alone().args(["--rate-limit", "0", "--log-format", format]);
        let mut serve = setup.unread().start();
        // Twice what fits into a pipe and what waits for one, in few connections.
        let path = format!("/nowhere/{}", "x".repeat(500));
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(99)
            + &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answered = (0..REQUESTS / 100).map(|_| exchange(&serve, &request).matches("HTTP/1.1 404 ").count());
        assert_eq!(answered.sum::<usize>(), REQUESTS);
        // Now somebody reads it.
        serve.signal("TERM");
        let log: Vec<_> = serve.log.iter().collect();
        assert_eq!(serve.child.wait().unwrap().code(), Some(0));
        let printed = log.iter().filter(|line| line.contains("/nowhere/")).count();
        let dropped =
            log.iter().filter_map(|line| line.split_once(" lines of this log were dropped")).map(|(before, _)| {
                let count: String = before.chars().rev().take_while(char::is_ascii_digit).collect();
                count.chars().rev().collect::<String>().parse::<usize>().unwrap()
            });
        let dropped = dropped.sum::<usize>();
        assert!(dropped > 0, "{format}: all were printed");
        // Up to three lines that are about no request may be among those that were dropped.
        assert!((REQUESTS..=REQUESTS + 3).contains(&(printed + dropped)), "{format}: {printed} and {dropped}");
        if format == "json" {
            assert!(log.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        }
    }
}

#[test]
fn it_ends_even_if_nobody_reads_its_log() {
    let setup = Setup::alone().args(["--rate-limit", "0"]);
    let mut serve = setup.unread().start();
    let path = format!("/nowhere/{}", "x".repeat(50_000));
    for _ in 0..5 {
        exchange(&serve, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    }
    serve.signal("TERM");
    assert_eq!(serve.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_log_on_a_disk_that_is_full_holds_up_nobody() {
    let address = format!("127.0.0.1:{}", port::reserved());
    let nest = Nest::alone().file("secret", SECRET, 0o600).args(["serve", "--listen", &address]).args(GOOD);
    let (mut command, _home) = nest.args(["--allow-internal-endpoint"]).into_parts();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut child = command.stderr(full).spawn().unwrap();
    let begun = Instant::now();
    let alive = format!("http://{address}/health/alive");
    for _ in 0..3 {
        while client().get(&alive).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not start");
        }
    }
    process::signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Every way to get a signature wrong is in `library/server_nip98.rs`; here is what a public URL changes about it.
#[tokio::test]
async fn clients_sign_the_public_url() {
    let serve = Setup::alone().public("https://example.org/nests/").start();
    let keys = Keys::generate();
    let path = "/api/v1/nests/a%20b?x=1";
    for (url, status) in [
        ("https://example.org/nests/api/v1/nests/a%20b?x=1", 503),
        ("https://example.org/api/v1/nests/a%20b?x=1", 401),
        ("http://example.org/nests/api/v1/nests/a%20b?x=1", 401),
        ("https://example.org/nests/api/v1/nests/a b?x=1", 401),
        ("https://example.org/nests/api/v1/nests/a%20b", 401),
        ("https://example.org:443/nests/api/v1/nests/a%20b?x=1", 401),
        (&format!("{}{path}", serve.origin), 401),
    ] {
        let header = Draft::new("GET", url, b"").header(&keys);
        let request = client().get(serve.url(path)).header("authorization", header).header("host", "example.org");
        let reply = Reply::of(request.send().await.unwrap()).await;
        assert_eq!(reply.status, status, "{url}: {}", reply.text);
        if status == 401 {
            let says = "Event is for another URL, this is https://example.org/nests/api/v1/nests/a%20b?x=1";
            assert_eq!(reply.json()["error"], says);
        }
    }
}

#[tokio::test]
async fn each_request_is_one_line_without_secrets() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
    for format in ["text", "json"] {
        let serve = Setup::alone().args(["--log-format", format]).start();
        let keys = Keys::generate();
        let header = Draft::new("GET", "https://nests.example/api/v1/nests/a", b"").header(&keys);
        for path in [format!("/api/v1/nests/a?access_token={token}"), format!("/api/v1/nests/{token}%1b%0a/info")] {
            let request = client().get(serve.url(&path)).header("authorization", &header);
            Reply::of(request.send().await.unwrap()).await;
        }
        let lines = serve.lines_with("nests/", 2);
        assert!(lines[0].contains("401") && lines[1].contains("503"), "one line each: {lines:?}");
        let all = lines.concat();
        assert!(!all.contains(token) && !all.contains(header.trim_start_matches("Nostr ")), "{all}");
        assert!(!all.contains(SECRET) && !all.contains('\u{1b}'));
        if format == "json" {
            let line: Value = serde_json::from_str(&lines[0]).unwrap();
            assert_eq!(
                (&line["status"], &line["method"], &line["path"]),
                (&401.into(), &"GET".into(), &"/api/v1/nests/a".into())
            );
            assert_eq!(line["address"], "127.0.0.1");
        } else {
            assert!(
                lines[0].contains(" 401 GET /api/v1/nests/a ") && lines[0].contains(" ms 127.0.0.1 · Event is"),
                "{all}"
            );
        }
    }
}

/// The note once held the URL that should have been signed, as it is, and JSON left control characters as they are.
#[tokio::test]
async fn the_log_has_no_queries_and_nothing_that_a_terminal_obeys() {
    for format in ["text", "json"] {
        let serve = Setup::alone().args(["--log-format", format]).start();
        let header = Draft::new("GET", "https://elsewhere.example/", b"").header(&Keys::generate());
        let request = client().get(serve.url("/api/v1/nests/a?pass=plainsecret")).header("authorization", header);
        Reply::of(request.send().await.unwrap()).await.expect(401);
        exchange(
            &serve,
            "GET /api/v1/nests/\u{9b}31m\u{202e}\u{200b}/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        );
        let lines = serve.lines_with("nests/", 2).concat();
        assert!(lines.contains("https://nests.example/api/v1/nests/a") && !lines.contains("plainsecret"), "{lines}");
        assert!(!lines.contains(['\u{9b}', '\u{202e}', '\u{200b}']), "{lines}");
    }
}

#[test]
fn what_is_no_request_is_a_line_of_the_same_log() {
    let serve = Setup::alone().args(["--log-format", "json"]).start();
    let warnings = serve.lines_with("is not there yet", 2);
    for (line, name) in warnings.iter().zip(["Redis", "LiveKit"]) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "warn");
        assert!(line["message"].as_str().unwrap().starts_with(&format!("{name} is not there yet: ")), "{line}");
    }
    let serve = Setup::alone().start();
    assert!(serve.lines_with("Redis", 1)[0].starts_with("warning: Redis is not there yet: "));
}

#[tokio::test]
async fn web_clients_of_any_origin_may_call() {
    let serve = Setup::alone().args(["--rate-limit", "1"]).start();
    let path = "/api/v1/nests/a/restart";
    for _ in 0..3 {
        let asks = client().request(Method::OPTIONS, serve.url(path)).header("origin", "https://web.example");
        let asks = asks.header("access-control-request-method", "POST");
        let asks = asks.header("access-control-request-headers", "authorization,content-type");
        // Such a question is no request of the API, and not counted.
        let reply = Reply::of(asks.send().await.unwrap()).await.expect(200);
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(reply.header("access-control-allow-methods").contains("POST"), "{reply:?}");
        assert!(reply.header("access-control-allow-headers").contains("authorization"), "{reply:?}");
    }
    let request = client().post(serve.url(path)).header("origin", "https://web.example");
    let reply = Reply::of(request.send().await.unwrap()).await.expect(401);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    for told in ["ratelimit-remaining", "retry-after", "date"] {
        assert!(reply.header("access-control-expose-headers").contains(told), "{reply:?}");
    }
}

#[tokio::test]
async fn web_clients_of_other_origins_may_not_if_some_are_named() {
    let flags =
        ["--cors-origin", "https://web.example,http://localhost:8080/", "--cors-origin", "HTTPS://B.example:443"];
    let serve = Setup::alone().args(flags).start();
    let from = async |method: Method, origin: &str| {
        let request = client().request(method, serve.url("/api/v1/nests/a/restart")).header("origin", origin);
        Reply::of(request.header("access-control-request-method", "POST").send().await.unwrap()).await
    };
    for (origin, allowed) in [
        ("https://web.example", true),
        ("http://localhost:8080", true),
        ("https://b.example", true),
        ("http://web.example", false),
        ("https://web.example.evil.example", false),
        ("http://localhost:8081", false),
        ("null", false),
    ] {
        for (method, status) in [(Method::OPTIONS, 200), (Method::POST, 401)] {
            let reply = from(method, origin).await.expect(status);
            assert_eq!(reply.header("access-control-allow-origin"), if allowed { origin } else { "" }, "{origin}");
            assert!(reply.header("vary").to_lowercase().contains("origin"), "no cache may confuse them: {reply:?}");
            assert_eq!(reply.header("access-control-allow-credentials"), "");
        }
    }
}

#[tokio::test]
async fn whoever_looks_after_it_may_ask_for_heads() {
    let serve = Setup::alone().start();
    for (path, status) in [("/health/alive", 200), ("/health", 503), ("/metrics", 200)] {
        let reply = client().head(serve.url(path)).send().await.unwrap();
        head_of(&Reply::of(reply).await.expect(status));
    }
}

#[tokio::test]
async fn metrics_count_what_was_answered() {
    let serve = Setup::alone().start();
    serve.call(&Keys::generate(), Method::POST, "/api/v1/nests/a/restart", None).await.expect(503);
    serve.get("/api/v1/nests/a/info").await.expect(503);
    let metrics = serve.get("/metrics").await.expect(200);
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        "nest_serve_requests_total{call=\"restart\",status=\"503\"} 1",
        "nest_serve_requests_total{call=\"info\",status=\"503\"} 1",
        "nest_serve_request_seconds_count{call=\"restart\"} 1",
        "nest_serve_up{service=\"redis\"} 0",
        "nest_serve_up{service=\"livekit\"} 0",
    ] {
        assert!(metrics.text.lines().any(|is| is == line), "{line}\n{}", metrics.text);
    }
}
