//! Audio between two network namespaces: what firewalls, wrong addresses and relays do to it.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use nostr_nests::livekit::Transport;
use nostr_nests::livekit::check::Check;
use nostr_nests::livekit::report::{CheckReport, Verdict};
use nostr_nests::net::tls;
use nostr_nests::report::Status;

use crate::support::check::{certificate, check, report_with, step, token};
use crate::support::livekit::{LiveKit, Spec};
use crate::support::netns::{CLIENT, Namespaces, SERVER};

const NODE_IP: &str = ", node_ip: 10.77.0.1";

fn told(report: &CheckReport, status: Status, text: &str) {
    let found = step(report, "media");
    assert!(found.status == status && found.detail.contains(text), "{found:?}");
}

fn spec(net: &Namespaces, rtc: &str) -> Spec<'static> {
    // The server outlives no test.
    let namespace: &'static str = net.server.clone().leak();
    Spec { namespace: Some(namespace), ip: SERVER, rtc: rtc.into(), ..Spec::default() }
}

/// Starts a server, does `before` with its ports, and checks, trusting `root`.
fn checked(
    net: &Namespaces,
    spec: &Spec<'_>,
    transport: Option<Transport>,
    root: Option<rustls::pki_types::CertificateDer<'static>>,
    before: impl FnOnce(&LiveKit) + Send,
) -> CheckReport {
    net.as_client(async || {
        let server = LiveKit::start_as(spec);
        server.create("demo", 60).await;
        before(&server);
        let guest = token("demo", "guest-1");
        let candidates = server.candidates();
        let timeout = Duration::from_secs(20);
        let request = Check { signal_only: false, transport, timeout, ..check("demo", &guest, &candidates) };
        let roots: Vec<_> = root.into_iter().collect();
        let report = report_with(&request, &tls::client_config(&roots)).await;
        println!("joined after {:?}, media after {:?}", report.joined_after, report.media_after);
        assert_eq!(server.settled("demo", 0).await, 0, "the check has left");
        report
    })
}

#[test]
#[ignore = "needs network namespaces"]
fn straight() {
    let net = Namespaces::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let report = checked(&net, &spec(&net, NODE_IP), Some(transport), None, |_| {});
        let media = report.media.as_ref().unwrap();
        assert_eq!(media.protocol, transport);
        assert!(media.local.starts_with(CLIENT) && media.remote.starts_with(SERVER), "{media:?}");
    }
}

#[test]
#[ignore = "needs network namespaces"]
fn udp_blocked() {
    let net = Namespaces::new();
    net.firewall("-A OUTPUT -p udp -j DROP");
    let report = checked(&net, &spec(&net, NODE_IP), None, None, |_| {});
    assert_eq!(report.verdict, Verdict::Joinable);
    told(&report, Status::Warned, "UDP blocked, TCP works: 10.77.0.2:");
    assert!(step(&report, "media").hint.as_ref().unwrap().contains("open UDP"));
    assert_eq!(report.media.unwrap().protocol, Transport::Tcp);
}

/// Other programs here have ports that we would take: that says nothing of the nest.
#[test]
#[ignore = "needs network namespaces"]
fn ports_that_others_have() {
    let net = Namespaces::new();
    let spec = spec(&net, NODE_IP);
    let none = "This machine opened no audio connection: io error: Address already in use (os error 98)";
    for (every, rounds, status, text) in [(3, 8, Status::Passed, "by UDP"), (1, 1, Status::NotChecked, none)] {
        let mut others = Vec::new();
        for _ in 0..rounds {
            let report = checked(&net, &spec, Some(Transport::Udp), None, |_| {
                std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40063").unwrap();
                // At an address that the check does not use.
                let ports = (40000..40064).step_by(every);
                others.extend(ports.filter_map(|port| UdpSocket::bind(("127.0.0.2", port)).ok()));
            });
            told(&report, status, text);
            assert_eq!(report.verdict, Verdict::Joinable);
        }
    }
}

/// The same, without any way round.
#[test]
#[ignore = "needs network namespaces"]
fn udp_and_tcp_blocked() {
    let net = Namespaces::new();
    net.firewall("-A OUTPUT -p udp -j DROP");
    let mut ports = (0, 0);
    let report = checked(&net, &spec(&net, NODE_IP), None, None, |server| {
        ports = (server.udp, server.tcp);
        net.firewall(&format!("-A OUTPUT -p tcp --dport {} -j REJECT --reject-with tcp-reset", server.tcp));
    });
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(&report, Status::Failed, "Signal works, but sound does not get through: ");
    told(&report, Status::Failed, &format!("UDP blocked (10.77.0.1:{} does not answer)", ports.0));
    told(&report, Status::Failed, &format!("TCP blocked (10.77.0.1:{}: connection refused)", ports.1));
    assert!(step(&report, "media").hint.as_ref().unwrap().contains("open UDP 50000-60000"));
    assert_eq!(report.media, None);
}

