//! A proxy in front of LiveKit or an API that sees every call, by the last part of its path, and can delay, swallow or stop
//! it, or keep back its answer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What happens before a call goes on; `false`: it does not, and is never answered.
pub type Hook = Box<dyn Fn(&str) -> bool + Send + Sync>;

pub struct Tap {
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    calls: Mutex<Vec<String>>,
    hook: Mutex<Option<Hook>>,
    swallowed: Mutex<Option<&'static str>>,
    unanswered: Mutex<Vec<String>>,
}

impl Tap {
    pub async fn before(livekit: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        let (http, seen) = (super::nests_api::client(), state.clone());
        let target: Arc<str> = livekit.replace("ws://", "http://").into();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, http, target) = (seen.clone(), http.clone(), target.clone());
                let service = service_fn(move |request| {
                    let (seen, http, target) = (seen.clone(), http.clone(), target.clone());
                    async move { Ok::<_, Infallible>(seen.pass(&http, &target, request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state }
    }

    /// How often a method was called since the last [`Tap::forget`].
    pub fn count(&self, method: &str) -> usize {
        self.state.calls.lock().unwrap().iter().filter(|call| *call == method).count()
    }

    /// All of them, in their order.
    pub fn calls(&self) -> Vec<String> {
        self.state.calls.lock().unwrap().clone()
    }

    /// Answers that this method is done, and does not pass it on.
    pub fn swallow(&self, method: &'static str) {
        *self.state.swallowed.lock().unwrap() = Some(method);
    }

    /// Passes this method on, and never answers.
    pub fn keep_answer(&self, method: &str) {
        self.state.unanswered.lock().unwrap().push(method.to_owned());
    }

    pub fn forget(&self) {
        self.state.calls.lock().unwrap().clear();
    }

    pub fn hook(&self, hook: impl Fn(&str) -> bool + Send + Sync + 'static) {
        *self.state.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub fn unhook(&self) {
        *self.state.hook.lock().unwrap() = None;
    }
}

impl State {
    async fn pass(&self, http: &reqwest::Client, target: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let swallowed = *self.swallowed.lock().unwrap() == Some(method.as_str());
        let answered = !self.unanswered.lock().unwrap().contains(&method);
        let goes_on = self.hook.lock().unwrap().as_ref().is_none_or(|hook| hook(&method));
        self.calls.lock().unwrap().push(method);
        if !goes_on {
            std::future::pending::<()>().await;
        }
        if swallowed {
            return Response::new(Full::default());
        }
        let answer = forward(http, target, request).await;
        if !answered {
            std::future::pending::<()>().await;
        }
        answer
    }
}

async fn forward(http: &reqwest::Client, target: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let sent = http.request(head.method, format!("{target}{}", head.uri)).headers(head.headers).body(body).send().await;
    let Ok(answer) = sent else {
        return Response::builder().status(502).body(Full::default()).unwrap();
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.bytes().await.unwrap_or_default())).unwrap()
}
