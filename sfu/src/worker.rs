//! The thread of one shard: wait, receive a batch, send a batch; [`crate::desk`] has the commands and events.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sfu_core::forward::PacketBuffer;
use sfu_core::shard::{Shard, ShardConfig};
use sfu_core::transport::Identity;
use sfu_core::types::{ParticipantId, Random, RoomId};
use tokio::sync::mpsc;

use crate::config::{MediaConfig, StartError};
use crate::delays::Delays;
use crate::lines::{self, Inbound};
use crate::messages::{Command, Told};
use crate::relay::{Links, Taken};
use crate::roster::Roster;
use crate::socket::Sockets;
use crate::sys::{self, Inbox, Waker};
use crate::tunnel::MakeTunnel;

/// Commands taken between two packet batches, so that a crowd of joins does not hold the packets up.
const COMMANDS_PER_TURN: usize = 8;
/// Pieces of lines taken between two packet batches, for the same reason.
const PIECES_PER_TURN: usize = 64;
/// Bytes in the arena after which it is flushed within a batch: they are still in the second-level cache then.
const FLUSH_BYTES: usize = 512 << 10;
/// While packets keep coming they are gathered for this long: what then goes to one viewer goes as one message, and the
/// thread wakes 2,000 times a second at most. A packet that comes after a longer pause is forwarded at once.
const GATHER: Duration = Duration::from_micros(500);
/// Batches after which gathering is tried again when it brought nothing: at a few hundred batches a second it costs a wake each
/// time and saves none.
const GATHER_AGAIN: u32 = 16;
/// Longest sleep, also while events wait for a slow receiver.
const MAX_SLEEP: Duration = Duration::from_millis(500);

pub(crate) struct Started {
    pub(crate) waker: Waker,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) candidates: Vec<SocketAddr>,
    pub(crate) thread: JoinHandle<()>,
}

struct OsRandom;

impl Random for OsRandom {
    fn fill(&mut self, out: &mut [u8]) {
        rand::RngExt::fill(&mut rand::rng(), out);
    }
}

pub(crate) struct Worker {
    pub(crate) shard: Shard,
    pub(crate) sockets: Sockets,
    /// Who is connected or connecting: room and name.
    pub(crate) present: HashMap<ParticipantId, (RoomId, String)>,
    /// Queues to and from the shards that share a call with this one.
    pub(crate) links: Links,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Told>,
    pub(crate) waker: Waker,
    pub(crate) delays: Delays,
    /// Commands were left in the queue.
    pub(crate) commands_left: bool,
    pub(crate) from_lines: mpsc::Receiver<Inbound>,
    /// Pieces were left in the queue of the lines.
    pieces_left: bool,
    /// Where datagrams of lines are unpacked.
    unpacked: PacketBuffer,
    pub(crate) roster: Roster,
}

/// Why a sleep is over; neither: a deadline.
#[derive(Clone, Copy)]
struct Woken {
    /// Packets have come, or may have.
    packets: bool,
    waker: bool,
}

/// The shard's ends of what connects it with asynchronous code.
pub(crate) struct Outside {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Told>,
    pub(crate) lines: mpsc::Receiver<Inbound>,
    pub(crate) roster: Roster,
}

pub(crate) fn start(
    config: &MediaConfig,
    number: u8,
    outside: Outside,
    tunnel: MakeTunnel<'_>,
) -> Result<Started, StartError> {
    let mut sockets = Sockets::open(config, number)?;
    let waker = Waker::new()?;
    let addresses = sockets.addresses();
    let candidates = sockets.candidates(&config.advertise);
    if let Some(tunnel) = tunnel(&candidates) {
        sockets.share_with(tunnel);
    }
    let shard_config = ShardConfig {
        node: config.node,
        shard: number,
        candidates: candidates.clone(),
        tcp_candidates: tcp_candidates(config, &candidates),
        codecs: config.codecs.clone(),
        speakers: config.speakers,
    };
    let shard = Shard::new(shard_config, Identity::generate()?, Box::new(OsRandom), Instant::now());
    let mut worker = Worker {
        shard,
        sockets,
        present: HashMap::new(),
        links: Links::default(),
        commands: outside.commands,
        events: outside.events,
        waker: waker.clone(),
        delays: Delays::default(),
        commands_left: false,
        from_lines: outside.lines,
        pieces_left: false,
        unpacked: PacketBuffer::default(),
        roster: outside.roster,
    };
    let thread = std::thread::Builder::new()
        .name(format!("media-{number}"))
        .spawn(move || worker.run())?;
    Ok(Started {
        waker,
        addresses,
        candidates,
        thread,
    })
}

