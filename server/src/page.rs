//! The page: the built web client, embedded in the binary.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

#[derive(RustEmbed)]
#[folder = "../web-client/dist"]
#[allow_missing = true]
struct Built;

/// Files below this have a hash in their name: they never change.
const HASHED: &str = "assets/";

/// The page loads its own scripts and styles only; it connects to this server only. `ws:` is named because older
/// browsers do not count it as 'self'. Avatars may come from a host application.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: https:; \
    media-src 'self' blob: data:; font-src 'self'; connect-src 'self' ws: wss:; worker-src 'self' blob:; \
    manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self), display-capture=(self), screen-wake-lock=(self), geolocation=()",
    ),
];

/// Serves the page for every path that nothing else serves.
pub(crate) fn router() -> Router {
    Router::new().fallback(serve).layer(CompressionLayer::new().gzip(true))
}

async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let mut response = match (Built::get(path), Built::get("index.html")) {
        (Some(found), _) if path != "index.html" => file(path, found, &request),
        // The page's own routes (/setup, /r/name) are not files; a missing file must not look like a page.
        (_, Some(index)) if !path.starts_with(HASHED) && !last(path).contains('.') || path == "index.html" => {
            file("index.html", index, &request)
        }
        (_, Some(_)) => (StatusCode::NOT_FOUND, "not found\n").into_response(),
        (_, None) => not_built(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn file(path: &str, found: EmbeddedFile, request: &Request) -> Response {
    let etag: String = found
        .metadata
        .sha256_hash()
        .iter()
        .take(12)
        .map(|b| format!("{b:02x}"))
        .collect();
    let etag = format!("\"{etag}\"");
    let caching = if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok());
    let headers = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, caching.to_owned()),
    ];
    if known.is_some_and(|k| k.split(',').any(|k| k.trim().trim_start_matches("W/") == etag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let mut kind = found.metadata.mimetype().to_owned();
    if kind.starts_with("text/") {
        kind += "; charset=utf-8";
    }
    (
        headers,
        [(header::CONTENT_TYPE, kind)],
        Body::from(found.data.into_owned()),
    )
        .into_response()
}

fn not_built() -> Response {
    let text = "<!doctype html><html lang=\"en\"><title>Ringhall</title>\
        <p>The server runs, but it was built without the page. Run <code>make run</code>.</p></html>";
    (StatusCode::SERVICE_UNAVAILABLE, Html(text)).into_response()
}
