//! As much of an HTTP client as WHIP, WHEP and health checks need: one request per connection, `http://` only.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request without an answer that helps.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection.
    #[error("{0} cannot be reached: {1}")]
    Io(String, io::Error),
    /// Not an http URL.
    #[error("only http://host:port/path is understood, not {0}")]
    Url(String),
    /// Not HTTP.
    #[error("{0} does not answer in HTTP")]
    NotHttp(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Location`, as sent.
    pub location: Option<String>,
    /// Body.
    pub body: String,
}

/// Sends a request; the body's type is `kind`.
///
/// # Errors
/// [`HttpError`]; any status is an answer.
pub async fn request(method: &str, url: &str, token: &str, kind: &str, body: &str) -> Result<Answer, HttpError> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| HttpError::Url(url.to_owned()))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let failed = |error| HttpError::Io(host.to_owned(), error);
    let mut stream = TcpStream::connect(host).await.map_err(failed)?;
    let mut head = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if !token.is_empty() {
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    if !kind.is_empty() {
        head += &format!("Content-Type: {kind}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.map_err(failed)?;
    stream.write_all(body.as_bytes()).await.map_err(failed)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    parse(&text).ok_or_else(|| HttpError::NotHttp(host.to_owned()))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let chunked = header("transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
    Some(Answer {
        status,
        location: header("location"),
        body: if chunked { unchunk(body) } else { body.to_owned() },
    })
}

/// RFC 9112 section 7.1, without trailers.
fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            break;
        };
        let Some(chunk) = rest.get(..size).filter(|_| size > 0) else {
            break;
        };
        out += chunk;
        body = rest.get(size + 2..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_in_chunks() {
        let plain = parse("HTTP/1.1 201 Created\r\nlocation: /whip/a/1\r\n\r\nv=0\r\n").unwrap();
        assert_eq!((plain.status, plain.location.as_deref()), (201, Some("/whip/a/1")));
        assert_eq!(plain.body, "v=0\r\n");
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nv=0\r\n2\r\n\r\n\r\n0\r\n\r\n";
        assert_eq!(parse(text).unwrap().body, "v=0\r\n");
        assert!(parse("SSH-2.0").is_none());
    }
}
