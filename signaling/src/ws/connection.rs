//! The life of one connection: upgrade, hello, frames, end.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::Value;

use super::audit::Audit;
use super::bucket::Bucket;
use super::session::{Closing, Session};
use super::{commands, hello, writer};
use crate::app::App;
use crate::http::Problem;
use crate::ids::CommandId;
use crate::live;
use crate::protocol::{
    ClientFrame, ErrorCode, MAX_FRAME_BYTES, MAX_SDP_FRAME_BYTES, Request, Response as Res, SUBPROTOCOL, ServerFrame,
    WireError, close,
};
use crate::service::{Actor, Link};

/// What the WebSocket library may buffer for one message. Above the protocol's own limits, so that a frame somewhat too
/// large can still be answered with 4400; beyond this it is cut off unread.
const HARD_LIMIT: usize = 2 * MAX_SDP_FRAME_BYTES;

/// Bytes that the library reads at once, and gathers before it writes. Its own 128 KiB each would be most of what an idle
/// connection costs, and frames are small; longer ones are read in several steps.
const SOCKET_BUFFER: usize = 1 << 10;

/// Frames above the rate that are answered or ignored before the connection is closed as a flood, and how many of them
/// are forgiven in a second.
const FLOOD_FRAMES: u32 = 200;
const FLOOD_FORGIVEN: u32 = 2;

/// How long a closed connection still takes (and drops) what its peer sends. Cutting it off at once would reset it under
/// data that is on its way, and the peer would never read the close code.
const LINGER: Duration = Duration::from_secs(1);

/// `GET /v1/ws`.
pub(crate) async fn upgrade(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]),
        Err(_) => return Problem::new(ErrorCode::BadRequest, "this is a WebSocket endpoint").into_response(),
    };
    if upgrade.selected_protocol().is_none() {
        let text = format!("the subprotocol {SUBPROTOCOL} must be asked for");
        return Problem::new(ErrorCode::UnsupportedVersion, text).into_response();
    }
    if app.draining() {
        return Problem::from(WireError {
            code: ErrorCode::Draining,
            message: "the server is going down".into(),
            retry_after_ms: 1_000,
        })
        .into_response();
    }
    let Ok(place) = app.waiting_room.clone().try_acquire_owned() else {
        return Problem::from(WireError {
            code: ErrorCode::Unavailable,
            message: "too many connections wait to say hello".into(),
            retry_after_ms: 1_000,
        })
        .into_response();
    };
    upgrade
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER)
        .max_message_size(HARD_LIMIT)
        .max_frame_size(HARD_LIMIT)
        .on_upgrade(move |socket| run(app, socket, place, peer.ip()))
}

/// Frames in both directions: a WebSocket, or what stands for one in a test.
pub(super) trait Socket:
    Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Unpin + Send + 'static
{
}

impl<S> Socket for S where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Unpin + Send + 'static
{
}

/// One connection from its first frame to its end. What is done seldom is boxed, here and below: a future is as large as
/// the largest thing that it ever waits for, and there is one for each idle person.
pub(super) async fn run(
    app: Arc<App>,
    mut socket: impl Socket,
    place: tokio::sync::OwnedSemaphorePermit,
    from: IpAddr,
) {
    let deadline = Duration::from_millis(app.sockets.hello_timeout_ms.into());
    let greeting = tokio::time::timeout(deadline, first_frame(&mut socket)).await;
    let hello = match greeting {
        Ok(Ok(hello)) => hello,
        Ok(Err(closing)) => return say_goodbye(&mut socket, closing).await,
        Err(_) => return say_goodbye(&mut socket, (close::PROTOCOL, "no hello in time")).await,
    };
    let welcomed = match Box::pin(hello::greet(&app, hello, from)).await {
        Ok(welcomed) => welcomed,
        Err(refused) => {
            let code = match refused.code {
                ErrorCode::Unauthenticated | ErrorCode::TokenExpired => close::AUTH,
                ErrorCode::Unavailable | ErrorCode::Draining => close::DRAINING,
                _ => close::PROTOCOL,
            };
            return say_goodbye_with(&mut socket, code, code_name(refused.code)).await;
        }
    };
    drop(place);
    let session = welcomed.session.clone();
    let (sink, mut stream) = socket.split();
    let writing = tokio::spawn(writer::run(app.clone(), session.clone(), welcomed.frames, sink));
    read(&app, &session, &mut stream).await;
    // The writer sends the close frame; whoever ended this, both halves end together.
    session.close((1000, "bye"));
    let _ = writing.await;
    Box::pin(gone(&app, &session)).await;
    let _ = tokio::time::timeout(LINGER, async { while let Some(Ok(_)) = stream.next().await {} }).await;
}

