//! Any server with WHIP (RFC 9725) and WHEP that runs already: URLs with places for the room and the stream, bearer tokens.
//!
//! Servers differ in what a URL names. Where it names a stream, a viewer opens a session for each stream that it wants; where
//! it names a room only, one session of as many m-lines as it wants streams.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Peer, PeerError, Want};
use crate::http;
use crate::scenario::Scenario;

/// Where the server is and how to get in.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The WHIP URL with `{room}` and `{stream}` where they belong.
    pub whip: String,
    /// The WHEP URL; empty: the WHIP URL with `whep` in the place of `whip`.
    pub whep: String,
    /// Bearer tokens: none, one for everybody, or one for each session in turn.
    pub tokens: Vec<String>,
    /// The server's process, when it is on this machine: for CPU and memory.
    pub pid: Option<u32>,
}

impl Options {
    /// Tokens as the command line takes them: one, or a file with one a line behind an `@`.
    ///
    /// # Errors
    /// When the file cannot be read, with its name.
    pub fn tokens(text: &str) -> Result<Vec<String>, String> {
        let Some(file) = text.strip_prefix('@') else {
            return Ok(vec![text.to_owned()]);
        };
        let lines = std::fs::read_to_string(Path::new(file)).map_err(|e| format!("tokens of {file}: {e}"))?;
        let tokens: Vec<String> = lines.split_whitespace().map(str::to_owned).collect();
        if tokens.is_empty() {
            return Err(format!("{file} has no token; it needs one a line"));
        }
        Ok(tokens)
    }
}

/// A server that we did not start.
pub struct Whip {
    options: Options,
    next_token: AtomicUsize,
    /// Room, URL to delete, token.
    sessions: Mutex<Vec<(String, String, String)>>,
}

/// Looks at the URLs; the server itself is asked at the first session.
///
/// # Errors
/// [`PeerError::Failed`] says what is wrong with a URL.
pub fn start(mut options: Options) -> Result<Box<dyn Peer>, PeerError> {
    if options.whep.is_empty() {
        options.whep = whep(&options.whip).ok_or_else(|| {
            PeerError::Failed(format!(
                "{} has no \"whip\" to make the WHEP URL of; name that with --whep",
                options.whip
            ))
        })?;
    }
    for url in [&options.whip, &options.whep] {
        if !url.starts_with("http://") {
            let why = format!("{url}: only http://host:port/path is understood; put a proxy before a server with TLS");
            return Err(PeerError::Failed(why));
        }
    }
    Ok(Box::new(Whip {
        options,
        next_token: AtomicUsize::new(0),
        sessions: Mutex::default(),
    }))
}

/// The last `whip` of the path as `whep`.
fn whep(whip: &str) -> Option<String> {
    let path = whip.find("://").map_or(0, |at| at + 3);
    let path = path + whip[path..].find('/')?;
    let at = path + whip[path..].rfind("whip")?;
    Some(format!("{}whep{}", &whip[..at], &whip[at + 4..]))
}

fn fill(template: &str, room: &str, stream: &str) -> String {
    template.replace("{room}", room).replace("{stream}", stream)
}

impl Whip {
    /// Sessions take the tokens in turn; one token is for everybody.
    fn token(&self) -> String {
        let turn = self.next_token.fetch_add(1, Ordering::Relaxed);
        let tokens = &self.options.tokens;
        tokens.get(turn % tokens.len().max(1)).cloned().unwrap_or_default()
    }

    async fn post(&self, room: &str, url: String, offer: &str) -> Result<String, PeerError> {
        let token = self.token();
        let answer = http::request("POST", &url, &token, "application/sdp", offer).await;
        let answer = answer.map_err(|e| PeerError::Failed(e.to_string()))?;
        match answer.status {
            // 200 is not what the RFC says, and what some servers answer to WHEP.
            200 | 201 => {
                if let Some(location) = answer.location {
                    let session = (room.to_owned(), absolute(&url, &location), token);
                    self.sessions.lock().await.push(session);
                }
                Ok(answer.body)
            }
            401 | 403 => Err(PeerError::Failed(format!(
                "{url}: {}: the server wants another token (--token): {}",
                answer.status, answer.body
            ))),
            404 | 405 | 501 => Err(PeerError::Unable(format!("{url}: {}: {}", answer.status, answer.body))),
            status => Err(PeerError::Failed(format!("{url}: {status}: {}", answer.body))),
        }
    }
}

