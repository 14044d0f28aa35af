//! What a made-up client sends: a voice, and a camera of three simulcast layers that answers NACKs and key-frame requests.

use std::collections::VecDeque;
use std::time::Duration;

use link_model::Seeded;

use crate::wire::{LAYERS, MTU_PAYLOAD, OPUS, RTX, VP8, rtp, vp8};

/// A frame every so often.
pub(crate) const FRAME: Duration = Duration::from_millis(40);
/// A packet of sound every so often.
pub(crate) const SOUND: Duration = Duration::from_millis(20);
/// Bytes of a frame in each layer, on the mean: 120, 400 and 1,200 kbit/s.
const FRAME_BYTES: [usize; 3] = [600, 2_000, 6_000];
/// Bytes in a packet of sound: 32 kbit/s.
const SOUND_BYTES: usize = 80;
/// Packets of a layer that can be sent again.
const KEPT: usize = 512;

#[derive(Debug, Default)]
struct Layer {
    sequence: u16,
    again: u16,
    picture: u16,
    wants_key: bool,
    sends: bool,
    kept: VecDeque<(u16, u32, bool, Vec<u8>)>,
}

/// The sending half of a client.
#[derive(Debug)]
pub(crate) struct Publisher {
    id: u32,
    room: u32,
    /// How many times a key frame is as large as another one.
    key_size: usize,
    layers: [Layer; 3],
    sound: u16,
    transport: u16,
    frames: u32,
    random: Seeded,
    /// Key frames that were asked for.
    pub(crate) asked: u64,
}

impl Publisher {
    pub(crate) fn new(id: u32, room: u32, key_size: usize, seed: u64) -> Self {
        let layer = || Layer {
            wants_key: true,
            sends: true,
            ..Layer::default()
        };
        Self {
            id,
            room,
            key_size,
            layers: [layer(), layer(), layer()],
            sound: 0,
            transport: 0,
            frames: 0,
            random: Seeded::new(seed),
            asked: 0,
        }
    }

    /// When its first frame comes: nobody's are in step with another's.
    pub(crate) fn phase(&mut self) -> Duration {
        Duration::from_micros(self.random.below(40_000))
    }

    fn ssrc(&self, layer: usize) -> u32 {
        self.id << 8 | 0x10 | layer as u32
    }

    fn number(&mut self) -> [u8; 2] {
        self.transport = self.transport.wrapping_add(1);
        self.transport.to_be_bytes()
    }

    /// The next packet of sound.
    pub(crate) fn voice(&mut self, out: &mut Vec<Vec<u8>>) {
        self.sound = self.sound.wrapping_add(1);
        let number = self.number();
        let head = (OPUS, false, self.sound, u32::from(self.sound) * 960, self.id << 8 | 1);
        out.push(rtp(
            head,
            &[(1, &[20]), (3, &number), (4, b"0")],
            &[&[0x78; SOUND_BYTES]],
        ));
    }

    /// The next frame in every layer that somebody watches.
    pub(crate) fn frame(&mut self, out: &mut Vec<Vec<u8>>) {
        self.frames += 1;
        let timestamp = self.frames * 3_600;
        // The scene moves more or less, and all layers show the same scene.
        let scene = 0.7 + 0.6 * self.random.unit();
        for at in 0..LAYERS.len() {
            if !self.layers[at].sends {
                continue;
            }
            let key = std::mem::take(&mut self.layers[at].wants_key);
            let size = FRAME_BYTES[at] as f64 * if key { self.key_size as f64 } else { scene };
            let mut left = size as usize;
            self.layers[at].picture = self.layers[at].picture.wrapping_add(1) & 0x7fff;
            let mut first = true;
            while left > 0 {
                let bytes = left.min(MTU_PAYLOAD);
                left -= bytes;
                let picture = self.layers[at].picture;
                let payload = vp8(first, key, picture, LAYERS[at].1, (self.room, self.id), bytes);
                first = false;
                let number = self.number();
                let ssrc = self.ssrc(at);
                let layer = &mut self.layers[at];
                layer.sequence = layer.sequence.wrapping_add(1);
                let head = (VP8, left == 0, layer.sequence, timestamp, ssrc);
                let extensions: [(u8, &[u8]); 3] = [(3, &number), (4, b"1"), (10, LAYERS[at].0.as_bytes())];
                out.push(rtp(head, &extensions, &[&payload]));
                layer.kept.push_back((layer.sequence, timestamp, left == 0, payload));
                if layer.kept.len() > KEPT {
                    layer.kept.pop_front();
                }
            }
        }
    }

    /// Sends again what the server misses.
    pub(crate) fn again(&mut self, ssrc: u32, lost: u16, out: &mut Vec<Vec<u8>>) {
        let Some(at) = (0..LAYERS.len()).find(|at| self.ssrc(*at) == ssrc) else {
            return;
        };
        let number = self.number();
        let layer = &mut self.layers[at];
        let Some((_, timestamp, marker, payload)) = layer.kept.iter().find(|kept| kept.0 == lost) else {
            return;
        };
        layer.again = layer.again.wrapping_add(1);
        let head = (RTX, *marker, layer.again, *timestamp, ssrc | 0x80);
        let extensions: [(u8, &[u8]); 3] = [(3, &number), (4, b"1"), (11, LAYERS[at].0.as_bytes())];
        out.push(rtp(head, &extensions, &[&lost.to_be_bytes(), payload]));
    }

    /// The server asks for a key frame.
    pub(crate) fn key_frame(&mut self, ssrc: u32) {
        if let Some(at) = (0..LAYERS.len()).find(|at| self.ssrc(*at) == ssrc) {
            self.layers[at].wants_key = true;
            self.asked += 1;
        }
    }

    /// The server says which layers are watched. One that is sent again begins with a key frame.
    pub(crate) fn obey(&mut self, active: &[bool]) {
        for (layer, active) in self.layers.iter_mut().zip(active) {
            layer.wants_key |= *active && !layer.sends;
            layer.sends = *active;
        }
    }
}
