//! A tab: a WebSocket client that answers pings and keeps what it has not been asked for yet.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    kept: Vec<Value>,
    requests: u32,
    /// Answers pings.
    pub polite: bool,
    /// The last `seq` seen.
    pub seq: u64,
    device: String,
}

impl Socket {
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, Some("ringhall.v1")).await.unwrap()
    }

    pub async fn open_with(address: SocketAddr, protocol: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/v1/ws").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let (stream, _) = connect_async(request).await?;
        Ok(Self {
            stream,
            kept: Vec::new(),
            requests: 0,
            polite: true,
            seq: 0,
            device: String::new(),
        })
    }

    pub async fn send(&mut self, frame: &Value) {
        self.send_text(frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.stream.send(Message::Text(text.into())).await.unwrap();
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.stream.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// Says hello and returns welcome.
    pub async fn hello(&mut self, token: &str, device: &str, resume: Value) -> Value {
        self.device = device.to_owned();
        self.send(&json!({"t": "hello", "token": token, "device": device, "resume": resume}))
            .await;
        let first = self.next().await.expect("a welcome");
        assert_eq!(first["t"], "welcome", "{first}");
        first
    }

    /// Sends a command and returns its `res`.
    pub async fn ask(&mut self, op: &str, d: Value) -> Value {
        self.requests += 1;
        let id = format!("{}-{}", self.device, self.requests);
        self.ask_as(&id, op, d).await
    }

    pub async fn ask_as(&mut self, id: &str, op: &str, d: Value) -> Value {
        self.send(&json!({"t": "req", "id": id, "op": op, "d": d})).await;
        self.wait(&format!("the res of {op}"), |f| f["t"] == "res" && f["id"] == id)
            .await
    }

    /// Like `ask`, for a command that must succeed; returns `d`.
    pub async fn done(&mut self, op: &str, d: Value) -> Value {
        let res = self.ask(op, d).await;
        assert_eq!(res["ok"], true, "{op}: {res}");
        res["d"].clone()
    }

    /// The next event of this name, durable or ephemeral; returns `d`.
    pub async fn event(&mut self, op: &str) -> Value {
        self.wait(op, |f| f["op"] == op).await["d"].clone()
    }

    /// The next frame that fits; others are kept for later.
    pub async fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&fits) {
            return self.kept.remove(at);
        }
        let search = async {
            loop {
                match self.next().await {
                    Ok(frame) if fits(&frame) => return frame,
                    Ok(frame) => self.kept.push(frame),
                    Err(code) => panic!("closed with {code:?} while waiting for {what}; kept: {:#?}", self.kept),
                }
            }
        };
        match tokio::time::timeout(super::SOON, search).await {
            Ok(frame) => frame,
            Err(_) => panic!("no {what} in time"),
        }
    }

    /// Whether such a frame has come so far. A command's `res` is a barrier for what was sent before it.
    pub fn has(&self, op: &str) -> bool {
        self.kept.iter().any(|f| f["op"] == op)
    }

    /// The next frame, or the code with which the server closed.
    pub async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if let Some(seq) = frame["seq"].as_u64().filter(|_| frame["t"] == "ev") {
                        self.seq = seq;
                    }
                    if frame["t"] == "ping" && self.polite {
                        self.send(&json!({"t": "pong", "n": frame["n"]})).await;
                        continue;
                    }
                    return Ok(frame);
                }
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Reads until the server closes, and returns its code.
    pub async fn close_code(&mut self) -> Option<u16> {
        let end = async {
            loop {
                if let Err(code) = self.next().await {
                    return code;
                }
            }
        };
        tokio::time::timeout(super::SOON, end)
            .await
            .expect("the server does not close")
    }

    /// Cuts the connection off, as a dead network does.
    pub fn cut(self) {
        drop(self.stream);
    }

    /// Nothing that fits comes within this.
    pub async fn quiet(&mut self, within: Duration, fits: impl Fn(&Value) -> bool) {
        let search = async {
            loop {
                match self.next().await {
                    Ok(frame) if fits(&frame) => return frame,
                    Ok(frame) => self.kept.push(frame),
                    Err(code) => panic!("closed with {code:?}"),
                }
            }
        };
        if let Ok(frame) = tokio::time::timeout(within, search).await {
            panic!("unexpected: {frame}");
        }
    }
}
