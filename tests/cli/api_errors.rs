//! What the API answers instead of what was asked for: the code, what is on stdout, and every word on stderr.

use nostr::Keys;
use nostr::nips::nip19::ToBech32 as _;
use nostr_nests::server::{Mock, Options};
use serde_json::json;

use crate::support::nest::{self, Nest, mock, plain};
use crate::support::raw::Raw;

const RESTART: &str = "/api/v1/nests/demo/restart";
const QUICK: [&str; 6] = ["restart", "demo", "--timeout", "2s", "--retries", "0"];

/// Restarts against a mock with this fault. Both forms of output agree; text mode has nothing on stdout.
#[track_caller]
fn told(fault: &str, code: i32, kind: &str, status: Option<u16>, stderr: &str) {
    let mock = mock(&[fault]);
    let output = Nest::new(&mock).args(QUICK).run().expect(code);
    assert_eq!(output.said(&mock), stderr, "{fault}");
    assert_eq!(output.stdout, "", "{fault}");
    let output = Nest::new(&mock).args(QUICK).args(["--json"]).run().expect(code);
    assert_eq!(output.said(&mock), stderr, "{fault}");
    let document = output.document();
    assert_eq!(document["roomId"], "demo");
    let error = &document["error"];
    assert_eq!((&error["kind"], error["status"].as_u64()), (&kind.into(), status.map(u64::from)), "{document}");
    let hints = error["hints"].as_array().unwrap();
    assert!(!hints.is_empty() && hints.iter().all(|hint| stderr.contains(&plain(hint.as_str().unwrap(), &mock))));
    assert!(document.get("token").is_none());
}

#[test]
fn the_record_has_expired() {
    told(
        "lost-record",
        6,
        "notFound",
        Some(404),
        "\
error: not restarted: the server no longer has this nest
  caused by: the server says: Nest not found
  caused by: its record has expired (records live 24 h from their last write), or the server has lost it
  hint: a restart cannot bring it back, a new nest in its place can: `nest recreate demo`
",
    );
}

#[test]
fn an_old_server_or_another_address() {
    let rest = "  caused by: http://MOCK/api/v1/nests/demo/restart is not there: this is another address than the API's, or an old server without restart
  hint: does the API answer? `curl http://MOCK/health`. If not, give its address with --api; if so, its operator has to update it
";
    let first = "error: not restarted: this server has no restart endpoint\n";
    let said = "  caused by: the server says: Endpoint not found\n";
    told("no-restart", 6, "notFound", Some(404), &format!("{first}{said}{rest}"));
    told("html=404", 6, "notFound", Some(404), &format!("{first}{rest}"));
    told("empty=404", 6, "notFound", Some(404), &format!("{first}{rest}"));
}

#[test]
fn the_url_that_was_signed_is_shown() {
    let mock = Mock::start(Options { public_origin: Some("https://nests.example".into()), ..Options::default() });
    let mock = mock.unwrap();
    let output = Nest::new(&mock).args(QUICK).run().expect(4);
    let said = output.said(&mock);
    let (lines, hint) = said.split_once("  caused by: signed was").unwrap();
    assert!(lines.starts_with("error: not restarted: the API rejected the signature\n  caused by: the server says: "));
    assert_eq!(
        hint,
        " http://MOCK/api/v1/nests/demo/restart: a server behind a proxy may know itself by another scheme, host or \
         prefix\n  hint: sign the server's public URL: `nest restart demo --api https://…`\n"
    );
    assert_eq!(mock.requests(RESTART), 1, "a signature is not refused twice");
}