/// The server tells the world addresses that are not its own.
#[test]
#[ignore = "needs network namespaces"]
fn wrong_addresses_are_named() {
    for (node_ip, named) in
        [("127.0.0.1", ", an address that means the caller's own machine"), ("203.0.113.77", " does not answer")]
    {
        let net = Namespaces::new();
        net.default_route();
        // A router would not let the server call us either.
        net.firewall("-A INPUT -p udp -m conntrack --ctstate NEW -j DROP");
        let rtc = format!(", node_ip: {node_ip}");
        let mut here = None;
        let report = checked(&net, &spec(&net, &rtc), Some(Transport::Udp), None, |server| {
            here = Some(UdpSocket::bind(("127.0.0.1", server.udp)).unwrap());
        });
        let here = here.unwrap();
        here.set_nonblocking(true).unwrap();
        assert!(here.recv(&mut [0; 1500]).is_err(), "a server elsewhere has made us call ourselves");
        assert_eq!(report.verdict, Verdict::Unhealthy);
        told(&report, Status::Failed, &format!("UDP blocked ({node_ip}:"));
        told(&report, Status::Failed, named);
        assert!(step(&report, "media").hint.as_ref().unwrap().contains("rtc.node_ip"));
    }
    let net = Namespaces::new();
    net.firewall("-A INPUT -p udp -m conntrack --ctstate NEW -j DROP");
    let report = checked(&net, &spec(&net, ", node_ip: 203.0.113.77"), Some(Transport::Udp), None, |_| {});
    told(&report, Status::Failed, ", to which there is no way from here");
}

/// `turn` as LiveKit has it, its TLS on 443.
fn turn(folder: &std::path::Path) -> (String, rustls::pki_types::CertificateDer<'static>) {
    let ((chain, key), root) = certificate(SERVER, -1..9);
    let pem = |label: &str, der: &[u8]| {
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert_file, pem("CERTIFICATE", &chain[0])).unwrap();
    std::fs::write(&key_file, pem("PRIVATE KEY", key.secret_der())).unwrap();
    let text = format!(
        "turn: {{enabled: true, domain: {SERVER}, udp_port: 3478, tls_port: 443, cert_file: {}, key_file: {}, \
         relay_range_start: 30000, relay_range_end: 30050, allow_restricted_peer_cidrs: [\"10.77.0.0/24\"]}}\n",
        cert_file.display(),
        key_file.display()
    );
    (text, root)
}

#[test]
#[ignore = "needs network namespaces"]
fn through_a_relay() {
    let folder = tempfile::tempdir().unwrap();
    let (more, root) = turn(folder.path());
    let net = Namespaces::new();
    let with_turn = Spec { more, ..spec(&net, NODE_IP) };

    let report = checked(&net, &with_turn.clone(), Some(Transport::Relay), None, |_| {});
    assert_eq!(report.media.as_ref().unwrap().protocol, Transport::Relay);
    told(&report, Status::Passed, "by a relay, through turn:10.77.0.1:3478?transport=udp: 10.77.0.1:");

    let report = checked(&net, &with_turn.clone(), None, None, |_| {});
    assert_eq!(report.media.as_ref().unwrap().protocol, Transport::Udp, "a relay is for those who need it");

    // TLS alone, as on networks that let only the web through.
    net.firewall("-A OUTPUT -p udp -o eth0 -j DROP");
    let report = checked(&net, &with_turn.clone(), Some(Transport::Relay), Some(root.clone()), |_| {});
    told(&report, Status::Warned, "by a relay, through turns:10.77.0.1:443?transport=tcp: 10.77.0.1:");
    told(&report, Status::Warned, "turn:10.77.0.1:3478?transport=udp does not work: ");

    let report = checked(&net, &with_turn.clone(), None, Some(root), |server| {
        net.firewall(&format!("-A OUTPUT -p tcp --dport {} -j DROP", server.tcp));
    });
    assert_eq!(report.verdict, Verdict::Joinable);
    told(&report, Status::Warned, "UDP and TCP blocked, a relay works, through turns:10.77.0.1:443");

    // A certificate that nobody vouches for.
    let report = checked(&net, &with_turn, Some(Transport::Relay), None, |_| {});
    assert_eq!(report.verdict, Verdict::Unhealthy);
    told(
        &report,
        Status::Failed,
        "turns:10.77.0.1:443?transport=tcp does not work: its certificate was issued by \"Test CA\"",
    );
}

/// An address that swallows everything: the connection has ten seconds, whatever the whole may take.
#[test]
#[ignore = "needs network namespaces"]
fn a_connection_has_ten_seconds() {
    let net = Namespaces::new();
    net.firewall("-A OUTPUT -p tcp -j DROP");
    let api = format!("https://{SERVER}");
    let started = Instant::now();
    let output = Command::new("ip")
        .args(["netns", "exec", &net.client, env!("CARGO_BIN_EXE_nest"), "restart", "demo"])
        .args(["--api", &api, "--key-file", "-", "--retries", "0", "--timeout", "25s", "--json"])
        .stdin(key())
        .output()
        .unwrap();
    let took = started.elapsed();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["error"]["kind"]), (Some(8), &"unreachable".into()), "{document}");
    assert!((Duration::from_secs(10)..Duration::from_secs(20)).contains(&took), "{took:?}: {document}");
}

/// A host's key in an open file.
fn key() -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(nostr::Keys::generate().secret_key().to_secret_hex().as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}
