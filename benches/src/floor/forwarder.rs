//! The forwarder without its socket.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sfu_core::forward::{Arena, Route};
use sfu_core::rtcp::{Compound, Packet, Packets};
use sfu_core::rtp::Header;
use sfu_core::sdp::{
    AnswerParams, CodecKind, CodecPolicy, Extension, ExtensionIds, FurtherLines, NegotiatedMedia, OfferRules, Role,
    SdpError, SlotSsrcs, answer, parse_offer,
};
use sfu_core::transport::ufrag::Ufrag;
use sfu_core::transport::{
    IceCredentials, Identity, IdentityError, Incoming, MAX_SEAL_OVERHEAD, Transport, TransportConfig, TransportEvent,
    stun_local_ufrag,
};
use sfu_core::types::{Path, Random};

mod admission;
mod packet;

use super::fault::Faults;
use crate::peers::Want;

/// Between two key-frame requests for one stream.
const KEY_FRAME_GAP: Duration = Duration::from_millis(300);

/// It cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// The offer.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// The certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// m-lines and wishes do not match.
    #[error("the offer has {lines} m-lines to receive, and {wants} streams are wanted")]
    Lines {
        /// Receiving m-lines.
        lines: usize,
        /// Wishes.
        wants: usize,
    },
}

struct Randomness(StdRng);

impl Random for Randomness {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// A stream, wanted or published.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StreamKey {
    room: String,
    publisher: String,
    video: bool,
    layer: usize,
}

#[derive(Default)]
struct Stream {
    /// The publishing session and its SSRC, once known.
    source: Option<(usize, u32)>,
    legs: Vec<Leg>,
    asked: Option<Instant>,
}

/// One viewer of a stream.
struct Leg {
    session: usize,
    ssrc: u32,
    payload_type: u8,
    extensions: ExtensionIds,
    /// Indices sent are the publisher's less this: an SSRC begins at roll-over counter 0.
    base: Option<u64>,
}

struct Session {
    room: String,
    name: String,
    publishes: bool,
    epoch: u16,
    transport: Transport,
    media: Vec<NegotiatedMedia>,
    /// Publisher: its SSRCs to streams. Viewer: ours to streams.
    by_ssrc: HashMap<u32, usize>,
    transport_sequence: u16,
    route: Route,
}

/// All sessions of the forwarder.
pub struct Forwarder {
    address: SocketAddr,
    identity: Identity,
    random: Randomness,
    faults: Faults,
    sessions: Vec<Option<Session>>,
    epoch: u16,
    by_path: HashMap<Path, usize>,
    streams: Vec<Stream>,
    by_key: HashMap<StreamKey, usize>,
    /// Datagrams to send.
    pub outgoing: Arena,
    /// The last payload of each room: what a wrong-room fault delivers in another one.
    last: HashMap<String, Vec<u8>>,
    forwarded: u64,
}

impl Forwarder {
    /// A forwarder that is reached at `address`.
    ///
    /// # Errors
    /// [`FloorError::Identity`].
    pub fn new(address: SocketAddr, faults: Faults) -> Result<Self, FloorError> {
        Ok(Self {
            address,
            identity: Identity::generate()?,
            random: Randomness(StdRng::seed_from_u64(1)),
            faults,
            sessions: Vec::new(),
            epoch: 0,
            by_path: HashMap::new(),
            streams: Vec::new(),
            by_key: HashMap::new(),
            outgoing: Arena::default(),
            last: HashMap::new(),
            forwarded: 0,
        })
    }

    /// Packets forwarded so far.
    pub fn forwarded(&self) -> u64 {
        self.forwarded
    }

    /// Answers a publisher.
    ///
    /// # Errors
    /// [`FloorError::Sdp`].
    pub fn publish(&mut self, now: Instant, room: &str, name: &str, offer: &str) -> Result<String, FloorError> {
        self.admit(now, room, name, offer, None)
    }

    /// Answers a viewer, whose receiving m-lines are in the order of `wants`.
    ///
    /// # Errors
    /// [`FloorError`].
    pub fn view(
        &mut self,
        now: Instant,
        room: &str,
        name: &str,
        wants: &[Want],
        offer: &str,
    ) -> Result<String, FloorError> {
        self.admit(now, room, name, offer, Some(wants))
    }