#[test]
fn the_host_is_named_after_a_403() {
    let mock = mock(&[]);
    let stranger = nostr::Keys::generate();
    let (you, host) = (stranger.public_key().to_bech32().unwrap(), mock.host().public_key().to_bech32().unwrap());
    let key = stranger.secret_key().to_secret_hex();
    let call = || Nest::new(&mock).env("NEST_KEY", key.clone());
    let output = call().args(QUICK).run().expect(5);
    let cause = format!("  caused by: you are {you}; the host is {host}\n");
    let hint = "  hint: use the host's key: `nest restart demo --key-file PATH`\n";
    let message = "error: not restarted: only the host can restart this nest\n";
    assert_eq!(output.stderr, format!("{message}{cause}{hint}"));

    mock.set_faults(nest::parse(&["status=500@info"]));
    let output = call().args(QUICK).run().expect(5);
    assert!(output.stderr.contains(&format!("you are {you}; the host is somebody else\n")), "{}", output.stderr);

    let requests = mock.all_requests();
    let name = format!("30312:{}:demo", mock.host().public_key());
    let output = call().args(["restart", &name]).run().expect(5);
    let message = "error: only the host can restart this nest; nothing was sent\n";
    assert!(output.stderr.starts_with(&format!("{message}{cause}")), "{}", output.stderr);
    assert_eq!(mock.all_requests(), requests, "nothing was sent");
}

#[test]
fn the_limit_is_used_up() {
    let first = "\
error: not restarted: the API takes no more requests from this address for now
  caused by: the server says: Too many requests from this IP, please try again later.
  caused by: whoever shares this machine's address shares its limit
";
    let named = format!("{first}  hint: try again after hh:mm, or let it wait: `nest restart demo --max-wait 901s`\n");
    told("status=429,900s", 11, "rateLimited", Some(429), &named);
    told("plain-text=429,900s", 11, "rateLimited", Some(429), &named);
    let unnamed = format!("{first}  hint: try again in 15 minutes\n");
    told("plain-text=429", 11, "rateLimited", Some(429), &unnamed);
    // What it asks for is accepted already: a longer wait would change nothing.
    for (fault, args, hint) in [
        ("status=429,1s", &["--retries", "0"][..], "in 1 s, or let it try more often: `nest restart demo --retries 3`"),
        ("status=429,0s", &["--retries", "2"], "in 1 s, or let it try more often: `nest restart demo --retries 4`"),
        (
            "status=429,900s",
            &["--retries", "0", "--max-wait", "900s"],
            "after hh:mm, or let it try more often: `nest restart demo --retries 3 --max-wait 901s`",
        ),
        ("status=429,30s", &["--max-wait", "1s"], "in 30 s, or let it wait: `nest restart demo --max-wait 31s`"),
    ] {
        let mock = mock(&[fault]);
        let output = Nest::new(&mock).args(["restart", "demo"]).args(args).run().expect(11);
        assert_eq!(output.said(&mock), format!("{first}  hint: try again {hint}\n"), "{fault} {args:?}");
    }
    // Nobody waits before the look of --if-inactive.
    let mock = mock(&["status=429,1s@guest"]);
    let looked = Nest::new(&mock).args(["restart", "demo", "--if-inactive"]).run().expect(11).stderr;
    assert!(looked.ends_with("  hint: try again in 1 s\n"), "{looked}");
}

#[test]
fn answers_without_sense() {
    let rest = "  caused by: from such an answer nobody can tell whether the nest was restarted
  hint: check the address with --api; if it is right, the server is broken or of another kind: tell its operator
";
    for (fault, message) in [
        ("token-object", "the API answered 200 without a usable token"),
        ("html=200", "the API answered 200 with a web page: this is not the address of a Nests API"),
        ("huge-body", "the API answered 200 with more than a mebibyte, which no Nests API does"),
        ("empty=200", "the API answered 200 without a body"),
    ] {
        told(fault, 7, "server", Some(200), &format!("error: {message}\n{rest}"));
    }
    let mock = mock(&["other-room"]);
    let output = Nest::new(&mock).args(QUICK).args(["--json"]).run().expect(7);
    let document = output.document();
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the API created a new room "), "{message}");
    assert!(message.ends_with("; your links still point to demo"), "{message}");
    assert!(output.stderr.ends_with("  hint: do not use the new room; tell the server's operator\n"));
}

