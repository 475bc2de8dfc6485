//! Whatever goes wrong, and however much is to be told of it: no secret is seen anywhere.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/nest.rs"]
mod nest;
#[path = "support/raw.rs"]
mod raw;
#[path = "support/tls.rs"]
mod tls;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nest::{Nest, mock, parse};
use nostr::nips::nip19::ToBech32 as _;
use nostr::nips::nip49::{EncryptedSecretKey, KeySecurity};
use nostr_nests::server::{Mock, Options, faults};
use raw::Raw;
use rustix::process::{Pid, Signal, kill_process};
use tls::Authority;

/// So much of a secret is a part of it, and not a coincidence.
const PART: usize = 20;

const PASSWORD: &str = "hunter2-of-the-proxy";
const PASSPHRASE: &str = "correct horse battery staple";

/// What nobody may see.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn of(mock: &Mock) -> Self {
        let (key, mut all) = (mock.host().secret_key(), Vec::new());
        all.push(("hex key", key.to_secret_hex()));
        all.push(("nsec", key.to_bech32().unwrap()));
        all.push(("base64 key", STANDARD.encode(key.as_secret_bytes())));
        all.push(("proxy's password", PASSWORD.into()));
        all.push(("Proxy-Authorization", STANDARD.encode(format!("me:{PASSWORD}"))));
        all.push(("passphrase", PASSPHRASE.into()));
        if let Some(value) = mock.last_authorization() {
            let event = value.strip_prefix("Nostr ").unwrap().to_owned();
            let json: serde_json::Value = serde_json::from_slice(&STANDARD.decode(&event).unwrap()).unwrap();
            all.push(("signature", json["sig"].as_str().unwrap().to_owned()));
            // The signature is at its end; before it come things that tokens contain as well, such as the public key.
            all.push(("Authorization", event[event.len() - 80..].to_owned()));
        }
        Self(all)
    }

    #[track_caller]
    fn none_in(&self, text: &str, context: &str) {
        let lower = text.to_ascii_lowercase();
        for (name, secret) in &self.0 {
            let secret = secret.to_ascii_lowercase();
            for at in 0..=secret.len().saturating_sub(PART) {
                let part = &secret[at..(at + PART).min(secret.len())];
                assert!(!lower.contains(part), "{context}: a part of the {name}, {part}, is in\n{text}");
            }
        }
    }
}

/// Everything in `text` that begins as a token does.
fn tokens(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.+/".contains(c)));
    let from_mark = words.filter_map(|word| word.find("eyJ").map(|at| &word[at..]));
    from_mark.filter(|token| token.len() > PART).collect()
}

fn all_faults() -> Vec<String> {
    let values = |row: &faults::Row| match row.argument {
        "" | "[=TIME]" | "[=COUNT]" | "[=BYTES]" | "[=HOST:PORT]" => vec![""],
        "=TIME" => vec!["=100ms"],
        "=CODE[,TIME]" => vec!["=401", "=403", "=404", "=429", "=429,1s", "=500", "=503,1s"],
        "[=CODE]" => vec!["", "=200", "=404", "=504"],
        "=CODE" => vec!["=200", "=404", "=500"],
        "=±TIME|YEAR" => vec!["=+94s", "=-7h", "=2099"],
        other => panic!("what is {other}?"),
    };
    faults::TABLE.iter().flat_map(|row| values(row).into_iter().map(|value| format!("{}{value}", row.name))).collect()
}

/// As loud as it gets.
fn loud(mock: &Mock) -> Nest {
    let call = Nest::new(mock).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    call.args(["restart", "demo", "-vv", "--timeout", "300ms", "--retries", "1", "--max-wait", "1s"])
}

#[test]
fn no_fault_makes_it_talk() {
    let faults = all_faults();
    assert!(faults.len() >= 40, "{faults:?}");
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    talk(fault);
                }
            });
        }
    });
}

