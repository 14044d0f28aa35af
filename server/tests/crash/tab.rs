//! A tab with a real WebSocket, which comes back whenever it is cut.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use signaling::ids::{CommandId, UserId};
use signaling::protocol::{ClientFrame, Command, ServerFrame};
use signaling::testing::tab::Tab;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::SOON;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The tab, its way to the server, and the connection while there is one.
pub(crate) struct Page {
    pub(crate) tab: Tab,
    address: SocketAddr,
    token: String,
    socket: Option<Socket>,
    commands: u64,
    /// Connections so far.
    pub(crate) connections: u64,
}

impl Page {
    pub(crate) fn new(address: SocketAddr, token: String, user: &UserId, device: &str) -> Self {
        Self {
            tab: Tab::new(user.clone(), device.into()),
            address,
            token,
            socket: None,
            commands: 0,
            connections: 0,
        }
    }

    /// A command under a new id; it waits for a connection if there is none.
    pub(crate) async fn say(&mut self, command: &Command) -> CommandId {
        self.commands += 1;
        let id = CommandId(format!("{}-{}", self.tab.device, self.commands));
        let frame = self.tab.command(id.clone(), command).unwrap();
        self.send(&frame).await;
        id
    }

    /// The same as an old one: same id, same words.
    pub(crate) async fn say_again(&mut self, id: &CommandId, command: &Command) {
        let frame = self.tab.command(id.clone(), command).unwrap();
        self.send(&frame).await;
    }

    async fn send(&mut self, frame: &ClientFrame) {
        let text = serde_json::to_string(frame).unwrap();
        if let Some(socket) = &mut self.socket
            && socket.send(Message::text(text)).await.is_err()
        {
            self.socket = None;
        }
    }

    /// Cuts the connection, as a dead network does.
    pub(crate) fn cut(&mut self) {
        self.socket = None;
    }

    async fn connect(&mut self) {
        let mut request = format!("ws://{}/v1/ws", self.address).into_client_request().unwrap();
        let protocol = "ringhall.v1".parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let connected = tokio::time::timeout(Duration::from_secs(5), connect_async(request)).await;
        if let Ok(Ok((socket, _))) = connected {
            self.socket = Some(socket);
            self.connections += 1;
            let hello = self.tab.hello(self.token.clone());
            self.send(&hello).await;
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes in one frame, over a new connection if need be. Returns it, or nothing when the connection was lost.
    pub(crate) async fn next(&mut self) -> Option<ServerFrame> {
        if self.socket.is_none() {
            self.connect().await;
        }
        let text = match self.socket.as_mut()?.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return None,
            _ => {
                self.socket = None;
                return None;
            }
        };
        let frame: ServerFrame = serde_json::from_str(&text).unwrap();
        let replies = self.tab.handle(frame.clone());
        let replies = replies.unwrap_or_else(|why| panic!("{}: {why}", self.tab.device));
        for reply in replies {
            self.send(&reply).await;
        }
        Some(frame)
    }

    /// Takes in frames until it holds.
    pub(crate) async fn until(&mut self, what: &str, mut holds: impl FnMut(&Tab) -> bool) {
        let device = self.tab.device.clone();
        let reading = async {
            while !holds(&self.tab) {
                self.next().await;
            }
        };
        let done = tokio::time::timeout(SOON, reading).await;
        assert!(done.is_ok(), "{device} waits in vain: {what}");
    }

    /// A command that must succeed, over as many connections as it takes.
    pub(crate) async fn done(&mut self, command: &Command) -> serde_json::Value {
        let id = self.say(command).await;
        self.until("an answer", |tab| tab.answers.contains_key(&id)).await;
        let answer = self.tab.answers[&id].clone();
        answer.unwrap_or_else(|error| panic!("{command:?}: {error:?}"))
    }
}
