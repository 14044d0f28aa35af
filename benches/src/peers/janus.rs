//! Janus with its video room plugin (Debian package `janus`), started with a configuration folder of its own and driven over
//! its WebSocket API. Viewers answer there: the server offers.
//!
//! libnice gathers no loopback candidates, so that Janus needs an interface with another address; `tools/in-namespace`
//! makes one.

mod api;
mod config;

use std::collections::HashMap;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use self::api::{Api, HandleId};
use super::{Peer, PeerError, Want};
use crate::scenario::{Codec, Scenario};

/// How Janus is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads that carry media (`event_loops`); `None`: as it comes, one thread per connection.
    pub event_loops: Option<u32>,
    /// The only address that it offers; `None`: all that it finds.
    pub address: Option<IpAddr>,
}

/// How long it may take to answer its port.
const START: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Rooms {
    /// By name: the plugin's number, and a handle that manages it.
    rooms: HashMap<String, (u64, HandleId)>,
    publishers: HashMap<(String, String), Published>,
    viewers: HashMap<(String, String), Viewer>,
    next: u64,
}

struct Published {
    feed: u64,
    handle: HandleId,
    /// Of its m-lines.
    audio: Option<String>,
    video: Option<String>,
}

struct Viewer {
    handle: HandleId,
    wants: Vec<Want>,
}

/// A running Janus.
pub struct Janus {
    options: Options,
    version: String,
    codec: &'static str,
    child: Mutex<Child>,
    pid: Option<u32>,
    api: Api,
    rooms: Mutex<Rooms>,
    _folder: TempDir,
}

/// Starts Janus as the package would.
///
/// # Errors
/// [`PeerError::Unable`] when it is not installed.
pub async fn start(scenario: &Scenario) -> Result<Box<dyn Peer>, PeerError> {
    start_with(scenario, Options::default()).await
}

