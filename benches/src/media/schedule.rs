//! When a publisher sends what. Pure: the caller brings the time and carries the packets away.

use std::time::{Duration, Instant};

use crate::scenario::{Codec, Layer, Video};

use super::payload::{self, MAX_PAYLOAD, Place, VIDEO_PAYLOAD};
use super::stamp::{FRAME_END, KEY, KEY_BEGIN, Stamp, now_ns};

/// Time between Opus packets.
const AUDIO_FRAME: Duration = Duration::from_millis(20);
/// A key frame is this many times an ordinary one.
const KEY_FRAME_FACTOR: usize = 4;
/// A talker's level, and that of somebody silent, in -dBov (RFC 6464).
const LOUD: u8 = 30;
const QUIET: u8 = 110;
/// Audio of somebody silent, bytes: what Opus makes of a quiet room.
const SILENT_BYTES: usize = 40;
/// What is later than this is not sent any more: a burst of old packets would measure nothing real.
const GIVE_UP: Duration = Duration::from_millis(500);

/// Who a publisher is.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    /// See [`Stamp::run`].
    pub run: u16,
    /// See [`Stamp::room`].
    pub room: u16,
    /// See [`Stamp::publisher`].
    pub publisher: u32,
}

/// One packet to send now.
#[derive(Debug)]
pub struct Packet<'a> {
    /// `None`: audio; else the layer.
    pub layer: Option<usize>,
    /// RTP sequence number, extended.
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// RFC 6464 level and voice bit, for audio.
    pub level: Option<(u8, bool)>,
    /// Payload, stamp included.
    pub payload: &'a [u8],
}

/// The schedule of one publisher.
pub struct Schedule {
    who: Who,
    audio: Option<Stream>,
    audio_bytes: usize,
    talking: bool,
    codec: Codec,
    layers: Vec<LayerState>,
    key_every: Option<Duration>,
    buffer: Box<[u8; MAX_PAYLOAD]>,
}

struct Stream {
    next: Instant,
    sequence: u32,
    frame: u32,
}

struct LayerState {
    stream: Stream,
    interval: Duration,
    packets: usize,
    bytes: usize,
    height: u32,
    key_wanted: bool,
    last_key: Instant,
    active: bool,
}

impl Schedule {
    /// Begins at `start`, shifted by `phase` (0 to 1) of each stream's own interval, so that a crowd does not send in step.
    pub fn new(who: Who, audio_bitrate: u32, video: Option<&Video>, start: Instant, phase: f64) -> Self {
        let stream = |interval: Duration| Stream {
            next: start + interval.mul_f64(phase.clamp(0.0, 1.0)),
            sequence: 0,
            frame: 0,
        };
        let layers = video.map_or(&[][..], |v| &v.layers[..]);
        Self {
            who,
            audio: (audio_bitrate > 0).then(|| stream(AUDIO_FRAME)),
            audio_bytes: (audio_bitrate / 8 / 50) as usize,
            talking: true,
            codec: video.map_or(Codec::Vp8, |v| v.codec),
            layers: layers.iter().map(|l| LayerState::new(l, stream, start)).collect(),
            key_every: video
                .filter(|v| v.key_frame_seconds > 0.0)
                .map(|v| Duration::from_secs_f64(v.key_frame_seconds)),
            buffer: Box::new([0; MAX_PAYLOAD]),
        }
    }

    /// Loud from now on, or silent.
    pub fn talk(&mut self, on: bool) {
        self.talking = on;
    }