/// Reads frames until the connection ends or is to end.
async fn read(
    app: &Arc<App>,
    session: &Arc<Session>,
    stream: &mut (impl StreamExt<Item = Result<Message, axum::Error>> + Unpin),
) {
    let now = Instant::now();
    let mut rate = Bucket::new(app.sockets.commands_per_second, app.sockets.commands_burst, now);
    let mut patience = Bucket::new(FLOOD_FORGIVEN, FLOOD_FRAMES, now);
    let mut audit = Audit::new(now);
    let expired = session.expired();
    tokio::pin!(expired);
    loop {
        let message = tokio::select! {
            _ = session.closed() => return,
            () = &mut expired => return session.close((close::AUTH, "TOKEN_EXPIRED")),
            message = stream.next() => message,
        };
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return session.close((close::PROTOCOL, "frames are JSON text")),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return,
            Some(Err(error)) => {
                tracing::debug!(%error, user = %session.user, "a connection failed");
                return session.close((close::PROTOCOL, "not a WebSocket frame, or larger than any may be"));
            }
        };
        session.unanswered.store(0, Ordering::Relaxed);
        if text.len() > MAX_SDP_FRAME_BYTES {
            return session.close((close::PROTOCOL, "frame too large"));
        }
        let allowed = rate.take(Instant::now());
        if allowed.is_err() && patience.take(Instant::now()).is_err() {
            return session.close((close::FLOOD, "too many frames"));
        }
        match parse(&text) {
            Ok(Frame::Request(request)) => {
                if text.len() > MAX_FRAME_BYTES && request.op != "media_offer" {
                    return session.close((close::PROTOCOL, "frame too large"));
                }
                let result = match allowed {
                    Ok(()) => Box::pin(commands::carry_out(app, session, &request)).await,
                    Err(wait) => Err(WireError {
                        code: ErrorCode::RateLimited,
                        message: "too many commands".into(),
                        retry_after_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1),
                    }),
                };
                audit.note(session, &request, &result);
                session.send_frame(&ServerFrame::Res(response(request.id, result)));
            }
            Ok(Frame::Unreadable(id)) => {
                let error = WireError::new(ErrorCode::BadRequest, "a req has id, op and d");
                session.send_frame(&ServerFrame::Res(response(id, Err(error))));
            }
            Ok(Frame::Other) => {}
            Err(closing) => return session.close(closing),
        }
    }
}

fn response(id: CommandId, result: Result<Value, WireError>) -> Res {
    match result {
        Ok(d) => Res {
            id,
            ok: true,
            d: Some(d),
            err: None,
        },
        Err(err) => Res {
            id,
            ok: false,
            d: None,
            err: Some(err),
        },
    }
}

/// What a frame after hello is.
enum Frame {
    Request(Request),
    /// A `req` with an id, but not with the rest.
    Unreadable(CommandId),
    /// A pong, or a kind that this version does not know.
    Other,
}