#[test]
fn trouble_behind_the_api() {
    let rest = |media: &str| {
        format!(
            "  caused by: the trouble is on the server's side
  caused by: /health: the API is up, which says nothing of Redis and LiveKit
  caused by: /guest: there is no audio room, or LiveKit is down
  caused by: ws://MOCK/livekit: {media}
  hint: for the operator: the API's log has the reason; look at Redis and at LiveKit
"
        )
    };
    let first = "error: the restart failed with status";
    let said = "  caused by: the server says: Failed to restart nest\n";
    let dead = "the connection was lost before there was an answer";
    told("livekit-down", 7, "server", Some(500), &format!("{first} 500\n{said}{}", rest(dead)));
    told("status=500", 7, "server", Some(500), &format!("{first} 500\n{said}{}", rest("LiveKit answers")));
    told("html=502", 7, "server", Some(502), &format!("{first} 502\n{}", rest("LiveKit answers")));
    let mock = mock(&["status=503,120s"]);
    let output = Nest::new(&mock).args(QUICK).args(["--max-wait", "1s"]).run().expect(7);
    assert!(output.said(&mock).ends_with("  hint: it asks to try again after hh:mm\n"), "{}", output.stderr);
    assert_eq!(mock.requests(RESTART), 1);
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    told(
        "redirect",
        7,
        "server",
        Some(301),
        "\
error: not restarted: the API redirects to http://MOCK/moved/api/v1/nests/demo/restart, and redirects are not followed
  caused by: following it could turn POST into GET, or hand the signature to somebody else
  hint: give the address that it points to: `nest restart demo --api http://MOCK/moved`
",
    );
    let mock = mock(&["redirect=308"]);
    Nest::new(&mock).args(QUICK).run().expect(7);
    assert_eq!(mock.requests("/api/v1/nests/demo/restart"), 1);
    assert_eq!(mock.requests("/moved/api/v1/nests/demo/restart"), 0, "nothing went after it");
}

#[test]
fn the_address_in_a_redirect_is_taken_from_it_or_not_given_at_all() {
    let give = |api: &str| format!("give the address that it points to: `nest restart demo --api {api}`");
    let moved = |host: &str| format!("if the API has moved to {host}, name its address there with --api");
    let check = "check the address with --api".to_owned();
    for (location, hint) in [
        ("https://nests.example/api/v1/nests/demo/restart", give("https://nests.example")),
        ("https://nests.example:8443/a/b/api/v1/nests/demo/restart", give("https://nests.example:8443/a/b")),
        ("/pre/api/v1/nests/demo/restart", check.clone()),
        ("/pre/api/v1/nests/demo/restart/", check.clone()),
        ("https://nests.example/login", moved("nests.example")),
        ("https://nests.example/api/v1/nests/other/restart", moved("nests.example")),
        ("https://nests.example/api/v1/nests/demo/restart?next=1", moved("nests.example")),
        // Would be refused without --allow-http.
        ("http://nests.example/api/v1/nests/demo/restart", moved("nests.example")),
        ("ftp://nests.example/api/v1/nests/demo/restart", moved("nests.example")),
        // Nobody pastes what a stranger made up for a shell.
        ("https://nests.example/;$(reboot)/api/v1/nests/demo/restart", moved("nests.example")),
        ("https://$(reboot)/api/v1/nests/demo/restart", moved("$(reboot)")),
        ("", check),
    ] {
        let head = if location.is_empty() { String::new() } else { format!("Location: {location}\r\n") };
        let server = Raw::answering(format!("HTTP/1.1 301 Moved\r\n{head}\r\n"));
        // That the old address has a prefix says nothing of the new one.
        let api = format!("{}/pre", server.url());
        let output = Nest::new(&mock(&[])).env("NEST_API", api).args(QUICK).run().expect(7);
        assert!(output.stderr.ends_with(&format!("\n  hint: {hint}\n")), "{location}: {}", output.stderr);
    }
}

#[test]
fn other_refusals_are_the_servers() {
    told(
        "status=418",
        7,
        "server",
        Some(418),
        "\
error: not restarted: the API failed with status 418
  caused by: the server says: I'm a teapot
  hint: check the address with --api; if it is right, the server is broken or of another kind: tell its operator
",
    );
    told(
        "empty=431",
        7,
        "server",
        Some(431),
        "\
error: not restarted: the API failed with status 431
  hint: check the address with --api; if it is right, the server is broken or of another kind: tell its operator
",
    );
}