/// The addresses among `candidates` at which TCP is taken too.
fn tcp_candidates(config: &MediaConfig, candidates: &[SocketAddr]) -> Vec<SocketAddr> {
    let translated = !config.advertise.is_empty();
    let tcp = config.tcp.as_ref();
    tcp.map_or_else(Vec::new, |tcp| tcp.addresses(candidates, translated))
}

impl Worker {
    fn run(&mut self) {
        let mut inbox = Inbox::new();
        let mut waits: Vec<_> = self.sockets.descriptors().map(sys::readable).collect();
        waits.push(sys::readable(self.waker.descriptor()));
        let mut busy = false;
        let mut received_at = None;
        let mut in_vain = 0_u32;
        while !self.waker.stopped() {
            let mut woken = Woken {
                packets: true,
                waker: false,
            };
            if !busy {
                woken = self.sleep(&mut waits, received_at.filter(|_| in_vain == 0));
            }
            let now = Instant::now();
            let before = self.sockets.counters.received;
            busy = woken.packets && self.receive(&mut inbox, now);
            if self.sockets.counters.received != before {
                in_vain = in_vain.saturating_sub(1);
                received_at = Some(now);
            } else if in_vain == 0 && received_at.is_some_and(|at| now >= at + GATHER) {
                in_vain = GATHER_AGAIN;
                received_at = None;
            }
            if self.shard.next_deadline().is_some_and(|at| at <= now) {
                self.guarded(|worker| worker.shard.handle_timeout(now));
            }
            if let Some(tunnel) = self.sockets.tunnel()
                && tunnel.next_deadline().is_some_and(|at| at <= now)
            {
                tunnel.handle_timeout(now);
            }
            let woken = self.waker.take(woken.waker);
            busy |= self.take_commands(woken);
            busy |= self.take_pieces(woken, now);
            let since = self.take_relays(now);
            self.post_relays(now);
            self.hand_over_events();
            self.flush(since);
        }
        self.goodbye();
    }

    /// Sleeps until there is something to do. The last of `waits` is the waker's.
    fn sleep(&mut self, waits: &mut [libc::pollfd], received_at: Option<Instant>) -> Woken {
        let now = Instant::now();
        let tunnel = self.sockets.tunnel().and_then(|tunnel| tunnel.next_deadline());
        let deadline = self.shard.next_deadline().into_iter().chain(tunnel).min();
        let limit = deadline
            .map_or(MAX_SLEEP, |at| at.saturating_duration_since(now))
            .min(MAX_SLEEP);
        let gathering = received_at.map_or(Duration::ZERO, |at| (at + GATHER).saturating_duration_since(now));
        if gathering.is_zero() {
            sys::wait(waits, limit);
        } else if let Some(waker) = waits.last_mut() {
            sys::wait(std::slice::from_mut(waker), gathering.min(limit));
        }
        let Some((waker, sockets)) = waits.split_last() else {
            return Woken {
                packets: true,
                waker: false,
            };
        };
        Woken {
            packets: !gathering.is_zero() || sockets.iter().any(|socket| socket.revents != 0),
            waker: waker.revents != 0,
        }
    }

    /// Takes a batch from every socket; whether more may be waiting.
    fn receive(&mut self, inbox: &mut Inbox, now: Instant) -> bool {
        let Self {
            shard,
            sockets,
            delays,
            present,
            ..
        } = self;
        // Asked when a tunnel is made or prolonged, not per packet.
        let takes_part = |name: &str| present.values().any(|(_, known)| known == name);
        let (mut failed, mut more) = (false, false);
        for socket in 0..sockets.len() {
            more |= sockets.receive(socket, inbox);
            inbox.each(|remote, local, buffer| {
                sockets.counters.received += 1;
                let path = sockets.path(socket, remote, local);
                let Some(path) = path.and_then(|path| sockets.divert(now, path, buffer, &takes_part)) else {
                    return;
                };
                failed |= contained(shard, |shard| shard.handle_datagram(now, path, buffer)).is_none();
                if shard.outgoing().len() >= FLUSH_BYTES {
                    flush(shard, sockets, delays, now);
                }
            });
        }
        if failed {
            self.after_failure();
        }
        more
    }