fn parse(text: &str) -> Result<Frame, Closing> {
    match serde_json::from_str::<ClientFrame>(text) {
        Ok(ClientFrame::Req(request)) => return Ok(Frame::Request(request)),
        Ok(ClientFrame::Pong { .. }) => return Ok(Frame::Other),
        Ok(ClientFrame::Hello(_)) => return Err((close::PROTOCOL, "hello comes once")),
        Err(_) => {}
    }
    let value: Value = serde_json::from_str(text).map_err(|_| (close::PROTOCOL, "not JSON"))?;
    match (
        value.get("t").and_then(Value::as_str),
        value.get("id").and_then(Value::as_str),
    ) {
        (Some("req"), Some(id)) => Ok(Frame::Unreadable(id.into())),
        (Some("req" | "hello") | None, _) => Err((close::PROTOCOL, "not a frame of this protocol")),
        (Some(_), _) => Ok(Frame::Other),
    }
}

/// The first frame must be a hello of ordinary size.
async fn first_frame(socket: &mut impl Socket) -> Result<crate::protocol::Hello, Closing> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.len() <= MAX_FRAME_BYTES => {
                return match serde_json::from_str(&text) {
                    Ok(ClientFrame::Hello(hello)) if plausible(hello.device.as_str()) => Ok(hello),
                    _ => Err((close::PROTOCOL, "the first frame must be hello")),
                };
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_)) => return Err((close::PROTOCOL, "the first frame must be hello")),
            Some(Err(_)) | None => return Err((close::PROTOCOL, "gone before hello")),
        }
    }
}

/// A device id is made by the tab; it ends up in the database and in other people's pages.
fn plausible(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

async fn say_goodbye(socket: &mut impl Socket, (code, reason): Closing) {
    say_goodbye_with(socket, code, reason.to_owned()).await;
}

/// Closes politely: the close frame, then what the peer still says, for a moment.
async fn say_goodbye_with(socket: &mut impl Socket, code: u16, reason: String) {
    let polite = async {
        let _ = socket
            .send(Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            })))
            .await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = tokio::time::timeout(LINGER, polite).await;
}

/// The code as it is on the wire.
fn code_name(code: ErrorCode) -> String {
    serde_json::to_value(code)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// After the end of a connection: presence, and the seat if this tab holds one and does not come back in time.
async fn gone(app: &Arc<App>, session: &Arc<Session>) {
    let away = app.sessions.remove(session);
    if away {
        if let Err(error) = app.service.store().touch_seen(&session.user).await {
            tracing::debug!(%error, "last seen was not noted");
        }
        app.presences.changed(&session.user);
    }
    if !(session.in_call.load(Ordering::Relaxed) || session.waits.load(Ordering::Relaxed)) || app.draining() {
        return;
    }
    let (app, user, device) = (app.clone(), session.user.clone(), session.device.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(app.sockets.seat_lost_ms.into())).await;
        if app.sessions.of_device(&user, &device).is_some() || app.draining() {
            return;
        }
        let actor = Actor { user, device };
        live::until_recorded(&app, "the loss of a seat", || async {
            if app.sessions.of_device(&actor.user, &actor.device).is_some() {
                return Ok(());
            }
            app.service.seat_lost(&actor, Link::Socket).await
        })
        .await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_request_is_answered_and_what_is_no_frame_ends_the_connection() {
        assert!(matches!(
            parse(r#"{"t":"req","id":"1","op":"x","d":{}}"#),
            Ok(Frame::Request(_))
        ));
        assert!(matches!(
            parse(r#"{"t":"req","id":"1","op":7}"#),
            Ok(Frame::Unreadable(_))
        ));
        assert!(matches!(parse(r#"{"t":"from-the-future"}"#), Ok(Frame::Other)));
        for text in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"t":"req"}"#,
            r#"{"t":"hello"}"#,
            &"[".repeat(10_000),
        ] {
            assert!(parse(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn a_device_is_a_short_plain_id() {
        assert!(plausible("0b9f6d1c-2c43-4a83-b6a9-6b1c0ff3d0aa"));
        for id in ["", "a b", "<b>", &"a".repeat(65)] {
            assert!(!plausible(id), "{id}");
        }
    }
}
