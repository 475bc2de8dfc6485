//! What clients know of the Nests API: the same for both servers, whatever they stand on.

use std::net::{IpAddr, Ipv4Addr};

use nostr::Keys;
use reqwest::Method;
use serde_json::{Value, json};

use super::nests_api::{Draft, claims, client, client_at};
use super::serve::Reply;

/// A server of the Nests API.
pub struct Subject {
    /// Where it listens.
    pub origin: String,
    /// What clients sign in place of that.
    pub public: String,
    /// Whether it does as upstream: promises an HLS stream, and does not say which room a restart has made.
    pub mimics_upstream: bool,
}

impl Subject {
    async fn send(&self, method: Method, path: &str, header: Option<String>, body: String) -> Reply {
        let mut request = client().request(method, format!("{}{path}", self.origin)).body(body);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        Reply::of(request.send().await.unwrap()).await
    }

    async fn signed(&self, keys: &Keys, method: &str, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let header = Draft::new(method, &format!("{}{path}", self.public), body.as_bytes()).header(keys);
        self.send(method.parse().unwrap(), path, Some(header), body).await
    }

    async fn unsigned(&self, method: &str, path: &str) -> Reply {
        self.send(method.parse().unwrap(), path, None, String::new()).await
    }
}

const NESTS: &str = "/api/v1/nests";

#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!((reply.status, reply.json()["error"].as_str().unwrap()), (status, error));
}

/// The life of a nest, and on the way everything that is refused.
pub async fn contract(server: &Subject) {
    routes(server).await;
    let (host, speaker) = (Keys::generate(), Keys::generate());
    let id = creation(server, &host).await;
    let path = |rest: &str| format!("{NESTS}/{id}{rest}");
    let call = async |keys, method, rest| server.signed(keys, method, &path(rest), None).await;
    let permit = async |keys, body| server.signed(keys, "POST", &path("/permissions"), Some(body)).await;
    let token = async |keys| {
        let reply = call(keys, "GET", "").await.expect(200).json();
        claims(reply["token"].as_str().unwrap())
    };

    // The signature comes before the record, the record before the rights.
    refused(&server.unsigned("POST", &path("/restart")).await, 401, "Missing Authorization header");
    let nowhere = format!("{NESTS}/nowhere");
    refused(&server.signed(&speaker, "POST", &format!("{nowhere}/restart"), None).await, 404, "Nest not found");
    refused(&server.unsigned("GET", &format!("{nowhere}/info")).await, 404, "Nest not found");
    let guests = server.unsigned("GET", &format!("{nowhere}/guest")).await;
    refused(&guests, 404, "Nest not found or no longer active");
    refused(&call(&speaker, "POST", "/restart").await, 403, "Only the host can restart the nest");
    refused(&call(&speaker, "DELETE", "").await, 403, "Only the host can delete the nest");

    // What a guest, a stranger, a speaker, an admin and the host are allowed.
    let guest = server.unsigned("GET", &path("/guest")).await.expect(200).json();
    let guest = claims(guest["token"].as_str().unwrap());
    assert!(guest["sub"].as_str().unwrap().starts_with("guest-"), "{guest}");
    assert_eq!((&guest["video"]["canPublish"], &guest["video"]["room"]), (&json!(false), &json!(id)));
    assert_eq!(token(&speaker).await["video"]["canPublish"], false);
    let participant = speaker.public_key().to_hex();
    let may_speak = json!({ "participant": participant, "can_publish": true });
    permit(&speaker, may_speak.clone()).await.expect(403);
    permit(&host, may_speak.clone()).await.expect(201);
    permit(&host, may_speak).await.expect(204);
    let allowed = token(&speaker).await;
    assert_eq!((&allowed["video"]["canPublish"], &allowed["video"]["roomAdmin"]), (&json!(true), &json!(false)));
    permit(&host, json!({ "participant": participant, "is_admin": true })).await.expect(201);
    assert_eq!(token(&speaker).await["name"], "Admin");
    let demotion = permit(&speaker, json!({ "participant": participant, "is_admin": false })).await;
    refused(&demotion, 403, "Only host can manage admin permissions");
    assert_eq!(token(&host).await["video"]["roomAdmin"], true);
    for (body, error) in [
        (json!({}), "Participant pubkey is required"),
        (json!({ "participant": "npub1" }), "Participant must be a valid hex pubkey"),
        (json!({ "participant": "a".repeat(64), "can_publish": 1 }), "can_publish must be a boolean"),
    ] {
        refused(&permit(&host, body).await, 400, error);
    }

    twins(server, &host, &id).await;
    signed_heads(server, &host, &id).await;

    // A restart keeps what was permitted.
    let before = server.unsigned("GET", &path("/info")).await.expect(200).json();
    let restarted = call(&host, "POST", "/restart").await.expect(200).json();
    assert_eq!((&restarted["roomId"], &restarted["message"]), (&json!(id), &json!("Nest restarted successfully")));
    let hls = format!("{}/api/v1/live/{id}/live.m3u8", server.public);
    let streams: Vec<_> = server.mimics_upstream.then(|| json!(hls)).into_iter().collect();
    assert_eq!(restarted["endpoints"].as_array().unwrap()[1..], streams);
    assert_eq!(claims(restarted["token"].as_str().unwrap())["sub"], host.public_key().to_hex());
    assert_eq!(restarted.get("room").is_none(), server.mimics_upstream);
    let info = server.unsigned("GET", &path("/info")).await.expect(200).json();
    assert_eq!(info["speakers"], json!([host.public_key().to_hex(), participant]));
    assert_eq!((&info["status"], &info["participantCount"]), (&json!("active"), &json!(0)));
    assert_eq!(info["createdAt"], before["createdAt"]);
    assert!(info["restartedAt"].as_i64().unwrap() >= info["createdAt"].as_i64().unwrap());
    assert!(info["link"].as_str().unwrap().starts_with("naddr1"));

    call(&host, "DELETE", "").await.expect(204);
    refused(&call(&host, "DELETE", "").await, 404, "Nest not found");
    server.unsigned("GET", &path("/info")).await.expect(404);
    server.unsigned("GET", &path("/guest")).await.expect(404);
}