    /// The next frame of this layer is a key frame.
    pub fn key_frame(&mut self, layer: usize) {
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.key_wanted = true;
        }
    }

    /// The server says that nobody watches a layer (or that somebody does again, which takes a key frame).
    pub fn set_active(&mut self, layer: usize, active: bool, now: Instant) {
        if let Some(layer) = self.layers.get_mut(layer)
            && layer.active != active
        {
            layer.active = active;
            layer.key_wanted |= active;
            layer.stream.next = layer.stream.next.max(now);
        }
    }

    /// When something is to be sent next.
    pub fn next(&self) -> Option<Instant> {
        let layers = self.layers.iter().filter(|l| l.active).map(|l| l.stream.next);
        self.audio.iter().map(|s| s.next).chain(layers).min()
    }

    /// Sends what is due: calls `send` for each packet, and `late` once per frame with how late it is.
    pub fn due(&mut self, now: Instant, mut late: impl FnMut(Duration), mut send: impl FnMut(Packet<'_>)) {
        if let Some(audio) = &mut self.audio {
            while audio.next <= now {
                let behind = now.saturating_duration_since(audio.next);
                audio.next += AUDIO_FRAME;
                audio.frame = audio.frame.wrapping_add(1);
                if behind > GIVE_UP {
                    continue;
                }
                late(behind);
                let bytes = if self.talking { self.audio_bytes } else { SILENT_BYTES };
                let length = payload::opus(bytes, &mut self.buffer);
                let stamp = Stamp {
                    run: self.who.run,
                    room: self.who.room,
                    publisher: self.who.publisher,
                    stream: 0,
                    flags: FRAME_END,
                    frame: audio.frame,
                    sequence: audio.sequence,
                    sent_ns: now_ns(),
                };
                stamp.write(&mut self.buffer[..length]);
                let level = if self.talking { LOUD } else { QUIET };
                send(Packet {
                    layer: None,
                    sequence: u64::from(audio.sequence) + 1,
                    timestamp: audio.frame.wrapping_mul(960),
                    marker: audio.sequence == 0,
                    level: Some((level, self.talking)),
                    payload: &self.buffer[..length],
                });
                audio.sequence = audio.sequence.wrapping_add(1);
            }
        }
        for number in 0..self.layers.len() {
            while self.layers[number].active && self.layers[number].stream.next <= now {
                self.frame(number, now, &mut late, &mut send);
            }
        }
    }

    fn frame(
        &mut self,
        number: usize,
        now: Instant,
        late: &mut impl FnMut(Duration),
        send: &mut impl FnMut(Packet<'_>),
    ) {
        let layer = &mut self.layers[number];
        let behind = now.saturating_duration_since(layer.stream.next);
        layer.stream.next += layer.interval;
        layer.stream.frame = layer.stream.frame.wrapping_add(1);
        if behind > GIVE_UP {
            return;
        }
        late(behind);
        let due = self.key_every.is_some_and(|every| now - layer.last_key >= every);
        let key = std::mem::take(&mut layer.key_wanted) || due;
        let mut packets = layer.packets;
        if key {
            layer.last_key = now;
            packets *= KEY_FRAME_FACTOR;
        }
        for part in 0..packets {
            let place = Place {
                frame: layer.stream.frame,
                first: part == 0,
                last: part + 1 == packets,
                key,
                height: layer.height,
            };
            let length = payload::video(self.codec, place, layer.bytes, &mut self.buffer);
            let flag = |on: bool, bit: u8| if on { bit } else { 0 };
            let stamp = Stamp {
                run: self.who.run,
                room: self.who.room,
                publisher: self.who.publisher,
                stream: number as u8 + 1,
                flags: flag(key && place.first, KEY_BEGIN) | flag(place.last, FRAME_END) | flag(key, KEY),
                frame: layer.stream.frame,
                sequence: layer.stream.sequence,
                sent_ns: now_ns(),
            };
            stamp.write(&mut self.buffer[..length]);
            let ticks = layer.interval.as_secs_f64() * 90_000.0;
            send(Packet {
                layer: Some(number),
                sequence: u64::from(layer.stream.sequence) + 1,
                timestamp: (f64::from(layer.stream.frame) * ticks) as u64 as u32,
                marker: place.last,
                level: None,
                payload: &self.buffer[..length],
            });
            layer.stream.sequence = layer.stream.sequence.wrapping_add(1);
        }
    }
}

impl LayerState {
    fn new(layer: &Layer, stream: impl Fn(Duration) -> Stream, start: Instant) -> Self {
        let fps = layer.fps.max(1);
        let interval = Duration::from_secs(1) / fps;
        let bytes = (layer.bitrate / 8 / fps) as usize;
        let packets = bytes.div_ceil(VIDEO_PAYLOAD).max(1);
        Self {
            stream: stream(interval),
            interval,
            packets,
            bytes: bytes / packets,
            height: layer.height,
            key_wanted: true,
            last_key: start,
            active: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(layers: usize) -> Video {
        let layer = |n: usize| Layer {
            rid: format!("r{n}"),
            height: 180 << n,
            bitrate: 150_000 << (2 * n),
            fps: 25,
        };
        Video {
            codec: Codec::Vp8,
            layers: (0..layers).map(layer).collect(),
            key_frame_seconds: 0.0,
        }
    }

    const WHO: Who = Who {
        run: 1,
        room: 2,
        publisher: 3,
    };

    #[test]
    fn a_second_has_fifty_audio_packets_and_the_configured_bits_of_every_layer() {
        let start = Instant::now();
        let mut schedule = Schedule::new(WHO, 32_000, Some(&video(3)), start, 0.5);
        let (mut audio, mut bytes, mut keys) = (0, [0; 3], [0; 3]);
        for ms in 0..2_000 {
            let now = start + Duration::from_millis(ms);
            schedule.due(
                now,
                |_| (),
                |packet| {
                    let stamp = Stamp::read(packet.payload).unwrap();
                    assert_eq!(u64::from(stamp.sequence) + 1, packet.sequence);
                    match packet.layer {
                        None => audio += 1,
                        Some(layer) => {
                            keys[layer] += u32::from(stamp.flags & KEY_BEGIN);
                            if ms >= 1_000 {
                                bytes[layer] += packet.payload.len();
                            }
                        }
                    }
                },
            );
        }
        assert!((99..=101).contains(&audio), "{audio}");
        assert_eq!(keys, [1; 3], "a stream begins with its only key frame");
        for (layer, expected) in [150_000, 600_000, 2_400_000].into_iter().enumerate() {
            let bits = bytes[layer] * 8;
            assert!(
                (expected * 95 / 100..=expected * 105 / 100).contains(&bits),
                "layer {layer}: {bits}"
            );
        }
    }

    #[test]
    fn a_layer_that_nobody_watches_rests_and_comes_back_with_a_key_frame() {
        let start = Instant::now();
        let mut schedule = Schedule::new(WHO, 0, Some(&video(1)), start, 0.0);
        let sent = |schedule: &mut Schedule, at: Duration| {
            let mut stamps = Vec::new();
            schedule.due(start + at, |_| (), |p| stamps.push(Stamp::read(p.payload).unwrap()));
            stamps
        };
        assert!(!sent(&mut schedule, Duration::ZERO).is_empty());
        schedule.set_active(0, false, start);
        assert!(sent(&mut schedule, Duration::from_secs(1)).is_empty());
        assert_eq!(schedule.next(), None);
        schedule.set_active(0, true, start + Duration::from_secs(1));
        let back = sent(&mut schedule, Duration::from_secs(1));
        assert_eq!(back[0].flags & KEY_BEGIN, KEY_BEGIN);
    }

    #[test]
    fn what_is_too_late_is_not_sent_in_a_burst() {
        let start = Instant::now();
        let mut schedule = Schedule::new(WHO, 32_000, None, start, 0.0);
        let mut count = 0;
        schedule.due(start + Duration::from_secs(60), |_| (), |_| count += 1);
        assert!(count <= 26, "{count}: half a second at most");
    }
}
