//! The page of a nest without a browser: what the server writes.

use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{Nip19Coordinate, ToBech32 as _};
use nostr::{Keys, Kind, PublicKey, RelayUrl};
use nostr_nests::room::ROOM_KIND;
use nostr_nests::server::{DEMO, Mock, Options};
use reqwest::Method;

use crate::support::nest::{mock, parse};
use crate::support::nests_api::{client, signed};
use crate::support::serve::Reply;
use crate::support::signal::Signal;

async fn page(mock: &Mock, room: &str) -> Reply {
    Reply::of(client().get(format!("{}/n/{room}", mock.api())).send().await.unwrap()).await
}

async fn restart(mock: &Mock) -> String {
    let url = format!("{}/api/v1/nests/{DEMO}/restart", mock.api());
    let answer = signed(mock.host(), Method::POST, &url, None).send().await.unwrap();
    Reply::of(answer).await.expect(200).json()["token"].as_str().unwrap().to_owned()
}

fn naddr(host: PublicKey, d: &str, relays: &[&str]) -> String {
    let coordinate = Coordinate::new(Kind::from(ROOM_KIND), host).identifier(d);
    let relays = relays.iter().map(|url| RelayUrl::parse(url).unwrap()).collect();
    Nip19Coordinate { coordinate, relays }.to_bech32().unwrap()
}

/// What stands between this and the next tag.
fn after<'a>(page: &'a str, start: &str) -> &'a str {
    let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("no {start} in {page}"));
    rest.split('<').next().unwrap()
}