    /// Ends everything in a room.
    pub fn clear(&mut self, now: Instant, room: &str) {
        for index in 0..self.sessions.len() {
            if self.sessions[index]
                .as_ref()
                .is_some_and(|session| session.room == room)
            {
                self.remove(now, index);
            }
        }
        self.by_key.retain(|key, _| key.room != room);
        if self.by_key.is_empty() {
            self.streams.clear();
        }
    }

    /// Takes one datagram from the socket.
    pub fn handle(&mut self, now: Instant, remote: SocketAddr, datagram: &mut [u8]) {
        let path = Path::Udp {
            local: self.address,
            remote,
        };
        let Some(index) = self.owner(&path, datagram) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        match session.transport.handle(now, path, datagram) {
            Incoming::Rtp { len, index: at } => {
                self.forward(now, index, &mut datagram[..len], at);
                return; // media makes no control packets
            }
            Incoming::Rtcp { len } => {
                let compound = &datagram[..len];
                let session = self.sessions[index].as_ref();
                let wanted: Vec<usize> = Packets::new(compound)
                    .filter_map(|packet| match packet {
                        Packet::KeyFrameRequest { ssrc } => session?.by_ssrc.get(&ssrc).copied(),
                        _ => None,
                    })
                    .collect();
                for stream in wanted {
                    self.ask_key_frame(now, stream);
                }
                return;
            }
            Incoming::Nothing | Incoming::Data(_) => {
                if session.transport.owns_path(&path) {
                    self.by_path.insert(path, index);
                }
            }
            Incoming::Dropped(_) => return,
        }
        self.drain(now, index);
    }

    /// What time brings: DTLS retransmissions and the ends of silent transports.
    pub fn tick(&mut self, now: Instant) {
        for index in 0..self.sessions.len() {
            if let Some(session) = &mut self.sessions[index]
                && session.transport.next_deadline().is_some_and(|at| at <= now)
            {
                session.transport.handle_timeout(now);
                self.drain(now, index);
            }
        }
    }

    fn owner(&self, path: &Path, datagram: &[u8]) -> Option<usize> {
        if datagram.first().is_some_and(|first| *first < 4) {
            let place = Ufrag::decode(stun_local_ufrag(datagram)?)?;
            let session = self.sessions.get(place.slot as usize)?.as_ref()?;
            return (session.epoch == place.epoch).then_some(place.slot as usize);
        }
        self.by_path.get(path).copied()
    }

    fn drain(&mut self, now: Instant, index: usize) {
        let mut over = false;
        while let Some(session) = self.sessions[index].as_mut() {
            if let Some((path, datagram)) = session.transport.poll_transmit() {
                self.outgoing.push(path, &datagram);
                continue;
            }
            match session.transport.poll_event() {
                None => break,
                Some(TransportEvent::Connected) if !session.publishes => {
                    let wanted: Vec<usize> = session.by_ssrc.values().copied().collect();
                    for stream in wanted {
                        self.ask_key_frame(now, stream);
                    }
                }
                Some(TransportEvent::Closed | TransportEvent::Failed(_)) => over = true,
                Some(_) => {}
            }
        }
        if over {
            self.remove(now, index);
        }
    }

    fn ask_key_frame(&mut self, now: Instant, stream: usize) {
        let Some(stream) = self.streams.get_mut(stream) else {
            return;
        };
        if stream.asked.is_some_and(|at| now < at + KEY_FRAME_GAP) {
            return;
        }
        let Some((source, ssrc)) = stream.source else { return };
        let Some(session) = self.sessions[source].as_mut() else {
            return;
        };
        let is_video = session.media.iter().any(|media| {
            media.kind == sfu_core::sdp::MediaKind::Video
                && (media.ssrcs.streams.iter().any(|(s, _)| *s == ssrc) || !media.rids.is_empty())
        });
        let Some(path) = session.transport.path().filter(|_| is_video) else {
            return;
        };
        let mut buffer = [0; 64];
        let mut compound = Compound::new(&mut buffer);
        if !(compound.receiver_report(1, &[]) && compound.picture_loss(1, ssrc)) {
            return;
        }
        let length = compound.len();
        if let Ok(length) = session.transport.seal_rtcp(&mut buffer, length) {
            stream.asked = Some(now);
            self.outgoing.push(path, &buffer[..length]);
        }
    }
}

fn stream(by_key: &mut HashMap<StreamKey, usize>, streams: &mut Vec<Stream>, key: StreamKey) -> usize {
    *by_key.entry(key).or_insert_with(|| {
        streams.push(Stream::default());
        streams.len() - 1
    })
}
