//! Failures to reach the API: which layer failed, what was tried, whose certificate, which proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use nostr_nests::server::{Mock, Options};

use crate::support::nest::{self, Nest, Output, mock};
use crate::support::port;
use crate::support::raw::Raw;
use crate::support::tls::{self, Authority, NOW};

/// One attempt at this API.
fn restart(mock: &Mock, api: &str, env: &[(&str, &str)], args: &[&str]) -> Output {
    let call = Nest::new(mock).env("NEST_API", api);
    let call = env.iter().fold(call, |call, (name, value)| call.env(name, *value));
    call.args(["restart", "demo", "--retries", "0", "--timeout", "20s"]).args(args).run()
}

/// Nobody was reached: 8, one clear message, nothing on stdout.
#[track_caller]
fn told(api: &str, env: &[(&str, &str)], stderr: &str) {
    let mock = mock(&[]);
    let output = restart(&mock, api, env, &[]).expect(8);
    assert_eq!((output.stderr.as_str(), output.stdout.as_str()), (stderr, ""), "{api}");
    let document = restart(&mock, api, env, &["--json"]).expect(8).document();
    assert_eq!(document["error"]["kind"], "unreachable");
    assert!(document["error"].get("status").is_none());
}

#[test]
fn the_name_has_no_address() {
    // The second can be no name: a label has at most 63 letters.
    for host in ["nests.invalid".to_owned(), format!("{}.example", "a".repeat(64))] {
        told(
            &format!("https://{host}"),
            &[],
            &format!(
                "error: cannot reach {host}:443; nothing was sent
  caused by: DNS: its name has no address
  hint: check the spelling of {host}, and that this machine is online\n"
            ),
        );
    }
}

#[test]
fn nobody_listens() {
    let port = port::reserved();
    told(
        &format!("http://127.0.0.1:{port}"),
        &[],
        &format!(
            "error: cannot reach 127.0.0.1:{port}; nothing was sent
  caused by: TCP: nobody listens there: connection refused
  hint: the server is down, or a firewall is in between: `curl -v http://127.0.0.1:{port}/health`\n"
        ),
    );
    let output = restart(&mock(&[]), &format!("https://localhost:{port}"), &[], &[]).expect(8);
    assert!(output.stderr.contains("connection refused (tried 127.0.0.1"), "the address is told: {}", output.stderr);
}

#[test]
fn the_certificate_has_expired_or_is_not_valid_yet() {
    let (mock, authority) = (mock(&[]), Authority::new());
    let port = authority.front("localhost", (2020, 2024), mock.address());
    let stderr = restart(&mock, &format!("https://localhost:{port}"), &[], &[]).expect(8).stderr;
    let (first, rest) = stderr.split_once(" (").unwrap();
    assert_eq!(
        first,
        format!(
            "error: cannot reach localhost:{port}; nothing was sent\n  \
             caused by: TLS: its certificate expired on 2024-01-01"
        )
    );
    let (_, rest) = rest.split_once(" days ago)").unwrap();
    assert!(rest.starts_with("; it was issued by \"Home CA\" (tried 127.0.0.1"), "{rest}");
    assert!(
        rest.ends_with("\n  hint: for the operator: renew it. If the date here is wrong: `timedatectl set-ntp true`\n")
    );

    let port = authority.front("localhost", (2090, 2099), mock.address());
    let stderr = restart(&mock, &format!("https://localhost:{port}"), &[], &[]).expect(8).stderr;
    assert!(stderr.contains("TLS: its certificate begins on 2090-01-01, and the clock here says 20"), "{stderr}");
}

#[test]
fn the_certificate_is_for_somebody_else() {
    let (mock, authority) = (mock(&[]), Authority::new());
    let port = authority.front("nests.example", NOW, mock.address());
    let cacert = pem(&authority);
    let output = restart(&mock, &format!("https://127.0.0.1:{port}"), &[], &["--cacert", path(&cacert)]).expect(8);
    assert_eq!(
        output.stderr,
        format!(
            "error: cannot reach 127.0.0.1:{port}; nothing was sent
  caused by: TLS: its certificate is for nests.example, not for 127.0.0.1; it was issued by \"Home CA\"
  hint: give the API by a name that is in the certificate: --api https://…\n"
        )
    );
    assert_eq!(mock.all_requests(), 0);
}

#[test]
fn a_private_authority_is_named_and_can_be_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = Authority::new();
    let port = authority.front("127.0.0.1", NOW, listener.local_addr().unwrap());
    let api = format!("https://127.0.0.1:{port}");
    let options = Options { public_origin: Some(api.clone()), ..Options::default() };
    let mock = Mock::on(listener, options).unwrap();
    let output = restart(&mock, &api, &[], &[]).expect(8);
    assert_eq!(
        output.stderr,
        format!(
            "error: cannot reach 127.0.0.1:{port}; nothing was sent
  caused by: TLS: its certificate was issued by \"Home CA\", which is not trusted here
  hint: for a private CA, or a proxy that opens TLS, name its certificate: --cacert PATH\n"
        )
    );
    let cacert = pem(&authority);
    restart(&mock, &api, &[], &["--cacert", path(&cacert)]).expect(0);
    restart(&mock, &api, &[("SSL_CERT_FILE", path(&cacert))], &[]).expect(0);
    // The server's time is believed over TLS.
    mock.set_faults(nest::parse(&["clock=+5m"]));
    let output = restart(&mock, &api, &[], &["--cacert", path(&cacert)]).expect(0);
    assert!(output.stderr.starts_with("warning: your clock is 5 min behind the server's"), "{}", output.stderr);

    let port = tls::self_signed("127.0.0.1", mock.address());
    let stderr = restart(&mock, &format!("https://127.0.0.1:{port}"), &[], &[]).expect(8).stderr;
    assert!(stderr.contains("TLS: its certificate is signed by itself, and"), "{stderr}");
}

