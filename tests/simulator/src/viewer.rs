//! What a made-up client receives: transport-wide feedback, NACKs, key-frame requests, and pictures that are only pictures
//! when everything that they build on has come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sfu_core::rtcp::{Arrivals, Compound, Packet, Packets};
use sfu_core::rtp::{Header, extend};
use sfu_core::shard::Binding;
use sfu_core::types::Source;

use crate::wire::{OPUS, Piece, RTCP_TAIL, RTX, TAG, VP8, piece};

/// A client looks for what is missing this often,
pub(crate) const FEEDBACK: Duration = Duration::from_millis(20);
/// and says this often what has come.
const ARRIVALS: Duration = Duration::from_millis(60);
/// A gap is asked about again after this long, a little more than there and back,
const AGAIN: Duration = Duration::from_millis(60);
/// and given up after this long: then only a key frame helps.
const GIVEN_UP: Duration = Duration::from_millis(600);
/// Key frames are asked for this far apart.
const KEY_FRAME: Duration = Duration::from_millis(500);
/// A picture that stands still longer than this is frozen; the whole of the gap counts.
const FROZEN: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
struct Stream {
    started: bool,
    next: u64,
    newest: u64,
    held: BTreeMap<u64, Piece>,
    missing: BTreeMap<u64, (Instant, Option<Instant>)>,
    broken: bool,
    asked: Option<Instant>,
}

/// What one viewer saw of one publisher.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When each picture was whole, since the beginning.
    pub pictures: Vec<Duration>,
    /// Times without a picture that were longer than 200 ms, though the server said that there is one.
    pub frozen: Vec<(Duration, Duration)>,
    /// Times for which the server said that there is none.
    pub paused: Vec<(Duration, Duration)>,
    /// Since when it should move.
    moving: Option<Duration>,
    paused_since: Option<Duration>,
}

/// The receiving half of a client.
pub(crate) struct Viewer {
    id: u32,
    room: u32,
    arrivals: Arrivals,
    streams: BTreeMap<u32, Stream>,
    rtx: BTreeMap<u32, u32>,
    /// By publisher.
    pub(crate) seen: BTreeMap<u32, Seen>,
    /// Bytes of every datagram by 100 ms.
    pub(crate) bytes: Vec<u64>,
    /// Packets of sound, by their publisher.
    pub(crate) sound: BTreeMap<u32, u64>,
    /// Packets whose stamp names another room.
    pub(crate) foreign: u64,
    /// Padding, bytes.
    pub(crate) padding: u64,
    media: u32,
    /// Compounds sent: the index that SRTCP carries behind each.
    compounds: u32,
    reported: Instant,
}

impl Viewer {
    pub(crate) fn new(id: u32, room: u32, start: Instant) -> Self {
        Self {
            id,
            room,
            arrivals: Arrivals::new(start),
            streams: BTreeMap::new(),
            rtx: BTreeMap::new(),
            seen: BTreeMap::new(),
            bytes: Vec::new(),
            sound: BTreeMap::new(),
            foreign: 0,
            padding: 0,
            media: 0,
            compounds: 0,
            reported: start,
        }
    }

    pub(crate) fn answered(&mut self, groups: Vec<(u32, u32)>) {
        self.rtx.extend(groups);
    }

    /// The server said what its slots carry.
    pub(crate) fn told(&mut self, at: Duration, bindings: &[Binding]) {
        let cameras = bindings.iter().filter(|binding| binding.source == Source::Camera);
        let cameras: BTreeMap<u32, bool> = cameras.map(|b| (b.participant.0, b.paused.is_none())).collect();
        for publisher in self.seen.keys().chain(cameras.keys()).copied().collect::<Vec<_>>() {
            let seen = self.seen.entry(publisher).or_default();
            match cameras.get(&publisher) {
                Some(true) => {
                    if let Some(since) = seen.paused_since.take() {
                        seen.paused.push((since, at));
                    }
                    seen.moving.get_or_insert(at);
                }
                Some(false) => {
                    seen.still(at);
                    seen.moving = None;
                    seen.paused_since.get_or_insert(at);
                }
                None => {
                    seen.moving = None;
                    if let Some(since) = seen.paused_since.take() {
                        seen.paused.push((since, at));
                    }
                }
            }
        }
    }

    /// The end: what stands still does so until now.
    pub(crate) fn finish(&mut self, at: Duration) {
        for seen in self.seen.values_mut() {
            seen.still(at);
            seen.moving = None;
            if let Some(since) = seen.paused_since.take() {
                seen.paused.push((since, at));
            }
        }
    }