/// Starts it in another way.
///
/// # Errors
/// [`PeerError`].
pub async fn start_with(scenario: &Scenario, options: Options) -> Result<Box<dyn Peer>, PeerError> {
    supports(scenario)?;
    let version = Command::new("janus").arg("--version").output().await.map_err(|_| {
        PeerError::Unable("Janus is not installed; install it with: sudo apt-get install -y janus".to_owned())
    })?;
    let version = format!(
        "{}{}",
        String::from_utf8_lossy(&version.stdout),
        String::from_utf8_lossy(&version.stderr)
    );
    // "Janus version: 1102 (1.1.2)", among other lines.
    let version = version.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let version = version.map_or("of unknown version", |(version, _)| version).to_owned();
    let failed = |what: &str, error: &dyn std::fmt::Display| PeerError::Failed(format!("Janus {what}: {error}"));
    let folder = tempfile::tempdir().map_err(|e| failed("has no folder", &e))?;
    let port = config::free_port().map_err(|e| failed("has no port", &e))?;
    config::write(folder.path(), port, &options).map_err(|e| failed("has no configuration", &e))?;
    let log = std::fs::File::create(folder.path().join("log")).map_err(|e| failed("has no log", &e))?;
    let mut child = Command::new("janus")
        .arg("-F")
        .arg(folder.path())
        .arg("-o")
        .stdin(Stdio::null())
        .stderr(log.try_clone().map_err(|e| failed("has no log", &e))?)
        .stdout(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed("does not start", &e))?;
    let url = format!("ws://127.0.0.1:{port}");
    let deadline = tokio::time::Instant::now() + START;
    let api = loop {
        match Api::connect(&url).await {
            Ok(api) => break api,
            Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            let last = log
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default();
            return Err(PeerError::Failed(format!("Janus ended at once ({status}): {last}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let codec = scenario.rooms.as_ref().and_then(|rooms| rooms.video.as_ref());
    Ok(Box::new(Janus {
        options,
        version,
        codec: match codec.map(|video| video.codec).unwrap_or_default() {
            Codec::Vp8 => "vp8",
            Codec::H264 => "h264",
            Codec::Vp9 => "vp9",
            Codec::Av1 => "av1",
        },
        pid: child.id(),
        child: Mutex::new(child),
        api,
        rooms: Mutex::new(Rooms::default()),
        _folder: folder,
    }))
}

fn supports(scenario: &Scenario) -> Result<(), PeerError> {
    let unable = |why: &str| Err(PeerError::Unable(format!("Janus' video room {why}")));
    let Some(rooms) = &scenario.rooms else {
        return unable("has no calls and no accounts");
    };
    if rooms.ringing {
        return unable("rings nobody");
    }
    Ok(())
}

impl Janus {
    /// The plugin's number of a room, which is made when it is new.
    async fn room(&self, rooms: &mut Rooms, name: &str) -> Result<u64, PeerError> {
        if let Some((number, _)) = rooms.rooms.get(name) {
            return Ok(*number);
        }
        let handle = self.api.attach().await?;
        rooms.next += 1;
        let number = rooms.next;
        // No limit of bitrate, no key frames on a timer: as the other servers.
        let body = json!({
            "request": "create", "room": number, "publishers": 1_000, "bitrate": 0, "fir_freq": 0,
            "audiocodec": "opus", "videocodec": self.codec, "notify_joining": false,
        });
        self.api.message(handle, body, None).await?;
        rooms.rooms.insert(name.to_owned(), (number, handle));
        Ok(number)
    }

    /// Waits until those whom somebody wants to see are connected: before, Janus knows no such feed.
    async fn wait_for(&self, room: &str, wants: &[Want]) -> Result<(), PeerError> {
        let handles: Vec<HandleId> = {
            let rooms = self.rooms.lock().await;
            let key = |want: &Want| (room.to_owned(), want.publisher.clone());
            let known = |want| rooms.publishers.get(&key(want)).map(|p| p.handle);
            wants.iter().filter_map(known).collect()
        };
        for handle in handles {
            self.api.up(handle).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Peer for Janus {
    fn name(&self) -> &str {
        if self.options.event_loops.is_some() {
            "janus-loops"
        } else {
            "janus"
        }
    }

    fn description(&self) -> String {
        let threads = match self.options.event_loops {
            Some(loops) => format!("{loops} event loops"),
            None => "default: a thread per connection".to_owned(),
        };
        format!("Janus {}, video room, {threads}", self.version)
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }

    fn supports(&self, scenario: &Scenario) -> Result<(), PeerError> {
        supports(scenario)
    }

    async fn publish(&self, room: &str, publisher: &str, offer: String) -> Result<String, PeerError> {
        let mut rooms = self.rooms.lock().await;
        let number = self.room(&mut rooms, room).await?;
        rooms.next += 1;
        let feed = rooms.next;
        let handle = self.api.attach().await?;
        let body = json!({
            "request": "joinandconfigure", "ptype": "publisher", "room": number, "id": feed, "display": publisher,
            "audio": true, "video": true,
        });
        let jsep = json!({ "type": "offer", "sdp": offer });
        let answer = self.api.message(handle, body, Some(jsep)).await?;
        let published = Published {
            feed,
            handle,
            audio: mid(&offer, "audio"),
            video: mid(&offer, "video"),
        };
        rooms
            .publishers
            .insert((room.to_owned(), publisher.to_owned()), published);
        reachable(sdp(&answer)?)
    }

    fn viewer_offers(&self) -> bool {
        false
    }

    async fn view(&self, _: &str, _: &str, _: &[Want], _: String) -> Result<String, PeerError> {
        Err(PeerError::Unable("viewers of Janus answer its offer".to_owned()))
    }

    async fn view_offer(&self, room: &str, viewer: &str, wants: &[Want]) -> Result<String, PeerError> {
        self.wait_for(room, wants).await?;
        let mut rooms = self.rooms.lock().await;
        let number = self.room(&mut rooms, room).await?;
        let mut streams = Vec::with_capacity(wants.len());
        for want in wants {
            let published = rooms.publishers.get(&(room.to_owned(), want.publisher.clone()));
            let stream =
                published.and_then(|p| Some((p.feed, if want.video { p.video.as_ref() } else { p.audio.as_ref() }?)));
            let (feed, mid) = stream
                .ok_or_else(|| PeerError::Failed(format!("{} does not publish what {viewer} wants", want.publisher)))?;
            streams.push(json!({ "feed": feed, "mid": mid }));
        }
        let handle = self.api.attach().await?;
        let body = json!({
            "request": "join", "ptype": "subscriber", "room": number, "streams": streams, "use_msid": false,
        });
        let offer = self.api.message(handle, body, None).await?;
        let entry = Viewer {
            handle,
            wants: wants.to_vec(),
        };
        rooms.viewers.insert((room.to_owned(), viewer.to_owned()), entry);
        reachable(sdp(&offer)?)
    }

    async fn view_answer(&self, room: &str, viewer: &str, answer: String) -> Result<(), PeerError> {
        let rooms = self.rooms.lock().await;
        let entry = rooms
            .viewers
            .get(&(room.to_owned(), viewer.to_owned()))
            .ok_or_else(|| PeerError::Failed(format!("{viewer} has no offer to answer")))?;
        let jsep = json!({ "type": "answer", "sdp": answer });
        self.api
            .message(entry.handle, json!({ "request": "start" }), Some(jsep))
            .await?;
        let layers: Vec<Value> = entry
            .wants
            .iter()
            .enumerate()
            .filter(|(_, want)| want.video)
            .map(|(at, want)| json!({ "mid": at.to_string(), "substream": want.layer, "temporal": 2 }))
            .collect();
        if !layers.is_empty() {
            let body = json!({ "request": "configure", "streams": layers });
            self.api.message(entry.handle, body, None).await?;
        }
        Ok(())
    }

    async fn clear(&self, room: &str) -> Result<(), PeerError> {
        let mut rooms = self.rooms.lock().await;
        let mut handles: Vec<HandleId> = Vec::new();
        handles.extend(
            rooms
                .publishers
                .iter()
                .filter(|((r, _), _)| r == room)
                .map(|(_, p)| p.handle),
        );
        handles.extend(
            rooms
                .viewers
                .iter()
                .filter(|((r, _), _)| r == room)
                .map(|(_, v)| v.handle),
        );
        rooms.publishers.retain(|(r, _), _| r != room);
        rooms.viewers.retain(|(r, _), _| r != room);
        for handle in handles {
            self.api.detach(handle).await?;
        }
        if let Some((number, handle)) = rooms.rooms.remove(room) {
            let body = json!({ "request": "destroy", "room": number });
            self.api.message(handle, body, None).await?;
            self.api.detach(handle).await?;
        }
        Ok(())
    }

    async fn stop(&self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.lock().await.kill().await;
    }
}

/// The mid of the first m-line of a kind.
fn mid(offer: &str, kind: &str) -> Option<String> {
    let start = offer.find(&format!("m={kind} "))?;
    let section = offer[start + 2..].split("\nm=").next()?;
    section
        .lines()
        .find_map(|line| Some(line.trim().strip_prefix("a=mid:")?.to_owned()))
}

fn sdp(message: &Value) -> Result<String, PeerError> {
    message["jsep"]["sdp"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| PeerError::Failed(format!("Janus sent no session description: {message}")))
}

/// An SDP without a candidate is of no use to anybody.
fn reachable(sdp: String) -> Result<String, PeerError> {
    if sdp.contains("a=candidate:") {
        return Ok(sdp);
    }
    let why = "Janus has no address to offer: it takes no loopback interface; run this under tools/in-namespace";
    Err(PeerError::Unable(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mid_of_each_kind_is_found() {
        let offer = "v=0\r\nm=audio 9 X 1\r\na=mid:a0\r\nm=video 9 X 2\r\na=ssrc:1 x\r\na=mid:v0\r\n";
        assert_eq!(mid(offer, "audio").as_deref(), Some("a0"));
        assert_eq!(mid(offer, "video").as_deref(), Some("v0"));
        assert_eq!(
            mid("v=0\r\nm=audio 9 X 1\r\nm=video 9 X 2\r\na=mid:v\r\n", "audio"),
            None
        );
    }
}