fn headline(page: &Reply) -> &str {
    after(&page.text, r#"<h2 id="what" aria-live="polite">"#)
}

#[tokio::test]
async fn it_says_how_the_nest_is() {
    let mock = mock(&[]);
    let dead = page(&mock, DEMO).await.expect(200);
    assert_eq!(headline(&dead), "Not running");
    assert!(dead.text.contains(r#"data-state="inactive""#) && dead.text.contains("There is no need to reload"));

    let token = restart(&mock).await;
    let sid = mock.room(DEMO).unwrap().sid;
    let empty = page(&mock, DEMO).await.expect(200);
    assert_eq!(headline(&empty), "Open · nobody inside");
    assert!(empty.text.contains(&format!(r#"data-sid="{sid}" data-departure="60""#)), "{}", empty.text);
    assert!(!empty.text.contains("There is no need to reload"), "{}", empty.text);
    let _inside = Signal::join(mock.livekit(), &token).await.unwrap();
    assert_eq!(headline(&page(&mock, DEMO).await), "Open · 1 person inside");
    let _other = Signal::join(mock.livekit(), &guest(&mock).await).await.unwrap();
    assert_eq!(headline(&page(&mock, DEMO).await), "Open · 2 people inside");

    for (fault, status, says) in [
        ("livekit-down", 503, "Not running: the media server is down"),
        // Its audio room is there all the same.
        ("lost-record", 200, "Open · 2 people inside"),
    ] {
        mock.set_faults(parse(&[fault]));
        assert_eq!(headline(&page(&mock, DEMO).await.expect(status)), says, "{fault}");
    }
    assert_eq!(page(&mock, DEMO).await.header("retry-after"), "");
    mock.set_faults(parse(&["livekit-down"]));
    assert_eq!(page(&mock, DEMO).await.header("retry-after"), "2");

    mock.set_faults(Vec::new());
    let gone = page(&mock, "no-such-nest").await.expect(404);
    assert_eq!(headline(&gone), "The server no longer has this nest");
    assert!(gone.text.contains("records live 24 h"), "{}", gone.text);
    let none = page(&mock, "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9").await.expect(404);
    assert_eq!(headline(&none), "This link names no nest");
}

async fn guest(mock: &Mock) -> String {
    let guest = client().get(format!("{}/api/v1/nests/{DEMO}/guest", mock.api())).send().await.unwrap();
    Reply::of(guest).await.json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_may_be_an_naddr() {
    let mock =
        Mock::start(Options { web_client: Some("https://client.example/".into()), ..Options::default() }).unwrap();
    let (host, stranger) = (mock.host().public_key(), Keys::generate().public_key());
    let own = naddr(host, DEMO, &[&mock.relay()]);
    let found = page(&mock, &own).await.expect(200);
    assert_eq!(headline(&found), "Not running");
    let command = after(&found.text, r#"<code id="command">"#);
    assert_eq!(command, format!("nest restart {own} --api {}", mock.api()));
    assert!(found.text.contains(&format!(r#"href="https://client.example/{own}""#)), "{}", found.text);
    assert!(found.text.contains(&format!(r#"href="nostr:{}""#, host.to_bech32().unwrap())), "{}", found.text);
    // A nest of this name, and of somebody else, is another one.
    let other = page(&mock, &naddr(stranger, DEMO, &[])).await.expect(404);
    assert!(other.text.contains(&stranger.to_hex()) && !other.text.contains(&host.to_hex()), "{}", other.text);
    // Nor does its audio room belong to that link.
    restart(&mock).await;
    page(&mock, &naddr(stranger, DEMO, &[])).await.expect(404);
    let wrong_kind =
        Nip19Coordinate { coordinate: Coordinate::new(Kind::from(30311), host).identifier(DEMO), relays: Vec::new() };
    let wrong_kind = page(&mock, &wrong_kind.to_bech32().unwrap()).await.expect(404);
    assert!(wrong_kind.text.contains("an event of kind 30311"), "{}", wrong_kind.text);
}

/// Ids and links are written by strangers.
#[tokio::test]
async fn what_strangers_write_is_only_shown() {
    let mock = mock(&[]);
    for id in [
        "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%3Cimg%20src=x%20onerror=alert(1)%3E",
        "'%22%20onmouseover=%22x",
        "a%00b%0d%0aset-cookie:%20x=y",
        "%7B%7Bhost%7D%7D%7Broom%7D",
        "%E2%80%AEevil",
        "https:%2F%2Fevil.example%2F%3Cscript%3E",
        "30312:%3Cscript%3E:x",
        "naddr1%3Cscript%3E",
    ] {
        let page = page(&mock, id).await.expect(404);
        for bad in ["<script>", "<img", "\" onmouseover", "\u{202e}", "\0", "\r"] {
            assert!(!page.text.contains(bad), "{id}: {bad:?} in {}", page.text);
        }
        assert_eq!(page.text.matches("<script").count(), 1, "{id}: {}", page.text);
        assert!(page.headers.get("set-cookie").is_none());
        assert!(page.headers.values().all(|value| !value.to_str().unwrap().contains("script>")), "{:?}", page.headers);
    }
    // Names in braces are not filled in once more.
    assert!(page(&mock, "%7B%7Bapi%7D%7D").await.text.contains("Nest {{api}}"));
    // Not one that could write into the policy.
    let odd = naddr(
        Keys::generate().public_key(),
        "x",
        &["wss://a;sandbox", "wss://ok.example/path", "ws://plain.example:81"],
    );
    let odd = page(&mock, &odd).await;
    let policy = odd.header("content-security-policy");
    assert!(policy.contains("connect-src 'self' wss://ok.example ws://plain.example:81;"), "{policy}");
    assert!(!policy.contains("sandbox"), "{policy}");
}

#[tokio::test]
async fn it_is_strict_and_small() {
    let mock = mock(&[]);
    let html = page(&mock, DEMO).await;
    let policy = html.header("content-security-policy").to_owned();
    for part in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!((html.header("x-content-type-options"), html.header("referrer-policy")), ("nosniff", "no-referrer"));
    assert!(!html.text.contains(" style=") && !html.text.contains("onclick"), "{}", html.text);
    let mut size = html.text.len();
    for (kind, attribute) in [("text/css; charset=utf-8", "href=\"-/"), ("text/javascript; charset=utf-8", "src=\"-/")]
    {
        let file = html.text.split_once(attribute).unwrap().1.split('"').next().unwrap();
        let file = page(&mock, &format!("-/{file}")).await.expect(200);
        assert_eq!(file.header("content-type"), kind);
        assert!(file.header("cache-control").contains("immutable"));
        size += file.text.len();
    }
    assert!(size < 40 * 1024, "{size}");
    let head = client().head(format!("{}/n/{DEMO}", mock.api())).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], html.text.len().to_string().as_str());
    assert_eq!(head.bytes().await.unwrap(), "");
    // Nowhere else.
    for path in ["", "/", "/demo/", "/-/other", "/demo/restart"] {
        let nowhere = client().get(format!("{}/n{path}", mock.api())).send().await.unwrap();
        assert_eq!(Reply::of(nowhere).await.expect(404).json()["error"], "Endpoint not found", "{path}");
    }
    let posted = client().post(format!("{}/n/{DEMO}", mock.api())).send().await.unwrap();
    Reply::of(posted).await.expect(404);
}

#[tokio::test]
async fn it_can_be_left_out() {
    let mock = Mock::start(Options { page: false, ..Options::default() }).unwrap();
    for path in [DEMO, "-/page.js", "-/page.css"] {
        assert_eq!(page(&mock, path).await.expect(404).json()["error"], "Endpoint not found");
    }
}