    /// An RTP packet.
    pub(crate) fn receive(&mut self, now: Instant, at: Duration, datagram: &[u8]) {
        let Some(packet) = datagram.len().checked_sub(TAG).and_then(|len| datagram.get(..len)) else {
            return;
        };
        let Ok(header) = Header::parse(packet) else { return };
        self.media = header.ssrc;
        let number = header.extensions(packet).find(|(id, _)| *id == 3);
        if let Some((_, [high, low])) = number {
            self.arrivals.note(u16::from_be_bytes([*high, *low]), now);
        }
        let payload = header.payload(packet);
        match header.payload_type {
            OPUS => {
                let publisher = packet.get(12..16).and_then(|csrc| csrc.try_into().ok());
                *self.sound.entry(publisher.map_or(0, u32::from_be_bytes)).or_default() += 1;
            }
            VP8 => self.video(now, at, header.ssrc, header.sequence, piece(payload, &header), false),
            RTX => {
                let (Some(primary), Some((lost, rest))) =
                    (self.rtx.get(&header.ssrc).copied(), payload.split_first_chunk::<2>())
                else {
                    self.padding += datagram.len() as u64;
                    return;
                };
                self.video(now, at, primary, u16::from_be_bytes(*lost), piece(rest, &header), true);
            }
            _ => {}
        }
    }

    fn video(&mut self, now: Instant, at: Duration, ssrc: u32, sequence: u16, piece: Option<Piece>, again: bool) {
        let Some(piece) = piece else { return };
        if piece.room != self.room {
            self.foreign += 1;
        }
        let stream = self.streams.entry(ssrc).or_default();
        if !stream.started {
            if again {
                return;
            }
            *stream = Stream {
                started: true,
                next: 0x1_0000 + u64::from(sequence),
                broken: !piece.key,
                ..Stream::default()
            };
            stream.newest = stream.next - 1;
        }
        let index = extend(stream.newest, sequence);
        for gap in stream.newest + 1..index {
            stream.missing.insert(gap, (now, None));
        }
        stream.newest = stream.newest.max(index);
        stream.missing.remove(&index);
        if index >= stream.next {
            stream.held.insert(index, piece);
        }
        while let Some(piece) = stream.held.remove(&stream.next) {
            stream.next += 1;
            if piece.key {
                stream.broken = false;
            }
            if piece.marker && !stream.broken {
                self.seen.entry(piece.publisher).or_default().picture(at);
            }
        }
    }

    /// Feedback, NACKs and key-frame requests that are due: a compound with room for its tail, or nothing.
    pub(crate) fn feedback(&mut self, now: Instant) -> Option<Vec<u8>> {
        let mut out = vec![0; 4_096];
        let mut compound = Compound::new(&mut out);
        let own = self.id << 8 | 1;
        if self.arrivals.pending() && now.saturating_duration_since(self.reported) >= ARRIVALS {
            self.reported = now;
            self.arrivals.write(&mut compound, own, self.media);
        }
        for (ssrc, stream) in &mut self.streams {
            let stuck = stream.missing.range(stream.next..).next().map(|(_, (since, _))| *since);
            if stuck.is_some_and(|since| now.saturating_duration_since(since) > GIVEN_UP) {
                let key = stream.held.iter().find(|(_, piece)| piece.key).map(|(index, _)| *index);
                stream.broken = true;
                stream.next = key.unwrap_or(stream.newest + 1);
                let next = stream.next;
                stream.held.retain(|index, _| *index >= next);
            }
            let next = stream.next;
            stream.missing.retain(|index, _| *index >= next);
            let mut lost = Vec::new();
            for (index, (_, asked)) in stream.missing.iter_mut().take(200) {
                if asked.is_none_or(|asked| now.saturating_duration_since(asked) >= AGAIN) {
                    *asked = Some(now);
                    lost.push(*index as u16);
                }
            }
            if !lost.is_empty() {
                compound.nack(own, *ssrc, &lost);
            }
            let due = stream
                .asked
                .is_none_or(|at| now.saturating_duration_since(at) >= KEY_FRAME);
            if stream.broken && due {
                stream.asked = Some(now);
                compound.picture_loss(own, *ssrc);
            }
        }
        let len = compound.len();
        if len == 0 {
            return None;
        }
        out.resize(len + RTCP_TAIL, 0);
        self.compounds += 1;
        out[len + RTCP_TAIL - 4..].copy_from_slice(&(1 << 31 | self.compounds).to_be_bytes());
        Some(out)
    }
}

impl Seen {
    fn picture(&mut self, at: Duration) {
        self.still(at);
        if self.moving.is_some() {
            self.moving = Some(at);
        }
        self.pictures.push(at);
    }

    fn still(&mut self, at: Duration) {
        if let Some(since) = self.moving
            && at - since > FROZEN
        {
            self.frozen.push((since, at));
        }
    }
}

/// What the server asks of a publisher in a compound: sequence numbers by stream, key frames.
pub(crate) fn asked(datagram: &[u8]) -> (Vec<(u32, u16)>, Vec<u32>) {
    let (mut lost, mut keys) = (Vec::new(), Vec::new());
    let compound = datagram
        .get(..datagram.len().saturating_sub(RTCP_TAIL))
        .unwrap_or_default();
    for packet in Packets::new(compound) {
        match packet {
            Packet::Nack { ssrc, lost: numbers } => lost.extend(numbers.map(|number| (ssrc, number))),
            Packet::KeyFrameRequest { ssrc } => keys.push(ssrc),
            _ => {}
        }
    }
    (lost, keys)
}
