//! A proxy in front of LiveKit that sees every call to `RoomService` and can delay, swallow or stop it.

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
    calls: Arc<Mutex<Vec<String>>>,
    hook: Arc<Mutex<Option<Hook>>>,
    swallowed: Arc<Mutex<Option<&'static str>>>,
}

impl Tap {
    pub async fn before(livekit: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (calls, hook) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Option<Hook>>>::default());
        let swallowed = Arc::<Mutex<Option<&'static str>>>::default();
        let swallows = swallowed.clone();
        let target = livekit.replace("ws://", "http://");
        let (seen, before, http) = (calls.clone(), hook.clone(), super::nests_api::client());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, before, http, target) = (seen.clone(), before.clone(), http.clone(), target.clone());
                let swallows = swallows.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, before, http, target) = (seen.clone(), before.clone(), http.clone(), target.clone());
                    let swallows = swallows.clone();
                    async move {
                        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
                        let swallowed = *swallows.lock().unwrap() == Some(method.as_str());
                        let goes_on = before.lock().unwrap().as_ref().is_none_or(|hook| hook(&method));
                        seen.lock().unwrap().push(method);
                        if !goes_on {
                            std::future::pending::<()>().await;
                        }
                        if swallowed {
                            return Ok(Response::new(Full::default()));
                        }
                        Ok::<_, Infallible>(forward(&http, &target, request).await)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, calls, hook, swallowed }
    }

    /// How often a method was called since the last [`Tap::forget`].
    pub fn count(&self, method: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| *call == method).count()
    }

    /// All of them, in their order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Answers that this method is done, and does not pass it on.
    pub fn swallow(&self, method: &'static str) {
        *self.swallowed.lock().unwrap() = Some(method);
    }

    pub fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }

    pub fn hook(&self, hook: impl Fn(&str) -> bool + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub fn unhook(&self) {
        *self.hook.lock().unwrap() = None;
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
