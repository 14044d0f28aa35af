//! The answer to an offer, and what becomes of it: tracks for what is published, slots for what is received.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Shard;
use super::downlink::Downlink;
use super::member::{Slot, Stream, Track};
use crate::forward::{Outgoing, SlotConfig};
use crate::rtcp::Arrivals;
use crate::sdp::{AnswerParams, Extension, MediaKind, Negotiated, Offer, Role, SdpError, SlotSsrcs, answer};
use crate::transport::IceCredentials;
use crate::types::RoomId;

impl Shard {
    pub(super) fn answer(
        &mut self,
        offer: &Offer,
        ice: &IceCredentials,
        session: (u64, u64),
        member: Option<u32>,
        room: RoomId,
    ) -> Result<(String, Negotiated), SdpError> {
        let mut slots = BTreeMap::new();
        for media in offer.media.iter().filter(|m| matches!(m.role, Role::Slot(_))) {
            let kept = member.and_then(|key| {
                let slot = self
                    .members
                    .get(key as usize)?
                    .slots
                    .iter()
                    .find(|slot| slot.mid == media.mid)?;
                let rtx = slot
                    .out
                    .config
                    .rtx_ssrc
                    .unwrap_or_else(|| slot.out.config.ssrc.wrapping_add(1));
                Some(SlotSsrcs {
                    ssrc: slot.out.config.ssrc,
                    rtx,
                })
            });
            let ssrcs = kept.unwrap_or_else(|| {
                // An even number and the next one: two slots meet once in 2^31.
                let ssrc = self.random.u32() | 1;
                SlotSsrcs {
                    ssrc: ssrc ^ 1,
                    rtx: ssrc,
                }
            });
            slots.insert(media.mid.clone(), ssrcs);
        }
        // What the room uses now stands first, so that a publisher begins with it.
        let mut codecs = self.config.codecs.clone();
        let now = self.rooms.get(&room).and_then(|room| room.codec);
        codecs.video.sort_by_key(|codec| Some(*codec) != now);
        let params = AnswerParams {
            ice,
            fingerprint: self.identity.fingerprint(),
            candidates: &self.config.candidates,
            tcp_candidates: &self.config.tcp_candidates,
            slots: &slots,
            cname: "ringhall",
            codecs: &codecs,
            session,
        };
        answer(offer, &params)
    }

    /// Makes tracks and slots of what was agreed and is not there yet.
    pub(super) fn apply(&mut self, now: Instant, key: u32, negotiated: Negotiated) {
        let Self {
            members, random, rooms, ..
        } = self;
        let Some(member) = members.get_mut(key as usize) else {
            return;
        };
        for media in negotiated.media {
            match media.role {
                Role::Publish(source) => {
                    for extension in Extension::ALL {
                        if let Some(id) = media.extensions.id(extension) {
                            member.extensions.set(extension, id);
                        }
                    }
                    if media.codecs.iter().any(|codec| codec.transport_cc) {
                        member.arrivals.get_or_insert_with(|| Arrivals::new(now));
                    }
                    if member.tracks.iter().any(|track| track.mid == media.mid) || member.tracks.len() >= 16 {
                        continue;
                    }
                    let track = Track::new(media.mid, source, media.codecs, media.rids, media.ssrcs.streams.len());
                    let at = member.tracks.len() as u8;
                    for (layer, (ssrc, rtx)) in media.ssrcs.streams.iter().enumerate().take(track.layers.len()) {
                        let stream = |ssrc, rtx| Stream {
                            ssrc,
                            track: at,
                            layer: layer as u8,
                            rtx,
                        };
                        // With RIDs the order of SSRCs says nothing; the RID in the packets does.
                        if track.rids.is_empty() {
                            member.streams.push(stream(*ssrc, false));
                            member.streams.extend(rtx.map(|rtx| stream(rtx, true)));
                        }
                    }
                    member.tracks.push(track);
                    if let (Some(track), Some(room)) = (member.tracks.last_mut(), rooms.get(&member.room)) {
                        track.blocked = room.blocked.contains(&(member.id, source));
                    }
                }
                Role::Slot(kind) if media.kind != MediaKind::Application => {
                    let Some(ssrcs) = media.slot else { continue };
                    if member.slots.iter().any(|slot| slot.mid == media.mid) {
                        continue;
                    }
                    let codecs: Box<[_]> = media.codecs.iter().map(|c| (c.kind, c.pt, c.rtx_pt)).collect();
                    let has_rtx = codecs.iter().any(|(_, _, rtx)| rtx.is_some());
                    let id = |extension| media.extensions.id(extension);
                    let config = SlotConfig {
                        mid: media.mid.as_str().into(),
                        ssrc: ssrcs.ssrc,
                        rtx_ssrc: has_rtx.then_some(ssrcs.rtx),
                        codecs,
                        clock_rate: media.codecs.first().map_or(90_000, |c| c.clock_rate),
                        extensions: [
                            id(Extension::Mid),
                            id(Extension::AudioLevel),
                            id(Extension::VideoOrientation),
                            id(Extension::DependencyDescriptor),
                        ],
                        transport_cc: id(Extension::TransportCc)
                            .filter(|_| media.codecs.iter().any(|codec| codec.transport_cc)),
                    };
                    let remb = media.codecs.iter().any(|codec| codec.remb);
                    if config.transport_cc.is_some() || remb {
                        let numbered = config.transport_cc.is_some();
                        let downlink = member.downlink.get_or_insert_with(|| Downlink::new(now));
                        if numbered {
                            downlink.number_packets(now);
                        }
                    }
                    let seed = [random.u32(), random.u32()];
                    member
                        .slots
                        .push(Slot::new(media.mid, kind, Outgoing::new(config, seed)));
                }
                Role::Slot(_) | Role::Inactive => {}
            }
        }
        for stream in &member.streams {
            self.by_ssrc.insert(stream.ssrc, key);
        }
    }
}