/// Runs into the fault, in every format, and reads all that was said.
fn talk(fault: &str) {
    for scope in ["", "@all"] {
        let mock = mock(&[]);
        mock.set_faults(parse(&[&format!("{fault}{scope}")]));
        let formats = [&["--check", "--hold", "150ms", "--json"][..], &["--check"], &["--output", "token"]];
        for args in if scope.is_empty() { &formats[..] } else { &formats[..1] } {
            let context = format!("{fault}{scope} {args:?}");
            let output = loud(&mock).args(*args).run();
            assert!((0..=11).contains(&output.code), "{context}: {output:?}");
            let secrets = Secrets::of(&mock);
            secrets.none_in(&output.stderr, &context);
            assert_eq!(tokens(&output.stderr), [""; 0], "{context}: a token on stderr");
            let shown = tokens(&output.stdout);
            // The host's own, once, and only if there was a restart.
            assert!(shown.len() <= usize::from(matches!(output.code, 0 | 10)), "{context}: {output:?}");
            for token in shown {
                let claims = nostr_nests::livekit::token::decode(token).unwrap();
                assert_eq!(claims.sub.as_deref(), Some(mock.host().public_key().to_hex().as_str()), "{context}");
            }
            secrets.none_in(&output.stdout, &context);
        }
    }
}

/// A mock that is reached as <https://nests.example> and through a proxy that wants a password only.
struct Far {
    mock: Mock,
    proxy: String,
    heard: Arc<Mutex<String>>,
    authority: Authority,
}

impl Far {
    fn new() -> Self {
        let options = Options { public_origin: Some("https://nests.example".into()), ..Options::default() };
        let (mock, authority) = (Mock::start(options).unwrap(), Authority::new());
        let front = authority.front("nests.example", tls::NOW, mock.address());
        let (port, heard) = tls::hearing_proxy(([127, 0, 0, 1], front).into());
        Self { mock, proxy: format!("http://me:{PASSWORD}@127.0.0.1:{port}"), heard, authority }
    }

    fn call(&self, args: &[&str]) -> Nest {
        let call = Nest::new(&self.mock).env("NEST_API", "https://nests.example").env("NEST_RELAYS", self.mock.relay());
        let call = call.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").env("HTTPS_PROXY", &self.proxy);
        call.file("ca.pem", &self.authority.pem, 0o600).args(args).args([
            "-vv",
            "--timeout",
            "2s",
            "--cacert",
            "ca.pem",
        ])
    }
}

#[test]
fn the_proxys_password_is_used_and_never_seen() {
    let far = Far::new();
    let used = format!("Basic {}", STANDARD.encode(format!("me:{PASSWORD}")));
    let stranger = nostr::Keys::generate();
    let sealed = EncryptedSecretKey::new(far.mock.host().secret_key(), PASSPHRASE, 4, KeySecurity::Unknown);
    let sealed = sealed.unwrap().to_bech32().unwrap();
    let quiet = |context: &str, output: &nest::Output, tokens_shown: usize| {
        let mut secrets = Secrets::of(&far.mock);
        secrets.0.push(("stranger's key", stranger.secret_key().to_secret_hex()));
        secrets.0.push(("ncryptsec", sealed.clone()));
        secrets.none_in(&format!("{}{}", output.stdout, output.stderr), context);
        assert_eq!(tokens(&output.stderr), [""; 0], "{context}: a token on stderr");
        assert_eq!(tokens(&output.stdout).len(), tokens_shown, "{context}: {output:?}");
        assert!(std::mem::take(&mut *far.heard.lock().unwrap()).contains(&used), "{context}: the way led elsewhere");
    };
    let wrong = far.call(&["restart", "demo", "--json"]).env("NEST_KEY", stranger.secret_key().to_secret_hex());
    quiet("a stranger", &wrong.run().expect(5), 0);
    let files = ["--key-file", "sealed", "--passphrase-file", "pass"];
    let restart = far.call(&["restart", "demo", "--json"]).args(files).without("NEST_KEY");
    let restart = restart.file("sealed", &sealed, 0o600).file("pass", PASSPHRASE, 0o600);
    quiet("an encrypted key", &restart.run().expect(0), 1);
    let restart = far.call(&["restart", "demo", "--json"]).args(files).without("NEST_KEY");
    let restart = restart.file("sealed", &sealed, 0o600).file("pass", "another one", 0o600).run().expect(3);
    Secrets::of(&far.mock).none_in(&format!("{}{}", restart.stdout, restart.stderr), "a wrong passphrase");
    for (args, tokens) in [
        (&["status", "demo"][..], 0),
        (&["check", "demo"], 0),
        (&["check", "demo", "--as-host"], 0),
        (&["doctor", "demo"], 0),
        (&["token", "demo", "--output", "token"], 1),
        (&["restart", "demo", "--check"], 1),
    ] {
        for json in [&["--json"][..], &[]] {
            let token = args.contains(&"--output");
            let output = far.call(args).args(if token { &[] } else { json }).run();
            assert!(matches!(output.code, 0 | 10), "{args:?}: {output:?}");
            quiet(&format!("{args:?} {json:?}"), &output, tokens);
        }
    }
}

