//! How clients of a world join, offer again, and say what they want to see.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sfu_core::room::{Intent, SlotPolicy};
use sfu_core::shard::OfferRequest;
use sfu_core::types::{ParticipantId, Source};
use str0m::change::{SdpAnswer, SdpApi};
use str0m::channel::{ChannelConfig, Reliability};
use str0m::media::{Direction, MediaKind, Mid, Simulcast, SimulcastLayer};
use str0m::net::Protocol;
use str0m::{Candidate, Rtc};

use super::{Client, Layer, ROOM, World};

impl World {
    /// Adds a client with `slots` audio and video slots; `publish`: sends both.
    pub fn join(&mut self, id: u32, publish: bool, slots: usize, policy: SlotPolicy) -> usize {
        self.join_with(id, publish, slots, policy, Vec::new())
    }

    /// The same, its camera in simulcast layers.
    pub fn join_with(&mut self, id: u32, publish: bool, slots: usize, policy: SlotPolicy, layers: Vec<Layer>) -> usize {
        self.join_at(0, id, publish, slots, policy, layers)
    }

    /// The same, in a shard.
    pub fn join_at(
        &mut self,
        shard: usize,
        id: u32,
        publish: bool,
        slots: usize,
        policy: SlotPolicy,
        layers: Vec<Layer>,
    ) -> usize {
        self.addresses += 1;
        let address = SocketAddr::from(([10, 0, 1, id as u8], 6_000 + self.addresses));
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_vp9(self.vp9)
            .set_rtp_mode(true)
            .build(self.now);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap())
            .unwrap();
        let id = ParticipantId(id);
        self.clients.push(Client {
            id,
            rtc,
            address,
            shard,
            audio: None,
            video: None,
            slots: Vec::new(),
            received: Vec::new(),
            key_frames_asked: 0,
            next_audio: 1,
            next_video: 1,
            picture: id.0 as u16 * 1_000,
            time: id.0 * 100_000,
            send_audio: publish,
            level: -20,
            send_video: publish,
            want_key: true,
            layers,
            connected: false,
            rtcp_datagrams: Vec::new(),
            frame: (2, 600),
            spatial: 0,
            written: Vec::new(),
            channels: Vec::new(),
            data: Vec::new(),
            closed: Vec::new(),
        });
        let at = self.clients.len() - 1;
        let mut simulcast = Simulcast::new();
        for layer in &self.clients[at].layers {
            simulcast.add_send_layer(SimulcastLayer::new(&layer.rid.unwrap()));
        }
        let simulcast = (!simulcast.send.is_empty()).then_some(simulcast);
        let (mut audio, mut video) = (None, None);
        let mut channels = Vec::new();
        let data = self.data;
        self.offer(at, policy, |api| {
            for id in (0..2_u16).filter(|_| data) {
                let reliability = match id {
                    0 => Reliability::Reliable,
                    _ => Reliability::MaxRetransmits { retransmits: 0 },
                };
                channels.push(api.add_channel_with_config(ChannelConfig {
                    label: id.to_string(),
                    ordered: id == 0,
                    reliability,
                    negotiated: Some(id),
                    protocol: String::new(),
                }));
            }
            if publish {
                audio = Some(api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
                video = Some(api.add_media(MediaKind::Video, Direction::SendOnly, None, None, simulcast));
            }
            add_slots(api, slots)
        });
        (self.clients[at].audio, self.clients[at].video) = (audio, video);
        self.clients[at].channels = channels;
        at
    }

    /// Offers again, with so many more slots of each kind.
    pub fn grow(&mut self, client: usize, slots: usize) {
        self.offer(client, SlotPolicy::Fill, |api| add_slots(api, slots));
    }

    /// Restarts ICE by an offer; from then on the client is at another address.
    pub fn restart_ice(&mut self, client: usize) {
        self.offer(client, SlotPolicy::Fill, |api| {
            api.ice_restart(false);
            Vec::new()
        });
        self.addresses += 1;
        let id = self.clients[client].id;
        let address = SocketAddr::from(([10, 0, 2, id.0 as u8], 6_000 + self.addresses));
        let client = &mut self.clients[client];
        client.address = address;
        client
            .rtc
            .add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap())
            .unwrap();
    }

    fn offer(&mut self, at: usize, slots: SlotPolicy, change: impl FnOnce(&mut SdpApi<'_>) -> Vec<(Mid, bool)>) {
        let remb_only = self.remb_only;
        let client = &mut self.clients[at];
        let mut api = client.rtc.sdp_api();
        client.slots.extend(change(&mut api));
        let (offer, pending) = api.apply().unwrap();
        let source = |audio| if audio { Source::Mic } else { Source::Camera };
        let mids = client
            .slots
            .iter()
            .map(|(mid, audio)| (mid.to_string(), source(*audio)));
        let request = OfferRequest {
            room: ROOM,
            participant: client.id,
            name: format!("person {}", client.id.0),
            sdp: told(&offer.to_sdp_string(), remb_only),
            mids: mids.collect::<BTreeMap<_, _>>(),
            publish: self.may_send,
            subscribe: true,
            slots,
        };
        let (now, shard) = (self.now, client.shard);
        let answer = self.at(shard).offer(now, request).unwrap();
        let client = &mut self.clients[at];
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        client.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    pub fn intents(&mut self, client: usize, wanted: &[(usize, u32, u32)]) {
        let client = &self.clients[client];
        let video: Vec<Mid> = client
            .slots
            .iter()
            .filter(|(_, audio)| !audio)
            .map(|(mid, _)| *mid)
            .collect();
        let intents = wanted.iter().map(|(slot, who, height)| Intent {
            mid: video[*slot].to_string(),
            participant: ParticipantId(*who),
            source: Source::Camera,
            height: *height,
            fps: 0,
            priority: 0,
        });
        let (id, shard, intents) = (client.id, client.shard, intents.collect());
        let now = self.now;
        assert!(self.at(shard).intents(now, id, intents));
    }
}

fn add_slots(api: &mut SdpApi<'_>, count: usize) -> Vec<(Mid, bool)> {
    let mut slots = Vec::new();
    for kind in [MediaKind::Audio, MediaKind::Video] {
        for _ in 0..count {
            let mid = api.add_media(kind, Direction::RecvOnly, None, None, None);
            slots.push((mid, kind == MediaKind::Audio));
        }
    }
    slots
}

/// The offer as it is, or without transport-wide feedback.
fn told(sdp: &str, remb_only: bool) -> String {
    let keeps = |line: &&str| !(remb_only && (line.contains("transport-cc") || line.contains("transport-wide-cc")));
    sdp.split_inclusive("\r\n").filter(keeps).collect()
}