/// A `Location` may be a whole URL, or a path on the same server.
fn absolute(url: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    format!("{}/{}", &url[..end], location.trim_start_matches('/'))
}

#[async_trait]
impl Peer for Whip {
    fn name(&self) -> &str {
        "whip"
    }

    fn description(&self) -> String {
        format!("WHIP at {}, WHEP at {}", self.options.whip, self.options.whep)
    }

    fn pid(&self) -> Option<u32> {
        self.options.pid
    }

    fn supports(&self, scenario: &Scenario) -> Result<(), PeerError> {
        match &scenario.rooms {
            Some(rooms) if !rooms.ringing => Ok(()),
            _ => Err(PeerError::Unable("WHIP and WHEP know no calls".to_owned())),
        }
    }

    async fn publish(&self, room: &str, publisher: &str, offer: String) -> Result<String, PeerError> {
        self.post(room, fill(&self.options.whip, room, publisher), &offer).await
    }

    fn viewer_offers(&self) -> bool {
        true
    }

    fn one_stream_each(&self) -> bool {
        self.options.whep.contains("{stream}")
    }

    async fn view(&self, room: &str, _: &str, wants: &[Want], offer: String) -> Result<String, PeerError> {
        let stream = wants.first().map_or("", |want| want.publisher.as_str());
        self.post(room, fill(&self.options.whep, room, stream), &offer).await
    }

    async fn view_offer(&self, _: &str, _: &str, _: &[Want]) -> Result<String, PeerError> {
        Err(PeerError::Unable("WHEP viewers offer".into()))
    }

    async fn view_answer(&self, _: &str, _: &str, _: String) -> Result<(), PeerError> {
        Err(PeerError::Unable("WHEP viewers offer".into()))
    }

    async fn clear(&self, room: &str) -> Result<(), PeerError> {
        let ended: Vec<_> = {
            let mut sessions = self.sessions.lock().await;
            let (ended, others) = sessions.drain(..).partition(|(r, ..)| r == room);
            *sessions = others;
            ended
        };
        for (_, url, token) in ended {
            // A session that the server ended by itself is as good.
            let deleted = http::request("DELETE", &url, &token, "", "").await;
            deleted.map_err(|e| PeerError::Failed(e.to_string()))?;
        }
        Ok(())
    }

    /// The process is not ours; the sessions are.
    async fn stop(&self) {
        let rooms: Vec<String> = self.sessions.lock().await.iter().map(|(r, ..)| r.clone()).collect();
        for room in rooms {
            let _ = self.clear(&room).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whep_url_is_made_of_the_whip_url() {
        let cases = [
            (
                "http://whip.example:8889/{room}/whip",
                "http://whip.example:8889/{room}/whep",
            ),
            ("http://h/whip/endpoint/{stream}", "http://h/whep/endpoint/{stream}"),
        ];
        for (whip, expected) in cases {
            assert_eq!(whep(whip).as_deref(), Some(expected));
        }
        assert_eq!(whep("http://whip.example/in/{room}"), None);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        let refused = |whip: &str| {
            let options = Options {
                whip: whip.to_owned(),
                ..Options::default()
            };
            start(options).err().unwrap().to_string()
        };
        assert!(refused("http://host/in").contains("--whep"));
        assert!(refused("https://host/whip").contains("TLS"));
    }

    #[test]
    fn a_location_is_a_url_or_a_path() {
        assert_eq!(absolute("http://h:1/a/whip", "/s/1"), "http://h:1/s/1");
        assert_eq!(absolute("http://h:1/a/whip", "s/1"), "http://h:1/s/1");
        assert_eq!(absolute("http://h:1/whip", "http://g/s"), "http://g/s");
    }

    #[test]
    fn tokens_are_one_or_those_of_a_file() {
        assert_eq!(Options::tokens("abc").unwrap(), ["abc"]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "a\nb\n").unwrap();
        assert_eq!(Options::tokens(&format!("@{}", file.display())).unwrap(), ["a", "b"]);
        std::fs::write(&file, "\n").unwrap();
        assert!(Options::tokens(&format!("@{}", file.display())).is_err());
        assert!(Options::tokens("@/nowhere/at/all").unwrap_err().contains("/nowhere"));
    }
}
