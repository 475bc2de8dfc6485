//! Answers as data, until they are written to the wire.

use std::future::ready;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::http::{ConnectionDropped, Note, RateAllowance};
use crate::api::wire::Failure;

/// When to come back after an outage, in seconds.
pub(super) const RETRY_S: u64 = 2;

#[derive(Clone, Debug, Default)]
pub(super) enum Content {
    #[default]
    Empty,
    Json(Value),
    Text(&'static str, String),
    Protobuf(Vec<u8>),
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum BodyDelivery {
    #[default]
    Whole,
    /// A byte at a time.
    Slow(Duration),
    /// The first half, then the end of the connection.
    Half,
    /// This many blanks instead of the content.
    Huge(u64),
    /// Nothing, not even a head: the connection is closed.
    Dropped,
}

#[derive(Clone, Debug, Default)]
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    pub(super) delivery: BodyDelivery,
    /// For the access log: what was done, or why it was not.
    pub(super) note: String,
    /// What the client may still ask for.
    pub(super) budget: Option<RateAllowance>,
}

impl HttpAnswer {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    pub(super) fn dropped() -> Self {
        Self { delivery: BodyDelivery::Dropped, ..Self::default() }
    }

    pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Self {
        let content = serde_json::to_value(content).expect("wire types are plain data");
        Self { content: Content::Json(content), ..Self::empty(status) }
    }

    pub(super) fn error(status: StatusCode, text: impl Into<String>) -> Self {
        Self::json(status, &Failure { error: text.into() })
    }

    pub(super) fn text(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        Self { content: Content::Text(kind, text.into()), ..Self::empty(status) }
    }

    pub(super) fn header(mut self, name: HeaderName, text: impl std::fmt::Display) -> Self {
        self.headers.append(name, value(&text.to_string()));
        self
    }

    pub(super) fn no_endpoint() -> Self {
        Self::error(StatusCode::NOT_FOUND, "Endpoint not found")
    }

    pub(super) fn unavailable() -> Self {
        let text = format!("Temporarily unavailable, try again in {RETRY_S} seconds");
        Self::error(StatusCode::SERVICE_UNAVAILABLE, text).header(RETRY_AFTER, RETRY_S)
    }

    pub(super) fn too_many(budget: RateAllowance) -> Self {
        let answer = Self::error(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later");
        answer.header(RETRY_AFTER, budget.reset_s).with_budget(Some(budget)).note("rate limit")
    }

    /// Tells what the client may still ask for; of several budgets, the one that leaves less.
    pub(super) fn with_budget(mut self, budget: Option<RateAllowance>) -> Self {
        self.budget = budget.map(|budget| budget.tighter(self.budget)).or(self.budget);
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Changes every text but those that a client has to compare or to hand on: ids and tokens.
    pub(super) fn map_texts(&mut self, change: impl Fn(&str) -> String) {
        fn map(value: &mut Value, change: &impl Fn(&str) -> String) {
            match value {
                Value::String(text) => *text = change(text),
                Value::Array(items) => items.iter_mut().for_each(|item| map(item, change)),
                Value::Object(fields) => {
                    let texts = fields.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "roomId" | "token"));
                    texts.for_each(|(_, field)| map(field, change));
                }
                _ => {}
            }
        }
        match &mut self.content {
            Content::Json(value) => map(value, &change),
            Content::Text(_, text) => *text = change(text),
            Content::Empty | Content::Protobuf(_) => {}
        }
    }
}

impl IntoResponse for HttpAnswer {
    fn into_response(self) -> Response {
        let (kind, bytes) = match self.content {
            Content::Empty => (None, Bytes::new()),
            Content::Json(value) => (Some("application/json; charset=utf-8"), Bytes::from(value.to_string())),
            Content::Text(kind, text) => (Some(kind), Bytes::from(text)),
            Content::Protobuf(bytes) => (Some("application/protobuf"), Bytes::from(bytes)),
        };
        let length = if let BodyDelivery::Huge(length) = self.delivery { length } else { bytes.len() as u64 };
        let mut response = Response::new(deliver(bytes, self.delivery));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.extensions_mut().insert(Note(self.note));
        if let BodyDelivery::Dropped = self.delivery {
            response.extensions_mut().insert(ConnectionDropped);
        }
        let headers = response.headers_mut();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if !matches!(self.status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        for (name, text) in self.budget.into_iter().flat_map(RateAllowance::headers) {
            headers.insert(name, value(&text));
        }
        response
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn deliver(bytes: Bytes, delivery: BodyDelivery) -> Body {
    const BLANKS: &[u8] = &[b' '; 64 * 1024];
    match delivery {
        BodyDelivery::Whole | BodyDelivery::Dropped => Body::from(bytes),
        BodyDelivery::Slow(pause) => Body::from_stream(stream::iter(bytes).then(move |byte| async move {
            tokio::time::sleep(pause).await;
            io::Result::Ok(vec![byte])
        })),
        BodyDelivery::Half => {
            let half = bytes.slice(..bytes.len() / 2);
            let cut = stream::once(async {
                // Time for the first half to leave before the connection does.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            Body::from_stream(stream::iter([Ok(half)]).chain(cut))
        }
        BodyDelivery::Huge(length) => Body::from_stream(stream::unfold(length, move |left| {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(BLANKS.len());
            ready((len > 0).then(|| (io::Result::Ok(&BLANKS[..len]), left - len as u64)))
        })),
    }
}