/// Fails with this code and says why, as loud as it gets, and nothing of the secrets.
#[track_caller]
fn silent(call: Nest, code: i32, why: &str, context: &str, secrets: &Secrets) {
    let call = call.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    let output = call.run().expect(code);
    assert!(output.stderr.contains(why), "{context}: {output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    secrets.none_in(&all, context);
    assert_eq!(tokens(&all), [""; 0], "{context}: a token, or an event in base64");
    // What was signed and not sent is known to nobody; a signature is 64 bytes in hex.
    let longest = all.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
    assert!(longest < Some(128), "{context}: a signature is in\n{all}");
}

#[test]
fn row_22_no_way_to_the_api_makes_it_talk() {
    let (mock, authority) = (mock(&[]), Authority::new());
    let front = |name, years| format!("https://localhost:{}", authority.front(name, years, mock.address()));
    let refused =
        format!("127.0.0.1:{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let refusing = Raw::answering("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    let opening = tls::proxy(([127, 0, 0, 1], authority.front("nests.example", tls::NOW, mock.address())).into());
    let proxy = |address: String| format!("http://me:{PASSWORD}@{address}");
    let far = || "https://nests.example".to_owned();
    let cases = [
        ("unknown name", "https://nests.invalid".to_owned(), None, "its name has no address"),
        ("refused port", format!("http://{refused}"), None, "connection refused"),
        ("expired", front("localhost", (2020, 2024)), None, "its certificate expired"),
        ("wrong name", front("nests.example", tls::NOW), None, "is for nests.example"),
        ("private CA", front("localhost", tls::NOW), None, "which is not trusted here"),
        (
            "self-signed",
            format!("https://127.0.0.1:{}", tls::self_signed("127.0.0.1", mock.address())),
            None,
            "by itself",
        ),
        ("no TLS", format!("https://{}", mock.address()), None, "does not speak TLS"),
        ("no proxy", far(), Some(proxy(refused.clone())), "leads through the proxy"),
        ("proxy refuses", far(), Some(proxy(refusing.address().to_string())), "it wants a user name"),
        ("proxy opens TLS", far(), Some(proxy(format!("127.0.0.1:{opening}"))), "which is not trusted here"),
    ];
    let secrets = Secrets::of(&mock);
    nest::at_once(&cases, |(context, api, proxy, why)| {
        for args in [&["restart", "demo"][..], &["restart", "demo", "--check", "--json"], &["token", "demo"]] {
            // The certificate for another name is by an authority that is known.
            let ca = if *context == "wrong name" { &["--cacert", "ca.pem"][..] } else { &[] };
            let call = Nest::new(&mock).env("NEST_API", api).file("ca.pem", &authority.pem, 0o600);
            let call = proxy.iter().fold(call, |call, proxy| call.env("HTTPS_PROXY", proxy));
            let call = call.args(args).args(ca).args(["-vv", "--retries", "1", "--timeout", "2s"]);
            silent(call, 8, why, &format!("{context} {args:?}"), &secrets);
        }
    });
    assert_eq!(mock.all_requests(), 0, "nothing was sent");
}

#[test]
fn rows_9_and_11_no_key_that_cannot_be_had_or_is_in_the_wrong_place_is_told() {
    let mock = mock(&[]);
    let (key, npub) = (mock.host().secret_key(), mock.host().public_key().to_bech32().unwrap());
    let (nsec, hex) = (key.to_bech32().unwrap(), key.to_secret_hex());
    let sealed = EncryptedSecretKey::new(key, PASSPHRASE, 4, KeySecurity::Unknown).unwrap().to_bech32().unwrap();
    let mut secrets = Secrets::of(&mock);
    secrets.0.push(("ncryptsec", sealed.clone()));
    let folder = tempfile::tempdir().unwrap();
    let bus = folder.path().join("bus");
    let _never_answers = std::os::unix::net::UnixListener::bind(&bus).unwrap();
    let known = format!("{{\"default\":null,\"keys\":[\"{npub}\"]}}");
    for bus in ["/nonexistent/bus", bus.to_str().unwrap()] {
        let bus = || Nest::new(&mock).env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={bus}"));
        let keyless = bus().without("NEST_KEY").file(".local/state/nest/keys.json", &known, 0o600);
        silent(keyless.args(["-vv", "restart", "demo"]), 3, "the OS keyring cannot be used", "keyring", &secrets);
        // Sources that come first, and are of no use.
        for (name, text, mode, why) in [
            ("open", &nsec, 0o644, "other users of this machine can read"),
            ("half", &nsec[..40].to_owned(), 0o600, "error: "),
            ("twice", &format!("{nsec}{hex}"), 0o600, "error: "),
            ("sealed", &sealed, 0o600, "error: "),
        ] {
            let call = bus().file(name, text, mode).args(["-vv", "restart", "demo", "--key-file", name]);
            silent(call, 3, why, name, &secrets);
        }
        silent(
            bus().env("NEST_KEY", format!("{hex}0")).args(["-vv", "restart", "demo"]),
            3,
            "error: ",
            "NEST_KEY",
            &secrets,
        );
    }
    for args in [
        vec!["restart", "demo", "--key-file", &nsec],
        vec!["restart", &nsec],
        vec!["mock", "--", "sh", "-c", &nsec],
        vec![&nsec],
        vec!["restart", "demo", &format!("--api={nsec}")],
        vec!["restart", &nsec.to_uppercase()],
        vec!["restart", "demo", "--key-file", &sealed],
    ] {
        silent(
            Nest::new(&mock).args(["-vv"]).args(&args),
            2,
            "a secret key among the arguments",
            &args[..args.len() - 1].join(" "),
            &secrets,
        );
    }
    assert_eq!(mock.all_requests(), 0, "nothing was sent");
}

/// An answer that repeats the `Authorization` and a token.
type Echo = fn(&str, &str) -> String;

#[test]
fn what_a_server_echoes_is_masked_wherever_it_puts_it() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzdHJhbmdlciJ9.c2lnbmF0dXJlLW9mLWEtc3RyYW5nZXI";
    let body = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let echoes: [Echo; 9] = [
        |auth, jwt| format!("401 Unauthorized\r\n\r\nbad {auth}, not {jwt}"),
        |auth, jwt| format!("302 Found\r\nLocation: https://h.example/{auth}?access_token={jwt}\r\n\r\n"),
        |auth, jwt| format!("429 Slow\r\nRetry-After: {auth}{jwt}\r\n\r\n{{\"error\":\"{auth} {jwt}\"}}"),
        |auth, jwt| format!("500 {auth} {jwt}\r\n\r\n{{\"error\":{{\"token\":\"{jwt}\",\"header\":\"{auth}\"}}}}"),
        |auth, jwt| format!("404 X\r\n\r\n{{\"message\":\"{auth}{jwt}\"}}"),
        |auth, jwt| format!("200 OK\r\n\r\n{{\"roomId\":\"{jwt}{auth}\",\"token\":\"e30.e30.e30\"}}"),
        |auth, jwt| format!("200 OK\r\n\r\n{{\"roomId\":\"demo\",\"token\":{{\"a\":\"{jwt}\",\"b\":\"{auth}\"}}}}"),
        |auth, jwt| {
            format!(
                "200 OK\r\n\r\n{{\"roomId\":\"demo\",\"token\":\"e30.e30.e30\",\"message\":\"{auth} {jwt}\",\
                 \"endpoints\":[\"wss://h.invalid/?access_token={jwt}\",\"{auth}\"]}}"
            )
        },
        |auth, jwt| format!("200 OK\r\nX: {auth}\r\n\r\n<html>{auth}{jwt}"),
    ];
    for (number, echo) in echoes.into_iter().enumerate() {
        let server = Raw::with(move |_, head| {
            let auth = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("nothing");
            let answer = echo(auth, jwt);
            let (head, text) = answer.split_once("\r\n\r\n").unwrap();
            format!("HTTP/1.1 {head}\r\nConnection: close\r\n{}", body(text)).into_bytes()
        });
        let mock = mock(&[]);
        for args in [&["--json"][..], &["--check"], &["--output", "token"]] {
            let output = loud(&mock).env("NEST_API", server.url()).args(args).run();
            let all = format!("{}{}", output.stdout, output.stderr);
            Secrets::of(&mock).none_in(&all, &number.to_string());
            assert_eq!(tokens(&all), [""; 0], "echo {number} {args:?}: {output:?}");
        }
    }
}

#[test]
fn nothing_is_seen_of_it_from_outside() {
    let mock = mock(&["no-answer"]);
    let nsec = mock.host().secret_key().to_bech32().unwrap();
    let call = Nest::new(&mock).without("NEST_KEY").file("key", &nsec, 0o600);
    let (mut command, home) = call.args(["restart", "demo", "--key-file", "key", "--timeout", "20s"]).into_parts();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while mock.requests("/api/v1/nests/demo/restart") == 0 {
        std::thread::yield_now();
    }
    let secrets = Secrets::of(&mock);
    let proc = Path::new("/proc").join(child.id().to_string());
    for file in ["cmdline", "environ", "comm"] {
        // Only root can read the environment.
        let text = std::fs::read(proc.join(file)).unwrap_or_default();
        secrets.none_in(&String::from_utf8_lossy(&text), file);
    }
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status:?}");
    std::fs::remove_file(home.path().join("key")).unwrap();
    no_secret_below(home.path(), &secrets);
}