/// Requests that are signed alike, as those of one second are where a client adds nothing random.
async fn twins(server: &Subject, keys: &Keys, id: &str) {
    let path = format!("{NESTS}/{id}");
    let sign = |method: &str, path: &str| Draft::new(method, &format!("{}{path}", server.public), b"").header(keys);
    let elsewhere = client_at(IpAddr::from(Ipv4Addr::new(127, 0, 0, 2)));
    let send_elsewhere = async |header: &str| {
        let request = elsewhere.get(format!("{}{path}", server.origin)).header("authorization", header);
        Reply::of(request.send().await.unwrap()).await
    };
    let used = |reply: &Reply| {
        refused(reply, 401, "Event was already used");
        assert_eq!(reply.header("retry-after"), "1");
    };
    // Who reads may do so again. Who has seen the signature on its way may not.
    let header = sign("GET", &path);
    for _ in 0..2 {
        server.send(Method::GET, &path, Some(header.clone()), String::new()).await.expect(200);
        used(&send_elsewhere(&header).await);
    }
    let header = sign("GET", &path);
    send_elsewhere(&header).await.expect(200);
    used(&server.send(Method::GET, &path, Some(header), String::new()).await);
    // What changes something is done once.
    for rest in ["/restart", "/permissions"] {
        let path = format!("{path}{rest}");
        let header = sign("POST", &path);
        let send = async || server.send(Method::POST, &path, Some(header.clone()), String::new()).await;
        send().await.expect(if rest == "/restart" { 200 } else { 400 });
        used(&send().await);
    }
}

/// A new nest with HLS; its id.
async fn creation(server: &Subject, host: &Keys) -> String {
    let put = async |body| server.signed(host, "PUT", NESTS, Some(body)).await;
    for (body, error) in [
        (json!({}), "\"relays\" is required"),
        (json!({ "relays": [] }), "At least one relay is required"),
        (json!({ "relays": vec!["wss://r"; 11] }), "Maximum 10 relays allowed"),
        (json!({ "relays": ["https://r"] }), "Relays must be valid WebSocket URLs"),
        (json!({ "relays": ["wss://r"], "hls_stream": "yes" }), "hls_stream must be a boolean"),
        (json!({ "relays": ["wss://r"], "title": "x" }), "\"title\" is not allowed"),
    ] {
        refused(&put(body).await, 400, error);
    }
    // The body comes before the signature.
    refused(&server.send(Method::PUT, NESTS, None, "{".into()).await, 400, "Body is not JSON");
    let created = put(json!({ "relays": ["wss://relay.example"], "hls_stream": true })).await.expect(200).json();
    assert_eq!(created.get("message"), None);
    created["roomId"].as_str().unwrap().to_owned()
}

/// Which methods and paths are calls. A call that is signed says so; everything else is nowhere.
async fn routes(server: &Subject) {
    for (method, path) in
        [("POST", "/a/restart"), ("POST", "/a/restart/"), ("GET", "/a%20b%2Fc"), ("GET", "/a/"), ("DELETE", "/a")]
    {
        let reply = server.unsigned(method, &format!("{NESTS}{path}")).await;
        refused(&reply, 401, "Missing Authorization header");
    }
    for (method, path) in [
        ("GET", "/"),
        ("POST", NESTS),
        ("GET", "/api/v1/nests/a/restart"),
        ("PUT", "/api/v1/nests/a"),
        ("POST", "/api/v1/nests/a/b/restart"),
        ("POST", "/api/v1/nestsa/restart"),
        ("POST", "/api/v1/nests//restart"),
        ("GET", "/api/v1/nests/%ff"),
        ("POST", "/health"),
        ("GET", "/rtc/v1"),
    ] {
        let reply = server.unsigned(method, path).await;
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (404, Some("Endpoint not found")),
            "{method} {path}"
        );
    }
    head_of(&server.unsigned("HEAD", &format!("{NESTS}/a/info")).await.expect(404));
    head_of(&server.unsigned("HEAD", "/health").await.expect(200));
}

/// The head of an answer, without its body.
#[track_caller]
pub fn head_of(reply: &Reply) {
    let length: usize = reply.header("content-length").parse().unwrap();
    assert!(reply.text.is_empty() && length > 0, "{reply:?}");
    assert!(!reply.header("date").is_empty());
}

/// Whoever asks for a head signs just that.
async fn signed_heads(server: &Subject, keys: &Keys, id: &str) {
    let path = format!("{NESTS}/{id}");
    head_of(&server.signed(keys, "HEAD", &path, None).await.expect(200));
    for (signed, sent) in [("GET", Method::HEAD), ("HEAD", Method::GET)] {
        let header = Draft::new(signed, &format!("{}{path}", server.public), b"").header(keys);
        server.send(sent, &path, Some(header), String::new()).await.expect(401);
    }
}
