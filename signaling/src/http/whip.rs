//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): standard signaling for anything that publishes or plays.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Problem;
use super::body::{bearer, is_type, unread};
use super::whip_sessions::WhipSession;
use crate::app::App;
use crate::auth::{Claims, Grant};
use crate::ids::{ChatId, UserId};
use crate::live;
use crate::media::{IceCredentials, MediaGrants, MediaOfferRequest, MediaSeat, SlotPolicy};
use crate::protocol::{ErrorCode, User};
use crate::service::ResourceKind;
use crate::ws::refused;

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Most publishers that a query may name.
const MAX_PUBLISHERS: usize = 100;

/// What any page may do here: these endpoints know no cookies, only tokens.
const CORS: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, PATCH, DELETE, OPTIONS"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, If-Match",
    ),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Location, ETag, Link, Accept-Patch",
    ),
];

#[derive(Deserialize)]
pub(super) struct Wanted {
    publishers: Option<String>,
}

/// `/whip/{room}`.
pub(super) async fn whip_endpoint(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    Path(room): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    endpoint(&app, method, &headers, room, body, ResourceKind::Publisher, None).await
}

/// `/whep/{room}?publishers=a,b`.
pub(super) async fn whep_endpoint(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    Path(room): Path<String>,
    Query(wanted): Query<Wanted>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    endpoint(
        &app,
        method,
        &headers,
        room,
        body,
        ResourceKind::Viewer,
        wanted.publishers,
    )
    .await
}

async fn endpoint(
    app: &Arc<App>,
    method: Method,
    headers: &HeaderMap,
    room: String,
    body: Result<Bytes, BytesRejection>,
    kind: ResourceKind,
    publishers: Option<String>,
) -> Response {
    let response = match method {
        Method::OPTIONS => (StatusCode::NO_CONTENT, [("accept-post", SDP)]).into_response(),
        Method::POST => open(app, headers, room, body, kind, publishers)
            .await
            .unwrap_or_else(IntoResponse::into_response),
        _ => not_allowed("POST, OPTIONS"),
    };
    with_cors(response)
}

/// Makes a session: 201 with the answer and where the session is.
async fn open(
    app: &Arc<App>,
    headers: &HeaderMap,
    room: String,
    body: Result<Bytes, BytesRejection>,
    kind: ResourceKind,
    publishers: Option<String>,
) -> Result<Response, Problem> {
    let (user, claims) = authorised(app, headers, &room).await?;
    let grant = if kind == ResourceKind::Publisher {
        Grant::Publish
    } else {
        Grant::Subscribe
    };
    if !claims.allows(grant) {
        return Err(Problem::new(ErrorCode::Forbidden, "the token does not grant this"));
    }
    if app.draining() {
        return Err(Problem::new(ErrorCode::Draining, "the server is going down"));
    }
    if !is_type(headers, SDP) {
        return Err(
            Problem::new(ErrorCode::BadRequest, "the content type must be application/sdp")
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        );
    }
    let sdp = text(body)?;
    let slots = match publishers {
        Some(list) => {
            let named: Vec<UserId> = list.split(',').filter(|n| !n.is_empty()).map(UserId::from).collect();
            if named.is_empty() || named.len() > MAX_PUBLISHERS {
                return Err(Problem::new(
                    ErrorCode::BadRequest,
                    "publishers: 1 to 100 names, separated by commas",
                ));
            }
            SlotPolicy::Publishers(named)
        }
        None => SlotPolicy::Fill,
    };
    app.enter_room(&user.id, &claims).await?;
    let chat = app.service.store().ensure_room(&room).await?;
    let (call, resource) = app.service.open_resource(&user.id, &chat, kind).await?;
    // A publisher is known by the token's subject, so that viewers can name it; a viewer by its session alone, so that
    // one token may publish and watch.
    let participant = match kind {
        ResourceKind::Publisher => claims.sub.clone(),
        ResourceKind::Viewer => UserId(format!("whep:{resource}")),
    };
    let seat = MediaSeat {
        room: call,
        participant,
    };
    let publisher = User {
        id: seat.participant.clone(),
        name: user.name.clone(),
        avatar: user.avatar.clone(),
    };
    if kind == ResourceKind::Publisher && !live::publisher_joined(app, &seat.room, &publisher) {
        app.service.close_resource(&resource).await?;
        return Err(Problem::new(
            ErrorCode::Conflict,
            "somebody of this name publishes in the room already",
        ));
    }
    let request = MediaOfferRequest {
        seat: seat.clone(),
        sdp,
        mids: BTreeMap::new(),
        grants: MediaGrants {
            publish: kind == ResourceKind::Publisher,
            subscribe: kind == ResourceKind::Viewer,
        },
        slots,
    };
    let answer = match app.media.offer(request).await {
        Ok(answer) => answer,
        Err(error) => {
            if kind == ResourceKind::Publisher {
                live::publisher_left(app, &seat.room, &seat.participant);
            }
            app.service.close_resource(&resource).await?;
            return Err(refused(error).into());
        }
    };
    let kind_path = if kind == ResourceKind::Publisher {
        "whip"
    } else {
        "whep"
    };
    let location = format!("/{kind_path}/{}/{resource}", encoded(&room));
    let session = WhipSession::new(resource, kind, room, user.id, seat, &answer);
    let etag = quoted(&session);
    app.whip.add(app, session);
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, location),
        (header::ETAG, etag),
        (HeaderName::from_static("accept-patch"), FRAGMENT.to_owned()),
    ];
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

