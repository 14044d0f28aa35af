//! What the rooms of every kind of door have in common: connections that are carried until they are up, talkers that take
//! turns, the numbers in the stamps.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::{Mutex, mpsc};

use crate::engine::connection::ConnectionError;
use crate::engine::kinds::Negotiated;
use crate::engine::{Client, ClientEvent, Engine};
use crate::impair::sdp::first_candidate;
use crate::impair::{Impairment, Proxy};
use crate::media::flow::{News, Viewer};
use crate::media::schedule::{Schedule, Who};
use crate::media::stamp::now_ns;
use crate::peers::PeerError;
use crate::report::model::timing;
use crate::ringhall::ServerError;
use crate::ringhall::signal::SignalError;
use crate::scenario::{Audio, Rooms};

use super::meter::Board;

/// How long DTLS may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// Why a round has no figures.
#[derive(Debug)]
pub(super) enum Halt {
    /// The target lacks something.
    Skipped(String),
    /// Something failed.
    Failed(String),
}

impl From<PeerError> for Halt {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Unable(why) => Self::Skipped(why),
            PeerError::Failed(why) => Self::Failed(why),
        }
    }
}

impl From<ConnectionError> for Halt {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Lacks(_) => Self::Skipped(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<SignalError> for Halt {
    fn from(error: SignalError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ServerError> for Halt {
    fn from(error: ServerError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What stands between clients and server: nothing, or a proxy that is made when the server's address is first known.
#[derive(Default)]
pub(super) struct BadLink {
    config: Option<Impairment>,
    listen: Option<IpAddr>,
    proxy: Mutex<Option<Proxy>>,
}

impl BadLink {
    pub(super) fn new(config: Option<Impairment>, listen: IpAddr) -> Self {
        Self {
            listen: Some(listen),
            config: config.filter(|c| !c.is_perfect()),
            proxy: Mutex::default(),
        }
    }

    /// By which address the server that described itself so is to be reached; `None`: by its own.
    pub(super) async fn through(&self, sdp: &str) -> Result<Option<SocketAddr>, Halt> {
        let Some(config) = &self.config else { return Ok(None) };
        let mut proxy = self.proxy.lock().await;
        if let Some(proxy) = &*proxy {
            return Ok(Some(proxy.address()));
        }
        let server = first_candidate(sdp).ok_or_else(|| Halt::Failed("the server names no UDP candidate".into()))?;
        let listen = SocketAddr::new(self.listen.unwrap_or(IpAddr::from([127, 0, 0, 1])), 0);
        let made = Proxy::start(config.clone(), listen, server)?;
        let address = made.address();
        *proxy = Some(made);
        Ok(Some(address))
    }

    /// The link's schedule begins with the window.
    pub(super) async fn begin(&self) {
        if let Some(proxy) = &*self.proxy.lock().await {
            proxy.restart_schedule().await;
        }
    }

    /// What the link did goes into the report.
    pub(super) async fn note(&self, board: &Board) {
        let Some(proxy) = &*self.proxy.lock().await else { return };
        let Some(report) = proxy.report().await else { return };
        for (name, stats) in [("up", report.up), ("down", report.down)] {
            board.extra(&format!("link_{name}_lost"), (stats.lost + stats.blacked_out) as f64);
            board.extra(&format!("link_{name}_overflowed"), stats.overflowed as f64);
            board.extra(&format!("link_{name}_queue_max_ms"), stats.queue_max_ms);
        }
    }
}

/// What every task of a round needs.
#[derive(Clone)]
pub(super) struct Crowd {
    /// Media threads.
    pub(super) engine: Arc<Engine>,
    /// Where things are noted.
    pub(super) board: Arc<Board>,
    /// Address of the clients' sockets.
    pub(super) bind: IpAddr,
    /// What stands between clients and server.
    pub(super) link: Arc<BadLink>,
    /// Number of the round, in the stamps.
    pub(super) run: u16,
    /// Seed of the round.
    pub(super) seed: u64,
}

impl Crowd {
    /// Randomness of its own for everything with a name.
    pub(super) fn random(&self, name: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ name.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The schedule of a publisher.
    pub(super) fn schedule(&self, rooms: &Rooms, room: usize, publisher: u32, talking: bool) -> Schedule {
        let who = Who {
            run: self.run,
            room: room as u16,
            publisher,
        };
        let phase = self.random(u64::from(publisher) + 1).random::<f64>();
        let mut schedule = Schedule::new(
            who,
            rooms.audio.bitrate,
            rooms.video.as_ref(),
            Instant::now() + Duration::from_millis(50),
            phase,
        );
        schedule.talk(talking);
        schedule
    }

    /// Runs a connection and waits until it is up; `began` is when its person decided to join,
    /// and whether for the first time. What it sees is noted afterwards, and changes of what it is shown go to `shown`.
    ///
    /// # Errors
    /// [`Halt::Failed`] when it does not come up in time.
    pub(super) async fn carry(
        &self,
        connection: Negotiated,
        schedule: Option<Schedule>,
        room: usize,
        (began, first): (Instant, bool),
        shown: Option<mpsc::UnboundedSender<(News, u64)>>,
    ) -> Result<u64, Halt> {
        let began_ns = now_ns().saturating_sub(began.elapsed().as_nanos() as u64);
        let viewer = Viewer::new(self.run, room as u16);
        let mut client = self.engine.add(connection, schedule, viewer);
        let id = client.id();
        let up = tokio::time::timeout(CONNECT_WITHIN, async {
            loop {
                match client.events.recv().await {
                    Some(ClientEvent::Connected) => return true,
                    Some(ClientEvent::News(..)) => {}
                    Some(ClientEvent::Failed) | None => return false,
                }
            }
        });
        match up.await {
            Ok(true) => {
                self.board.connected.fetch_add(1, Ordering::Relaxed);
                if first {
                    self.board.took(timing::JOIN, began.elapsed());
                }
            }
            other => {
                self.engine.remove(id);
                let why = if other.is_err() {
                    "no DTLS connection within 20 s"
                } else {
                    "the connection broke"
                };
                return Err(Halt::Failed(why.into()));
            }
        }
        tokio::spawn(listen(self.board.clone(), client, (began_ns, first), shown));
        Ok(id)
    }
}

async fn listen(
    board: Arc<Board>,
    mut client: Client,
    (began_ns, first): (u64, bool),
    shown: Option<mpsc::UnboundedSender<(News, u64)>>,
) {
    while let Some(event) = client.events.recv().await {
        let ClientEvent::News(news, at_ns) = event else {
            continue;
        };
        let since = Duration::from_nanos(at_ns.saturating_sub(began_ns));
        match news {
            News::FirstFrame if first => board.took(timing::FIRST_FRAME, since),
            News::FirstAudio if first => board.took(timing::FIRST_AUDIO, since),
            _ => {}
        }
        if let Some(shown) = &shown {
            let _ = shown.send((news, at_ns));
        }
    }
}

/// Who of a room talks at the beginning.
pub(super) fn talks_first(audio: &Audio, number: usize) -> bool {
    audio.talkers == 0 || number < audio.talkers
}

/// The talkers of each room change now and then, until this is dropped. `rooms` holds the publishers' connections.
pub(super) async fn take_turns(crowd: Crowd, audio: Audio, rooms: Vec<Vec<u64>>) {
    if audio.talkers == 0 || audio.change_seconds <= 0.0 {
        return std::future::pending().await;
    }
    let mut random = crowd.random(0);
    let mut talking: Vec<Vec<u64>> = rooms
        .iter()
        .map(|r| r.iter().take(audio.talkers).copied().collect())
        .collect();
    loop {
        tokio::time::sleep(Duration::from_secs_f64(audio.change_seconds)).await;
        for (room, talking) in rooms.iter().zip(&mut talking) {
            let silent: Vec<u64> = room.iter().filter(|id| !talking.contains(id)).copied().collect();
            if silent.is_empty() || talking.is_empty() {
                continue;
            }
            let next = silent[pick(&mut random, silent.len())];
            let last = pick(&mut random, talking.len());
            crowd.engine.talk(talking[last], false);
            crowd.engine.talk(next, true);
            talking[last] = next;
        }
    }
}

/// A number below `below`.
pub(super) fn pick(random: &mut impl Rng, below: usize) -> usize {
    random.random_range(0..below.max(1))
}

/// When join number `number` of `all` is due after the beginning.
pub(super) fn ramp(seconds: f64, number: usize, all: usize) -> Duration {
    Duration::from_secs_f64((seconds * number as f64 / all.max(1) as f64).max(0.0))
}
