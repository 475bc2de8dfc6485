//! A server may close a connection that was kept at the very moment when another request goes out on it.

use std::time::Duration;

use nostr_nests::api::{HttpClient, HttpRequest, Network, TransportError};
use nostr_nests::net::reach::Reach;
use nostr_nests::net::tls;
use reqwest::Method;

use crate::support::raw::Raw;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn client() -> HttpClient {
    HttpClient::new(Network {
        timeout: Duration::from_secs(5),
        tls: tls::client_config(&[]),
        proxy: None,
        reach: Reach::ANYWHERE,
    })
    .unwrap()
}

#[tokio::test]
async fn a_get_on_a_connection_that_was_just_closed_is_sent_again() {
    let server = Raw::closing_what_is_kept(|_, _| ANSWER.into());
    let (client, url) = (client(), server.url().parse().unwrap());
    for sent in [1, 3, 5] {
        let reply = client.send(HttpRequest::get(&url)).await.unwrap();
        assert_eq!((reply.status, server.asked()), (200, sent));
    }
}

#[tokio::test]
async fn once_and_on_no_other_connection() {
    // The first is answered, and nobody else ever.
    let server = Raw::closing_what_is_kept(|nth, _| if nth == 0 { ANSWER.into() } else { Vec::new() });
    let (first, url) = (client(), server.url().parse().unwrap());
    first.send(HttpRequest::get(&url)).await.unwrap();
    let lost = first.send(HttpRequest::get(&url)).await.unwrap_err();
    assert!(
        matches!(&lost, TransportError::Unanswered(why) if why.contains("lost before there was an answer")),
        "{lost}"
    );
    assert_eq!(server.asked(), 3);
    // On a new connection it was seen.
    let lost = first.send(HttpRequest::get(&url)).await.unwrap_err();
    assert!(matches!(lost, TransportError::Unanswered(_)));
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn what_changes_something_is_not() {
    let server = Raw::closing_what_is_kept(|_, _| ANSWER.into());
    let (client, url) = (client(), server.url().parse().unwrap());
    for (sent, method) in [Method::POST, Method::DELETE, Method::PUT].into_iter().enumerate() {
        client.send(HttpRequest::get(&url)).await.unwrap();
        let call = HttpRequest { method: &method, ..HttpRequest::get(&url) };
        let lost = client.send(call).await.unwrap_err();
        assert!(matches!(lost, TransportError::Unanswered(_)), "it may have been carried out: {lost}");
        assert_eq!(server.asked(), 2 * (sent + 1));
    }
    assert_eq!(server.posted(), 1);
}
