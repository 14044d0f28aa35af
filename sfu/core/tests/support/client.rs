//! A client and the media it makes up.

use std::net::SocketAddr;
use std::time::Instant;

use sfu_core::types::ParticipantId;
use str0m::Rtc;
use str0m::channel::ChannelId;
use str0m::format::Codec;
use str0m::media::{Mid, Pt, Rid};
use str0m::rtp::{RtpPacket, RtpWrite};

/// One simulcast layer of a client's camera.
pub struct Layer {
    pub rid: Option<Rid>,
    pub height: u16,
    pub next: u64,
    pub picture: u16,
    pub want_key: bool,
    /// Key frames that the server has asked for.
    pub asked: usize,
    pub sends: bool,
}

impl Layer {
    pub fn new(rid: &str, height: u16) -> Self {
        Self {
            rid: Some(rid.into()),
            height,
            next: 1,
            picture: height,
            want_key: true,
            asked: 0,
            sends: true,
        }
    }
}

/// A client: publishes Opus and VP8, receives into slots.
pub struct Client {
    pub id: ParticipantId,
    pub rtc: Rtc,
    pub address: SocketAddr,
    /// Where the server's side of it is.
    pub shard: usize,
    pub audio: Option<Mid>,
    pub video: Option<Mid>,
    pub slots: Vec<(Mid, bool)>,
    pub received: Vec<RtpPacket>,
    pub key_frames_asked: usize,
    pub next_audio: u64,
    pub next_video: u64,
    pub picture: u16,
    pub time: u32,
    pub send_audio: bool,
    /// How loud they are, dBov.
    pub level: i8,
    pub send_video: bool,
    pub want_key: bool,
    /// Simulcast layers of the camera, smallest first; without any it is one stream.
    pub layers: Vec<Layer>,
    pub connected: bool,
    pub rtcp_datagrams: Vec<Instant>,
    /// Packets of a frame, and bytes in each.
    pub frame: (u8, usize),
    /// The camera is one VP9 stream of so many spatial layers (180, 360 and 720 lines), each building on the one below in key
    /// pictures only; 0: VP8.
    pub spatial: u8,
    /// When each video packet of a camera without layers was written, by its number.
    pub written: Vec<Instant>,
    /// Data channels by id, when they have some.
    pub channels: Vec<ChannelId>,
    /// What came over them: channel, whether it is text, what.
    pub data: Vec<(usize, bool, Vec<u8>)>,
    /// Data channels that were closed.
    pub closed: Vec<usize>,
}

impl Client {
    pub fn pt(&self, codec: Codec) -> Pt {
        self.rtc
            .codec_config()
            .params()
            .iter()
            .find(|p| p.spec().codec == codec)
            .unwrap()
            .pt()
    }