#[test]
fn nobody_elses_control_characters_reach_a_terminal() {
    for fault in ["status=500", "status=403", "plain-text=429", "html=404", "lost-record"] {
        let mock = mock(&[fault, "control-characters"]);
        for args in [&[][..], &["--json"], &["-vv"]] {
            let output = Nest::new(&mock).args(QUICK).args(args).run();
            let obeyed = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{61c}\u{200b}".contains(c));
            assert!(!output.stdout.contains(obeyed) && !output.stderr.contains(obeyed), "{fault}: {output:?}");
            assert!(!output.stderr.lines().any(|line| line.starts_with("error: forged")), "{fault}: {output:?}");
        }
    }
}

#[test]
fn a_refusal_that_breaks_off_is_still_a_refusal() {
    for (status, code) in [("401 Unauthorized", 4), ("404 Not Found", 6), ("429 Too Many", 11), ("500 Oops", 7)] {
        let cut = format!("HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n{{\"error\":\"Nes");
        let server = Raw::answering(cut);
        let output = Nest::new(&mock(&[])).env("NEST_API", server.url()).args(QUICK).run();
        assert_eq!(output.code, code, "{status}: {output:?}");
        assert!(output.stderr.contains("the server says: {\"error\":\"Nes…\n"), "{status}: {output:?}");
    }
}

#[test]
fn which_404_it_was_is_not_guessed_when_the_rest_is_lost() {
    let rest = "  caused by: the rest of the answer did not arrive, or was too large to read: the nest may be gone or inactive, or this is another address than the API's
  hint: try again in a moment
";
    let restart = "error: not restarted: the API answered 404, and nobody knows what is missing\n";
    let said = "  caused by: the server says: {\"error\":\"Nes…\n";
    nest::at_once(
        &[("half-body", said), ("slow-body=800ms", "  caused by: the server says: {\"…\n"), ("huge-body", "")],
        |(fault, said)| {
            let faults = ["lost-record", *fault];
            let mock = mock(&faults);
            let output = Nest::new(&mock).args(QUICK).run().expect(6);
            assert_eq!(output.said(&mock), format!("{restart}{said}{rest}"), "{fault}");

            mock.set_faults(nest::parse(&[&format!("{fault}@all")]));
            let ask = |args: &[&str]| Nest::new(&mock).without("NEST_KEY").args(args).args(["--timeout", "2s"]).run();
            let calls: [&(dyn Fn() + Sync); 4] = [
                &|| {
                    let check = ask(&["check", "demo"]).expect(6).stderr;
                    assert!(
                        check.starts_with("error: the API answered 404, and nobody knows what is missing\n"),
                        "{fault}: {check}"
                    );
                    assert!(check.ends_with(rest), "{fault}: {check}");
                },
                // Neither does anything else conclude from it.
                &|| {
                    let status = ask(&["status", "demo", "--json"]).document();
                    assert_eq!(status["state"], "unknown", "{fault}: {status}");
                },
                &|| {
                    let doctor = ask(&["doctor", "demo"]).stdout;
                    assert!(!doctor.contains("an old server"), "{fault}: {doctor}");
                },
                &|| drop(Nest::new(&mock).args(QUICK).args(["--if-inactive"]).run().expect(6)),
            ];
            nest::at_once(&calls, |call| call());
            assert_eq!(mock.requests(RESTART), 1, "{fault}: nothing was sent");
        },
    );
    // A length is not the only thing that shows it.
    let server = Raw::answering("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"error\":\"Nes");
    let output = Nest::new(&mock(&[])).env("NEST_API", server.url()).args(QUICK).run().expect(6);
    assert_eq!(output.stderr, format!("{restart}{said}{rest}"));
}

#[test]
fn a_limit_is_told_as_it_was_given() {
    nest::at_once(&["500ms", "1500ms", "2s"], |&timeout| {
        let output = Nest::new(&mock(&["no-answer@all"])).args(["check", "demo", "--timeout", timeout]).run().expect(9);
        let told = timeout.replace("1500ms", "1.5s");
        assert!(output.stderr.contains(&format!("no answer within {told}\n")), "{timeout}: {}", output.stderr);
    });
}