    /// Takes what has come from other shards. Since when the oldest of it, or of this turn, has been in the server.
    fn take_relays(&mut self, now: Instant) -> Instant {
        let Self { shard, links, .. } = self;
        let (mut since, mut failed) = (now, false);
        links.take(|from, taken| {
            let done = contained(shard, |shard| match taken {
                Taken::Packet(packet) => {
                    if packet.head.behind == 0 {
                        since = since.min(packet.head.at);
                    }
                    shard.take_packet(now, from, packet);
                }
                Taken::Word(word) => shard.take_word(now, from, word),
            });
            failed |= done.is_none();
        });
        if failed {
            self.after_failure();
        }
        since
    }

    /// Gives the other shards what is theirs, and wakes them.
    fn post_relays(&mut self, now: Instant) {
        if self.shard.has_relays() {
            self.guarded(|worker| worker.shard.post_relays(now, &mut worker.links));
            self.links.wake();
        }
    }

    fn flush(&mut self, since: Instant) {
        flush(&mut self.shard, &mut self.sockets, &mut self.delays, since);
        let Self { shard, sockets, .. } = self;
        sockets
            .lines
            .each_backlog(|path, backlog| shard.backlog(since, path, backlog));
    }

    /// Runs a piece of shard work; a panic in it ends the room that it was for.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(result) => Some(result),
            Err(_) => {
                if !end_room(&mut self.shard) {
                    self.waker.stop();
                }
                self.after_failure();
                None
            }
        }
    }

    fn after_failure(&mut self) {
        tracing::error!("a defect in the media plane ended a room; its transports are gone");
    }

    /// Whether more commands are waiting.
    fn take_commands(&mut self, woken: bool) -> bool {
        if !woken && !self.commands_left {
            return false;
        }
        self.commands_left = true;
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else {
                self.commands_left = false;
                break;
            };
            self.guarded(|worker| worker.command(command));
        }
        self.commands_left
    }

    /// Takes what came by lines; whether more is waiting.
    fn take_pieces(&mut self, woken: bool, now: Instant) -> bool {
        if !woken && !self.pieces_left {
            return false;
        }
        self.pieces_left = true;
        for _ in 0..PIECES_PER_TURN {
            let Ok(piece) = self.from_lines.try_recv() else {
                self.pieces_left = false;
                break;
            };
            match piece {
                Inbound::Open(number, end) => self.sockets.lines.open(number, end),
                Inbound::Closed(number) => self.sockets.lines.close(number),
                Inbound::Datagrams(path, bytes) => {
                    for datagram in lines::datagrams(&bytes) {
                        self.sockets.counters.received += 1;
                        if !self.unpacked.fill(datagram) {
                            continue;
                        }
                        let Self { shard, unpacked, .. } = self;
                        if contained(shard, |shard| shard.handle_datagram(now, path, unpacked)).is_none() {
                            self.after_failure();
                        }
                    }
                    if self.shard.outgoing().len() >= FLUSH_BYTES {
                        self.flush(now);
                    }
                }
            }
        }
        self.pieces_left
    }

    /// Everybody is told that it is over.
    fn goodbye(&mut self) {
        let rooms: HashSet<RoomId> = self.present.values().map(|(room, _)| *room).collect();
        for room in rooms {
            self.guarded(|worker| worker.close_room(Instant::now(), room));
        }
        self.flush(Instant::now());
    }
}

/// Sends what waits. What it brought into being came at `since`.
fn flush(shard: &mut Shard, sockets: &mut Sockets, delays: &mut Delays, since: Instant) {
    if shard.outgoing().is_empty() && sockets.is_empty() {
        return;
    }
    let before = sockets.counters.sent;
    sockets.flush(shard.outgoing());
    delays.note(since.elapsed(), sockets.counters.sent - before);
}

/// Runs shard work; after a panic the room is ended and `None` returned.
fn contained<T>(shard: &mut Shard, work: impl FnOnce(&mut Shard) -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(|| work(shard))).ok();
    if result.is_none() {
        end_room(shard);
    }
    result
}

/// After a panic: ends the room whose work it was. `false` when it was no room's: then nothing is to be trusted, the
/// thread ends, and signaling sees `Unavailable`.
fn end_room(shard: &mut Shard) -> bool {
    let room = shard.working_on();
    if let Some(room) = room {
        shard.fail_room(room);
    }
    room.is_some()
}