/// The token must be good and name this room.
async fn authorised(app: &App, headers: &HeaderMap, room: &str) -> Result<(User, Claims), Problem> {
    let token = bearer(headers)?;
    let (user, claims) = app.identify(token).await?;
    if claims.room != Some(ChatId::from(room)) {
        return Err(Problem::new(ErrorCode::Forbidden, "the token is not for this room"));
    }
    Ok((user, claims))
}

/// `/whip/{room}/{session}` and `/whep/{room}/{session}`: PATCH and DELETE.
pub(super) async fn session(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    Path((room, resource)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let response = match method {
        Method::OPTIONS => (StatusCode::NO_CONTENT, [("accept-patch", FRAGMENT)]).into_response(),
        Method::PATCH | Method::DELETE => change(&app, method, &headers, &room, &resource, body)
            .await
            .unwrap_or_else(IntoResponse::into_response),
        _ => not_allowed("PATCH, DELETE, OPTIONS"),
    };
    with_cors(response)
}

async fn change(
    app: &Arc<App>,
    method: Method,
    headers: &HeaderMap,
    room: &str,
    resource: &str,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (user, _) = authorised(app, headers, room).await?;
    let nothing = || Problem::new(ErrorCode::NotFound, "no such session");
    let session = app.whip.get(resource).filter(|s| s.room == room).ok_or_else(nothing)?;
    if session.owner != user.id {
        return Err(Problem::new(ErrorCode::Forbidden, "the session is somebody else's"));
    }
    if method == Method::DELETE {
        app.whip.end(app, resource).await;
        return Ok(StatusCode::OK.into_response());
    }
    if !is_type(headers, FRAGMENT) {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "the content type must be application/trickle-ice-sdpfrag",
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let fragment = text(body)?;
    let wanted = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok());
    match wanted {
        None => Err(
            Problem::new(ErrorCode::BadRequest, "If-Match is needed (RFC 9725 section 4.3.1)")
                .with_status(StatusCode::PRECONDITION_REQUIRED),
        ),
        Some("*") => restart(app, &session, &fragment).await,
        // Candidates of the client are not needed: its checks show where it is (ICE-lite, RFC 8445 section 2.5).
        Some(etag) if etag == quoted(&session) => Ok(StatusCode::NO_CONTENT.into_response()),
        Some(_) => Err(Problem::new(
            ErrorCode::Conflict,
            "this ICE session is over; restart with If-Match: *",
        )
        .with_status(StatusCode::PRECONDITION_FAILED)),
    }
}

/// ICE restart (RFC 9725 section 4.3.3).
async fn restart(app: &App, session: &WhipSession, fragment: &str) -> Result<Response, Problem> {
    let value = |name: &str| {
        fragment
            .lines()
            .find_map(|l| l.trim().strip_prefix(name))
            .map(str::to_owned)
    };
    let (Some(ufrag), Some(pwd)) = (value("a=ice-ufrag:"), value("a=ice-pwd:")) else {
        return Err(Problem::new(
            ErrorCode::BadRequest,
            "a restart has a=ice-ufrag and a=ice-pwd",
        ));
    };
    let ours = app
        .media
        .restart_ice(&session.seat, IceCredentials { ufrag, pwd })
        .await
        .map_err(refused)?;
    session
        .etag
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone_from(&ours.ufrag);
    let mut body = format!("a=ice-lite\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ours.ufrag, ours.pwd);
    if let Some(media) = fragment.lines().map(str::trim).find(|l| l.starts_with("m=")) {
        // The fragment's own m-line and mid, so that the client knows which transport this is (RFC 8840 section 9).
        body += &format!("{media}\r\n");
        if let Some(mid) = value("a=mid:") {
            body += &format!("a=mid:{mid}\r\n");
        }
        for candidate in &session.candidates {
            body += &format!("{}\r\n", candidate.trim());
        }
        body += "a=end-of-candidates\r\n";
    }
    let headers = [
        (header::CONTENT_TYPE, FRAGMENT.to_owned()),
        (header::ETAG, quoted(session)),
    ];
    Ok((StatusCode::OK, headers, body).into_response())
}

fn quoted(session: &WhipSession) -> String {
    format!("\"{}\"", session.etag.lock().unwrap_or_else(PoisonError::into_inner))
}

fn text(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let bytes = body.map_err(unread)?;
    if bytes.is_empty() {
        return Err(Problem::new(ErrorCode::BadRequest, "the body is empty"));
    }
    String::from_utf8(bytes.into()).map_err(|_| Problem::new(ErrorCode::BadRequest, "the body is not UTF-8"))
}

/// A path segment: everything but unreserved characters is escaped (RFC 3986 section 2.3).
fn encoded(segment: &str) -> String {
    let escape = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        other => format!("%{other:02X}"),
    };
    segment.bytes().map(escape).collect()
}

fn not_allowed(allow: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)]).into_response()
}

fn with_cors(mut response: Response) -> Response {
    for (name, value) in CORS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