    pub fn write_audio(&mut self, now: Instant) {
        let (Some(mid), true) = (self.audio, self.send_audio) else {
            return;
        };
        let pt = self.pt(Codec::Opus);
        let payload = self.next_audio.to_be_bytes();
        let time = self.next_audio as u32 * 960;
        let values = str0m::rtp::ExtensionValues {
            audio_level: Some(self.level),
            voice_activity: Some(true),
            ..Default::default()
        };
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).unwrap();
        stream.write_rtp(RtpWrite::new(pt, self.next_audio.into(), time, now, payload.as_slice()).ext_vals(values));
        self.next_audio += 1;
    }

    /// A VP8 frame, in two packets unless said otherwise, in every layer; a key frame when one was asked for.
    pub fn write_frame(&mut self, now: Instant) {
        let (Some(mid), true) = (self.video, self.send_video) else {
            return;
        };
        self.time += 3_600;
        if self.spatial > 0 {
            return self.write_picture(mid, now);
        }
        if self.layers.is_empty() {
            let mut layer = Layer {
                rid: None,
                height: 180,
                next: self.next_video,
                picture: self.picture,
                want_key: std::mem::take(&mut self.want_key),
                asked: 0,
                sends: true,
            };
            self.write_layer(mid, &mut layer, now);
            self.written.resize(layer.next as usize, now);
            (self.next_video, self.picture) = (layer.next, layer.picture);
            return;
        }
        let mut layers = std::mem::take(&mut self.layers);
        for layer in layers.iter_mut().filter(|layer| layer.sends) {
            self.write_layer(mid, layer, now);
        }
        self.layers = layers;
    }

    fn write_layer(&mut self, mid: Mid, layer: &mut Layer, now: Instant) {
        let pt = self.pt(Codec::Vp8);
        let key = std::mem::take(&mut layer.want_key);
        layer.picture = (layer.picture + 1) & 0x7fff;
        let (packets, bytes) = self.frame;
        for part in 0..packets {
            let mut payload = vec![if part == 0 { 0x90 } else { 0x80 }, 0x80];
            payload.extend((layer.picture | 0x8000).to_be_bytes());
            if part == 0 {
                payload.push(if key { 0x10 } else { 0x11 });
                payload.extend([0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01]);
                payload.extend(layer.height.to_le_bytes());
            }
            payload.extend(layer.next.to_be_bytes());
            payload.resize(bytes, part);
            let write = RtpWrite::new(pt, layer.next.into(), self.time, now, payload)
                .marker(part + 1 == packets)
                .nackable(true);
            let mut api = self.rtc.direct_api();
            api.stream_tx_by_mid(mid, layer.rid).unwrap().write_rtp(write);
            layer.next += 1;
        }
    }

    /// A VP9 picture, each spatial layer in one packet (RFC 9628 section 4.2, not flexible).
    fn write_picture(&mut self, mid: Mid, now: Instant) {
        let pt = self.pt(Codec::Vp9);
        let key = std::mem::take(&mut self.want_key);
        self.picture = (self.picture + 1) & 0x7fff;
        for spatial in 0..self.spatial {
            let predicted = if key { 0 } else { 0x40 };
            let structure = key && spatial == 0;
            // I, L, B and E; V where the structure follows.
            let mut payload = vec![0x80 | predicted | 0x20 | 0x0c | if structure { 0x02 } else { 0 }];
            payload.extend((self.picture | 0x8000).to_be_bytes());
            payload.push(spatial << 1 | u8::from(key && spatial > 0));
            payload.push(self.picture as u8);
            if structure {
                payload.push((self.spatial - 1) << 5 | 0x10);
                for height in [180_u16, 360, 720].into_iter().take(usize::from(self.spatial)) {
                    payload.extend((height * 16 / 9).to_be_bytes());
                    payload.extend(height.to_be_bytes());
                }
            }
            payload.resize(300 * (usize::from(spatial) + 1), spatial);
            let write = RtpWrite::new(pt, self.next_video.into(), self.time, now, payload)
                .marker(spatial + 1 == self.spatial)
                .nackable(true);
            let mut api = self.rtc.direct_api();
            api.stream_tx_by_mid(mid, None).unwrap().write_rtp(write);
            self.next_video += 1;
        }
    }

    /// The server says which layers are watched. One that is switched on begins with a key frame.
    pub fn obey(&mut self, active: &[bool]) {
        if self.spatial > 0 {
            let wanted = active.iter().rposition(|on| *on).map_or(1, |top| top as u8 + 1);
            self.want_key |= wanted > self.spatial;
            self.spatial = wanted;
        }
        for (layer, on) in self.layers.iter_mut().zip(active) {
            layer.want_key |= *on && !layer.sends;
            layer.sends = *on;
        }
    }

    /// The number that the publisher of a packet of video gave it (see [`Self::write_frame`]).
    pub fn number(packet: &RtpPacket) -> u64 {
        let at = if packet.payload[0] & 0x10 == 0 { 4 } else { 14 };
        u64::from_be_bytes(packet.payload[at..at + 8].try_into().unwrap())
    }

    /// Somebody cannot decode: the next frame of that layer is a key frame.
    pub fn key_frame_asked(&mut self, rid: Option<Rid>) {
        self.key_frames_asked += 1;
        self.want_key = true;
        for layer in self.layers.iter_mut().filter(|layer| layer.rid == rid) {
            layer.want_key = true;
            layer.asked += 1;
        }
    }
}
