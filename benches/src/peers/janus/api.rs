//! The Janus API over one WebSocket: requests carry a transaction, answers repeat it, and what takes long comes later as an
//! event with the same one.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::peers::PeerError;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A handle: one connection of one participant.
pub(super) type HandleId = u64;

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>;

pub(super) struct Api {
    sink: tokio::sync::Mutex<SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>>,
    waiting: Waiting,
    next: AtomicU64,
    session: u64,
    /// Handles whose media connection is up.
    up: watch::Receiver<HashSet<HandleId>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn failed(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Failed(format!("Janus: {error}"))
}

impl Api {
    pub(super) async fn connect(url: &str) -> Result<Self, PeerError> {
        let mut request = url.into_client_request().map_err(|e| failed(&e))?;
        let protocol = HeaderValue::from_static("janus-protocol");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = tokio_tungstenite::connect_async(request)
            .await
            .map_err(|e| failed(&e))?;
        let (sink, mut stream) = socket.split();
        let waiting = Waiting::default();
        let waiters = waiting.clone();
        let (connected, up) = watch::channel(HashSet::new());
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Text(text) = message else { continue };
                let Ok(value) = serde_json::from_str::<Value>(&text) else {
                    continue;
                };
                if value["janus"] == "webrtcup"
                    && let Some(handle) = value["sender"].as_u64()
                {
                    connected.send_modify(|handles| {
                        handles.insert(handle);
                    });
                }
                // "ack" says that the answer comes later; everything else with our transaction is the answer.
                let Some(transaction) = value["transaction"].as_str().filter(|_| value["janus"] != "ack") else {
                    continue;
                };
                let waiter = waiters
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(transaction);
                if let Some(waiter) = waiter {
                    // Nobody waits any more after a timeout.
                    let _ = waiter.send(value);
                }
            }
        });
        let mut api = Self {
            sink: tokio::sync::Mutex::new(sink),
            waiting,
            next: AtomicU64::new(1),
            session: 0,
            up,
            reader,
        };
        let created = api.ask(json!({ "janus": "create" })).await?;
        api.session = number(&created)?;
        Ok(api)
    }

    pub(super) async fn attach(&self) -> Result<HandleId, PeerError> {
        let attached = self
            .ask(json!({ "janus": "attach", "session_id": self.session, "plugin": "janus.plugin.videoroom" }))
            .await?;
        number(&attached)
    }

    pub(super) async fn detach(&self, handle: HandleId) -> Result<(), PeerError> {
        self.ask(json!({ "janus": "detach", "session_id": self.session, "handle_id": handle }))
            .await
            .map(drop)
    }

    /// Waits until a handle's media connection is up: only then others may subscribe to it.
    pub(super) async fn up(&self, handle: HandleId) -> Result<(), PeerError> {
        let mut up = self.up.clone();
        let connected = up.wait_for(|handles| handles.contains(&handle));
        match tokio::time::timeout(PATIENCE, connected).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(failed(&"the connection is gone")),
            Err(_) => Err(failed(&format!("a publisher did not connect in {PATIENCE:?}"))),
        }
    }

    /// A request to the plugin, with or without a session description.
    pub(super) async fn message(&self, handle: HandleId, body: Value, jsep: Option<Value>) -> Result<Value, PeerError> {
        let mut request = json!({ "janus": "message", "session_id": self.session, "handle_id": handle, "body": body });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep;
        }
        let answer = self.ask(request).await?;
        let data = &answer["plugindata"]["data"];
        match data["error"].as_str() {
            Some(error) => Err(failed(&error)),
            None => Ok(answer),
        }
    }

    async fn ask(&self, mut request: Value) -> Result<Value, PeerError> {
        let transaction = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        request["transaction"] = json!(transaction);
        let (sender, wait) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(transaction.clone(), sender);
        let message = Message::text(request.to_string());
        self.sink.lock().await.send(message).await.map_err(|e| failed(&e))?;
        let answer = tokio::time::timeout(PATIENCE, wait).await;
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&transaction);
        let answer = answer
            .map_err(|_| failed(&format!("no answer to {} in {PATIENCE:?}", request["janus"])))?
            .map_err(|_| failed(&"the connection is gone"))?;
        match answer["error"]["reason"].as_str() {
            Some(reason) => Err(failed(&reason)),
            None => Ok(answer),
        }
    }
}

fn number(answer: &Value) -> Result<u64, PeerError> {
    answer["data"]["id"]
        .as_u64()
        .ok_or_else(|| failed(&format!("an answer without an id: {answer}")))
}
