//! The WebSocket protocol as a page speaks it: hello, commands with their results, events in order.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signaling::protocol::{
    ClientFrame, Command, ErrorCode, Event, Hello, Realtime, Request, Resume, ServerFrame, Welcome, WireError,
};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

/// How long a command may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The socket did not come about, or is gone.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// WebSocket.
    #[error("WebSocket: {0}")]
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// The server closed it, or said something else than welcome.
    #[error("the server closed: {0}")]
    Closed(String),
    /// The server refused a command.
    #[error("{op}: {code:?}: {message}")]
    Refused {
        /// Which.
        op: String,
        /// The code.
        code: ErrorCode,
        /// Its words.
        message: String,
    },
    /// No answer in time.
    #[error("{0}: no answer in 30 s")]
    Timeout(String),
    /// An answer that is not what the protocol says.
    #[error("{0}: {1}")]
    Answer(String, serde_json::Error),
}

/// What the server said unasked.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A durable event.
    Event(Event),
    /// An ephemeral event.
    Realtime(Realtime),
    /// The connection is over.
    Closed(String),
}

/// Sends commands; may be cloned.
#[derive(Clone)]
pub struct Caller {
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    Request(Box<Request>, oneshot::Sender<Result<Value, WireError>>),
    /// Cut, without a close frame.
    Drop,
}

/// An open connection.
pub struct Signal {
    /// Sends commands.
    pub caller: Caller,
    /// The server's first answer.
    pub welcome: Welcome,
    /// Everything else.
    pub incoming: mpsc::UnboundedReceiver<Incoming>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a WebSocket at `http://host:port`.
///
/// # Errors
/// [`SignalError`].
pub async fn open(url: &str, token: String, device: &str, resume: Option<Resume>) -> Result<Signal, SignalError> {
    let (mut socket, welcome) = greet(url, token, device, resume).await?;
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let (events, incoming) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut waiting: HashMap<String, oneshot::Sender<Result<Value, WireError>>> = HashMap::new();
        let why = loop {
            tokio::select! {
                order = ordered.recv() => match order {
                    Some(Order::Request(request, reply)) => {
                        waiting.insert(request.id.0.clone(), reply);
                        if let Err(error) = send(&mut socket, &ClientFrame::Req(*request)).await {
                            break error.to_string();
                        }
                    }
                    Some(Order::Drop) | None => break "ended here".to_owned(),
                },
                frame = receive(&mut socket) => match frame {
                    Ok(ServerFrame::Ping { n }) => {
                        if let Err(error) = send(&mut socket, &ClientFrame::Pong { n }).await {
                            break error.to_string();
                        }
                    }
                    Ok(ServerFrame::Res(response)) => {
                        if let Some(reply) = waiting.remove(&response.id.0) {
                            let result = match response.err {
                                Some(error) => Err(error),
                                None => Ok(response.d.unwrap_or(Value::Null)),
                            };
                            let _ = reply.send(result);
                        }
                    }
                    // A receiver that is gone does not want events; commands still go.
                    Ok(ServerFrame::Ev(event)) => drop(events.send(Incoming::Event(event))),
                    Ok(ServerFrame::Rt(event)) => drop(events.send(Incoming::Realtime(event))),
                    Ok(ServerFrame::Welcome(_)) => {}
                    Err(error) => break error.to_string(),
                },
            }
        };
        let _ = events.send(Incoming::Closed(why));
    });
    Ok(Signal {
        caller: Caller { orders },
        welcome,
        incoming,
    })
}

/// An idle tab: holds the connection and answers pings until it is closed. Little memory, for thousands.
///
/// # Errors
/// [`SignalError`] when it cannot be opened.
pub async fn idle(
    url: &str,
    token: String,
    device: &str,
) -> Result<impl Future<Output = SignalError> + Send + 'static, SignalError> {
    let (mut socket, _) = greet(url, token, device, None).await?;
    Ok(async move {
        loop {
            match receive(&mut socket).await {
                Ok(ServerFrame::Ping { n }) => {
                    if let Err(error) = send(&mut socket, &ClientFrame::Pong { n }).await {
                        return error;
                    }
                }
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    })
}

async fn greet(
    url: &str,
    token: String,
    device: &str,
    resume: Option<Resume>,
) -> Result<(Socket, Welcome), SignalError> {
    let address = format!("{}/v1/ws", url.replacen("http", "ws", 1));
    let mut request = address.into_client_request().map_err(Box::new)?;
    request
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::from_static("ringhall.v1"));
    let (mut socket, _) = connect_async(request).await.map_err(Box::new)?;
    let hello = ClientFrame::Hello(Hello {
        token,
        device: device.into(),
        resume,
        lang: None,
    });
    send(&mut socket, &hello).await?;
    match receive(&mut socket).await? {
        ServerFrame::Welcome(welcome) => Ok((socket, welcome)),
        other => Err(SignalError::Closed(format!("{other:?} instead of welcome"))),
    }
}

async fn send(socket: &mut Socket, frame: &ClientFrame) -> Result<(), SignalError> {
    let text = serde_json::to_string(frame).map_err(|e| SignalError::Answer("frame".into(), e))?;
    socket.send(Message::text(text)).await.map_err(Box::new)?;
    Ok(())
}

async fn receive(socket: &mut Socket) -> Result<ServerFrame, SignalError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                // A kind of frame that is newer than this program is no reason to end.
                if let Ok(frame) = serde_json::from_str(&text) {
                    return Ok(frame);
                }
            }
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map_or_else(|| "without a reason".to_owned(), |f| format!("{} {}", f.code, f.reason));
                return Err(SignalError::Closed(why));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(SignalError::Socket(Box::new(error))),
            None => return Err(SignalError::Closed("end of stream".into())),
        }
    }
}

impl Caller {
    /// Sends a command and waits for its result.
    ///
    /// # Errors
    /// [`SignalError`].
    pub async fn call<T: serde::de::DeserializeOwned>(&self, command: &Command) -> Result<T, SignalError> {
        let value = serde_json::to_value(command).map_err(|e| SignalError::Answer("command".into(), e))?;
        let op = value.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (reply, answer) = oneshot::channel();
        let request = Request {
            id: Uuid::new_v4().to_string().into(),
            op: op.clone(),
            d: value.get("d").cloned().unwrap_or_else(|| json!({})),
        };
        let gone = || SignalError::Closed(format!("before the answer to {op}"));
        self.orders
            .send(Order::Request(Box::new(request), reply))
            .map_err(|_| gone())?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(Ok(value))) => serde_json::from_value(value).map_err(|e| SignalError::Answer(op, e)),
            Ok(Ok(Err(error))) => Err(SignalError::Refused {
                op,
                code: error.code,
                message: error.message,
            }),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(SignalError::Timeout(op)),
        }
    }

    /// Cuts the connection, as a network that is gone.
    pub fn cut(&self) {
        let _ = self.orders.send(Order::Drop);
    }
}

/// A tab's id.
pub fn device() -> String {
    Uuid::new_v4().to_string()
}
