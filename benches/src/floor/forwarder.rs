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

    fn admit(
        &mut self,
        now: Instant,
        room: &str,
        name: &str,
        offer: &str,
        wants: Option<&[Want]>,
    ) -> Result<String, FloorError> {
        let publishes = wants.is_none();
        let rules = OfferRules {
            mids: &BTreeMap::new(),
            further_lines: FurtherLines::People,
            publish: publishes,
            subscribe: !publishes,
        };
        let offer = parse_offer(offer, &rules)?;
        let slots: Vec<&str> = offer
            .media
            .iter()
            .filter(|media| matches!(media.role, Role::Slot(_)))
            .map(|media| media.mid.as_str())
            .collect();
        let wants = wants.unwrap_or_default();
        if slots.len() != wants.len() {
            return Err(FloorError::Lines {
                lines: slots.len(),
                wants: wants.len(),
            });
        }
        let ssrcs: BTreeMap<String, SlotSsrcs> = slots
            .iter()
            .map(|mid| {
                let (ssrc, rtx) = (self.random.u32(), self.random.u32());
                ((*mid).to_owned(), SlotSsrcs { ssrc, rtx })
            })
            .collect();
        let former = self.sessions.iter().position(|session| {
            session
                .as_ref()
                .is_some_and(|s| s.room == room && s.name == name && s.publishes == publishes)
        });
        if let Some(former) = former {
            self.remove(now, former);
        }
        let free = self.sessions.iter().position(Option::is_none);
        let index = free.unwrap_or(self.sessions.len());
        self.epoch = self.epoch.wrapping_add(1);
        let place = Ufrag {
            node: 0,
            shard: 0,
            slot: index as u32,
            epoch: self.epoch,
        };
        let ufrag = place.encode(&mut self.random);
        let local = IceCredentials::with_random_pwd(ufrag, &mut self.random);
        let (sdp, negotiated) = answer(
            &offer,
            &AnswerParams {
                ice: &local,
                fingerprint: self.identity.fingerprint(),
                candidates: &[self.address],
                tcp_candidates: &[],
                slots: &ssrcs,
                cname: "floor",
                codecs: &CodecPolicy {
                    audio: vec![CodecKind::Opus],
                    video: vec![CodecKind::Vp8, CodecKind::H264, CodecKind::Vp9, CodecKind::Av1],
                },
                session: (u64::from(self.epoch), 1),
            },
        )?;
        let config = TransportConfig {
            local,
            remote: offer.ice.clone(),
            remote_fingerprint: offer.fingerprint,
        };
        let mut session = Session {
            room: room.to_owned(),
            name: name.to_owned(),
            publishes,
            epoch: self.epoch,
            transport: Transport::new(config, &self.identity, now),
            media: negotiated.media,
            by_ssrc: HashMap::new(),
            transport_sequence: 0,
            route: Route::default(),
        };
        for (mid, want) in slots.iter().zip(wants) {
            let Some(media) = session.media.iter().find(|media| media.mid == *mid) else {
                continue;
            };
            let (Some(slot), Some(codec)) = (media.slot, media.codecs.first()) else {
                continue;
            };
            let key = StreamKey {
                room: room.to_owned(),
                publisher: want.publisher.clone(),
                video: want.video,
                layer: want.layer,
            };
            let leg = Leg {
                session: index,
                ssrc: slot.ssrc,
                payload_type: codec.pt,
                extensions: media.extensions,
                base: None,
            };
            let stream = stream(&mut self.by_key, &mut self.streams, key);
            self.streams[stream].legs.push(leg);
            session.by_ssrc.insert(slot.ssrc, stream);
        }
        match self.sessions.get_mut(index) {
            Some(place) => *place = Some(session),
            None => self.sessions.push(Some(session)),
        }
        Ok(sdp)
    }

    fn remove(&mut self, now: Instant, index: usize) {
        let Some(mut session) = self.sessions.get_mut(index).and_then(Option::take) else {
            return;
        };
        session.transport.close(now);
        while let Some((path, datagram)) = session.transport.poll_transmit() {
            self.outgoing.push(path, &datagram);
        }
        self.by_path.retain(|_, owner| *owner != index);
        for stream in &mut self.streams {
            stream.legs.retain(|leg| leg.session != index);
            stream.source = stream.source.filter(|(source, _)| *source != index);
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

    fn forward(&mut self, now: Instant, source: usize, packet: &mut [u8], index: u64) {
        let Ok(header) = Header::parse(packet) else { return };
        let Some(session) = self.sessions[source].as_mut().filter(|session| session.publishes) else {
            return;
        };
        let number = match session.by_ssrc.get(&header.ssrc) {
            Some(stream) => *stream,
            None => {
                let Some((video, layer)) = identify(session, &header, packet) else {
                    return;
                };
                let key = StreamKey {
                    room: session.room.clone(),
                    publisher: session.name.clone(),
                    video,
                    layer,
                };
                let found = stream(&mut self.by_key, &mut self.streams, key);
                session.by_ssrc.insert(header.ssrc, found);
                self.streams[found].source = Some((source, header.ssrc));
                self.ask_key_frame(now, found);
                found
            }
        };
        let Some(session) = self.sessions[source].as_ref() else {
            return;
        };
        let elements = Elements::take(session, &header, packet);
        if self.faults.wrong_room > 0.0 {
            let room = session.room.clone();
            let payload = header.payload(packet).to_vec();
            let foreign = self.last.iter().find(|(other, _)| **other != room);
            if let Some((_, foreign)) = foreign
                && self.random.0.random::<f64>() < self.faults.wrong_room
            {
                let mut wrong = packet[..usize::from(header.payload_start)].to_vec();
                wrong.extend_from_slice(foreign);
                wrong[0] &= !0x20; // it has no padding
                self.deliver(number, &wrong, &elements, index);
            } else {
                self.deliver(number, packet, &elements, index);
            }
            self.last.insert(room, payload);
            return;
        }
        self.deliver(number, packet, &elements, index);
    }

    fn deliver(&mut self, number: usize, packet: &[u8], elements: &Elements, index: u64) {
        for leg in &mut self.streams[number].legs {
            let Some(session) = self.sessions[leg.session].as_mut() else {
                continue;
            };
            let Some(path) = session.transport.path().filter(|_| session.transport.is_connected()) else {
                continue;
            };
            let base = *leg.base.get_or_insert(index & !0xffff);
            let Some(index) = index.checked_sub(base) else { continue };
            if self.faults.drop > 0.0 && self.random.0.random::<f64>() < self.faults.drop {
                continue;
            }
            if self.faults.leak > 0 {
                std::hint::black_box(Box::leak(vec![1_u8; self.faults.leak].into_boxed_slice()));
            }
            let Some(out) = self.outgoing.reserve(packet.len() + MAX_SEAL_OVERHEAD) else {
                return;
            };
            out[..packet.len()].copy_from_slice(packet);
            out[1] = out[1] & 0x80 | leg.payload_type;
            out[8..12].copy_from_slice(&leg.ssrc.to_be_bytes());
            elements.write(out, &leg.extensions, &mut session.transport_sequence);
            if let Ok(length) = session.transport.seal_rtp(out, packet.len(), index) {
                self.outgoing.commit(&mut session.route, path, length);
                self.forwarded += 1;
            }
        }
    }
}

fn stream(by_key: &mut HashMap<StreamKey, usize>, streams: &mut Vec<Stream>, key: StreamKey) -> usize {
    *by_key.entry(key).or_insert_with(|| {
        streams.push(Stream::default());
        streams.len() - 1
    })
}

/// Which of its streams a publisher's new SSRC is: by declaration, else by RID. Retransmissions are none.
fn identify(session: &Session, header: &Header, packet: &[u8]) -> Option<(bool, usize)> {
    for media in &session.media {
        if !media.codecs.iter().any(|codec| codec.pt == header.payload_type) {
            continue;
        }
        let video = media.kind == sfu_core::sdp::MediaKind::Video;
        if let Some(layer) = media.ssrcs.streams.iter().position(|(ssrc, _)| *ssrc == header.ssrc) {
            return Some((video, layer));
        }
        if media.rids.is_empty() {
            return media.ssrcs.streams.is_empty().then_some((video, 0));
        }
        let id = media.extensions.id(Extension::Rid)?;
        let (_, rid) = header.extensions(packet).find(|(found, _)| *found == id)?;
        let layer = media.rids.iter().position(|known| known.as_bytes() == rid)?;
        return Some((video, layer));
    }
    None
}

/// Header extension elements that viewers may know under other ids: (place of the id byte, length, what).
#[derive(Default)]
struct Elements(smallvec::SmallVec<[(usize, usize, Extension); 6]>);

impl Elements {
    /// Finds them, and blanks what belongs to the publisher's connection alone.
    fn take(session: &Session, header: &Header, packet: &mut [u8]) -> Self {
        let mut found = Self::default();
        let ids = session
            .media
            .iter()
            .find(|media| media.codecs.iter().any(|codec| codec.pt == header.payload_type))
            .map(|media| media.extensions)
            .unwrap_or_default();
        if header.profile != 0xbede {
            return found;
        }
        let (mut at, end) = (usize::from(header.extension_start), usize::from(header.extension_end));
        while at < end {
            let first = packet[at];
            if first == 0 {
                at += 1;
                continue;
            }
            let (id, length) = (first >> 4, usize::from(first & 0x0f) + 1);
            if id == 15 || at + 1 + length > end {
                break;
            }
            match ids.extension(id) {
                Some(Extension::Mid | Extension::Rid | Extension::RepairedRid) | None => {
                    packet[at..=at + length].fill(0);
                }
                Some(extension) => found.0.push((at, length, extension)),
            }
            at += 1 + length;
        }
        found
    }

    fn write(&self, packet: &mut [u8], ids: &ExtensionIds, transport_sequence: &mut u16) {
        for (at, length, extension) in &self.0 {
            let Some(id) = ids.id(*extension).filter(|id| *id < 15) else {
                packet[*at..=at + length].fill(0);
                continue;
            };
            packet[*at] = id << 4 | (*length as u8 - 1);
            if *extension == Extension::TransportCc && *length == 2 {
                packet[at + 1..at + 3].copy_from_slice(&transport_sequence.to_be_bytes());
                *transport_sequence = transport_sequence.wrapping_add(1);
            }
        }
    }
}