#[test]
fn a_check_is_not_told_of_restarts_and_signatures() {
    let check = |fault: &str| {
        let mock = mock(&[]);
        Nest::new(&mock).args(["restart", "demo"]).run().expect(0);
        mock.set_faults(nest::parse(&[fault]));
        Nest::new(&mock).without("NEST_KEY").args(["check", "demo"]).run()
    };
    let limited = check("rate-limit=0").expect(11).stderr;
    assert!(limited.contains("hint: try again after "), "{limited}");
    assert!(!limited.contains("--max-wait") && !limited.contains("nest restart"), "{limited}");
    let elsewhere = check("redirect@guest").expect(7).stderr;
    assert!(elsewhere.contains(": `nest check demo --api http"), "{elsewhere}");
    let unsigned = check("status=401@guest").expect(4).stderr;
    assert!(unsigned.starts_with("error: the API wants a signature where guests need none\n"), "{unsigned}");
    assert!(!unsigned.contains("rejected") && !unsigned.contains("signed was"), "{unsigned}");
    // The same before a restart, and when a token is fetched.
    let mock = mock(&["status=401@guest"]);
    let looked = Nest::new(&mock).args(["restart", "demo", "--if-inactive"]).run().expect(4).stderr;
    assert!(looked.starts_with("error: not restarted: the API wants a signature where guests need none\n"), "{looked}");
    mock.set_faults(nest::parse(&["rate-limit=0"]));
    let token = Nest::new(&mock).args(["token", "demo", "--retries", "0"]).run().expect(11).stderr;
    assert!(token.contains("or let it wait: `nest token demo --max-wait "), "{token}");
}

/// `nest serve` says what is down behind it: nobody has to look at everything.
#[test]
fn what_the_server_says_is_down_is_named() {
    for (redis, media_server, down) in [
        ("down", "up", "Redis is down"),
        ("up", "down", "LiveKit is down"),
        ("down", "down", "Redis and LiveKit are down"),
    ] {
        let api = Raw::with(move |_, head| {
            let health = json!({ "status": "unhealthy", "redis": redis, "mediaServer": media_server });
            let unavailable = json!({ "error": "Service unavailable" });
            let body = if head.starts_with("GET /health ") { health } else { unavailable }.to_string();
            let length = body.len();
            format!("HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        });
        let ask = |args: &[&str]| {
            let key = Keys::generate().secret_key().to_secret_hex();
            Nest::alone().env("NEST_KEY", key).env("NEST_API", api.url()).args(args).run()
        };
        let hint = format!("for the operator: {down}; ");
        let restart = ask(&QUICK).expect(7).stderr;
        assert!(restart.contains(&format!("caused by: /health: {down}\n")), "{restart}");
        for said in [restart, ask(&["check", "demo"]).expect(7).stderr] {
            assert!(said.contains(&hint) && !said.contains("look at Redis and at LiveKit"), "{said}");
        }
        let doctor = ask(&["doctor", "demo", "--json"]).expect(10).document();
        assert!(doctor["next"].as_str().unwrap().starts_with(&hint), "{doctor}");
        let mut steps = doctor["steps"].as_array().unwrap().iter();
        assert_eq!(steps.find(|step| step["status"] == "failed").unwrap()["name"], "api", "{doctor}");
    }
}

/// A signature is never sent in the clear because somebody has left out a scheme.
#[test]
fn a_server_without_a_scheme_means_https() {
    let mock = mock(&[]);
    for host in [mock.address().to_string(), format!(" {}/ ", mock.address())] {
        let output =
            Nest::new(&mock).without("NEST_API").args(["restart", "demo", "--api", &host, "--json"]).run().expect(8);
        assert!(output.stderr.contains("TLS: "), "{output:?}");
        assert_eq!(mock.all_requests(), 0);
    }
    let config = Nest::new(&mock).without("NEST_API").file(".config/nest/config.toml", "api = 'nests.invalid'", 0o600);
    let output = config.args(["restart", "demo", "--dry-run"]).run().expect(0);
    assert!(output.stdout.contains("https://nests.invalid/api/v1/nests/demo/restart"), "{output:?}");
    Nest::new(&mock).without("NEST_API").args(["restart", "demo", "--api", "ftp://x"]).run().expect(2);
}