#[test]
#[cfg(target_os = "linux")]
fn its_user_cannot_look_into_it() {
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    let mock = mock(&["no-answer"]);
    let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "--timeout", "20s"]).into_parts();
    if rustix::process::geteuid().is_root() {
        command.current_dir("/").uid(54_321);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while mock.requests("/api/v1/nests/demo/restart") == 0 {
        std::thread::yield_now();
    }
    let proc = Path::new("/proc").join(child.id().to_string());
    // The kernel gives what belongs to an undumpable process to root, whoever runs it.
    let owners = ["environ", "mem", "maps"].map(|file| std::fs::metadata(proc.join(file)).unwrap().uid());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(owners, [0; 3]);
}

fn no_secret_below(folder: &Path, secrets: &Secrets) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_secret_below(&path, secrets);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            secrets.none_in(&text, &path.display().to_string());
            assert_eq!(tokens(&text), [""; 0], "{}", path.display());
        }
    }
}

#[test]
fn the_mock_hands_its_key_on_unseen() {
    let script = "tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/cmdline; nest restart demo -q";
    let output = Nest::alone().env("PATH", "/usr/bin:/bin").args(["mock", "-vv", "--", "sh", "-c", script]).run();
    let output = output.expect(0);
    assert!(!output.stdout.contains("nsec1") && !output.stderr.contains("nsec1"), "{output:?}");
    assert_eq!(tokens(&output.stderr), [""; 0]);
    assert!(output.stderr.contains("POST /api/v1/nests/demo/restart"), "it does tell something: {}", output.stderr);
}