#[test]
fn plain_http_where_tls_was_expected() {
    let mock = mock(&[]);
    let address = mock.address();
    told(
        &format!("https://{address}"),
        &[],
        &format!(
            "error: cannot reach {address}; nothing was sent
  caused by: TLS: it does not speak TLS
  hint: in a network that you trust: --api http://{address} --allow-http\n"
        ),
    );
}

#[test]
fn a_proxy_that_is_not_there() {
    let port = port::reserved();
    let proxy = format!("http://me:hunter2@127.0.0.1:{port}");
    for variable in ["HTTPS_PROXY", "ALL_PROXY", "https_proxy"] {
        told(
            "https://nests.example",
            &[(variable, &proxy)],
            &format!(
                "error: cannot reach nests.example:443; nothing was sent
  caused by: the way leads through the proxy 127.0.0.1:{port} ({variable}), and that failed: nobody listens there: connection refused
  hint: correct {variable}, or unset it, or go around the proxy: NO_PROXY=nests.example\n"
            ),
        );
    }
    // Around it, and nobody blames it.
    let env = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "nests.invalid")];
    let stderr = restart(&mock(&[]), "https://nests.invalid", &env, &[]).expect(8).stderr;
    assert!(stderr.contains("DNS: ") && !stderr.contains("proxy"), "{stderr}");
}

#[test]
fn a_proxy_that_refuses() {
    for (answer, why) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "it wants a user name and a password"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "it refuses to connect there"),
    ] {
        let proxy = Raw::answering(answer);
        let host = proxy.url().replace("http://", "");
        told(
            "https://nests.example",
            &[("HTTPS_PROXY", &proxy.url())],
            &format!(
                "error: cannot reach nests.example:443; nothing was sent
  caused by: the way leads through the proxy {host} (HTTPS_PROXY), and that failed: {why}
  hint: correct HTTPS_PROXY, or unset it, or go around the proxy: NO_PROXY=nests.example\n"
            ),
        );
    }
}

#[test]
fn a_proxy_that_opens_tls_is_named_with_its_authority() {
    let (mock, authority) = (mock(&[]), Authority::new());
    let port = authority.front("nests.example", NOW, mock.address());
    let proxy = tls::proxy(([127, 0, 0, 1], port).into());
    told(
        "https://nests.example",
        &[("HTTPS_PROXY", &format!("http://127.0.0.1:{proxy}"))],
        &format!(
            "error: cannot reach nests.example:443; nothing was sent
  caused by: TLS: its certificate was issued by \"Home CA\", which is not trusted here
  caused by: the connection went through the proxy 127.0.0.1:{proxy} (HTTPS_PROXY)
  hint: for a private CA, or a proxy that opens TLS, name its certificate: --cacert PATH\n"
        ),
    );
}

#[test]
fn loopback_never_goes_through_a_proxy() {
    let mock = mock(&[]);
    let proxy = format!("http://127.0.0.1:{}", port::reserved());
    restart(&mock, &mock.api(), &[("http_proxy", &proxy), ("ALL_PROXY", &proxy)], &["--check"]).expect(0);
}

#[test]
fn what_was_never_connected_is_tried_again() {
    // Refused at first, there at the second attempt.
    let port = port::reserved();
    let (mut command, _home) = Nest::new(&mock(&[]))
        .env("NEST_API", format!("http://127.0.0.1:{port}"))
        .args(["restart", "demo", "--retries", "3", "-v"])
        .into_parts();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("next attempt in") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    let _ = stream.read(&mut [0; 4096]).unwrap();
    stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6));
}

fn pem(authority: &Authority) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &authority.pem).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// It said `CaUsedAsEndEntity`, and no `--cacert` helped.
#[test]
fn the_certificate_that_openssl_makes_is_trusted_once_it_was_given() {
    let mock = mock(&[]);
    let restart = |port: u16, given: &str| {
        let nest = Nest::new(&mock).file("server.pem", given, 0o644);
        let api = format!("https://127.0.0.1:{port}");
        let nest = nest.args(["restart", "demo", "--api", &api, "--retries", "0"]);
        if given.is_empty() { nest.run() } else { nest.args(["--cacert", "server.pem"]).run() }
    };
    let (_, other) = tls::own(&["127.0.0.1"], tls::NOW, mock.address());
    for names in [&["127.0.0.1"][..], &[]] {
        let (port, pem) = tls::own(names, tls::NOW, mock.address());
        // It is heard: behind this TLS, the server knows itself by another address.
        restart(port, &pem).expect(4);
        for given in ["", &other] {
            let stderr = restart(port, given).expect(8).stderr;
            assert!(stderr.contains("its certificate is signed by itself"), "{stderr}");
            assert!(stderr.contains("the very certificate that it shows") && stderr.contains("--cacert"), "{stderr}");
        }
    }
    for (names, years, why) in [
        (["elsewhere.example"], tls::NOW, "its certificate is for elsewhere.example, not for 127.0.0.1"),
        (["127.0.0.1"], (2000, 2001), "its certificate expired on 2001-01-01"),
        (["127.0.0.1"], (2098, 2099), "its certificate begins on 2098-01-01"),
    ] {
        let (port, pem) = tls::own(&names, years, mock.address());
        let stderr = restart(port, &pem).expect(8).stderr;
        assert!(stderr.contains(why), "{stderr}");
    }
}
