//! No secret is printed, whatever goes wrong and however verbose the output is.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nostr::nips::nip19::ToBech32 as _;
use nostr::nips::nip49::{EncryptedSecretKey, KeySecurity};
use nostr_nests::server::{Mock, Options, faults};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::nest::{self, Nest, at_once, mock, parse};
use crate::support::raw::Raw;
use crate::support::secrets::{PASSPHRASE, PASSWORD, Secrets, tokens};
use crate::support::tls::{self, Authority};

fn all_faults() -> Vec<String> {
    let values = |row: &faults::FaultRow| match row.argument {
        "" | "[=TIME]" | "[=COUNT]" | "[=BYTES]" | "[=HOST:PORT]" => vec![""],
        "=TIME" => vec!["=100ms"],
        "=CODE[,TIME]" => vec!["=401", "=403", "=404", "=429", "=429,1s", "=500", "=503,1s"],
        "[=CODE]" => vec!["", "=200", "=404", "=504"],
        "=CODE" => vec!["=200", "=404", "=500"],
        "=±TIME|YEAR" => vec!["=+94s", "=-7h", "=2099"],
        // Of another nest.
        "=DEATH" => Vec::new(),
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
    at_once(&faults, |fault| talk(fault));
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
            "20s",
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
    at_once(&echoes.into_iter().enumerate().collect::<Vec<_>>(), |&(number, echo)| {
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
    });
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
