//! No secret is printed where nothing is sent: without a connection, without a usable key.

use nostr::nips::nip19::ToBech32 as _;
use nostr::nips::nip49::{EncryptedSecretKey, KeySecurity};

use crate::support::nest::{self, Nest, mock};
use crate::support::port;
use crate::support::raw::Raw;
use crate::support::secrets::{PASSPHRASE, PASSWORD, Secrets, secret_arguments, tokens};
use crate::support::tls::{self, Authority};

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
fn no_way_to_the_api_makes_it_talk() {
    let (mock, authority) = (mock(&[]), Authority::new());
    let front = |name, years| format!("https://localhost:{}", authority.front(name, years, mock.address()));
    let refused = format!("127.0.0.1:{}", port::reserved());
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
            let call = call.args(args).args(ca).args(["-vv", "--retries", "1", "--timeout", "20s"]);
            silent(call, 8, why, &format!("{context} {args:?}"), &secrets);
        }
    });
    assert_eq!(mock.all_requests(), 0, "nothing was sent");
}

#[test]
fn no_key_that_cannot_be_had_or_is_in_the_wrong_place_is_told() {
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
    let sealed = ["restart", "demo", "--key-file", &sealed].map(str::to_owned).to_vec();
    for args in secret_arguments(&nsec).into_iter().chain([sealed]) {
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
