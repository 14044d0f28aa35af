//! RTCP in: what viewers lost, whom they cannot decode, and what clock publishers keep.

use std::time::{Duration, Instant};

use super::member::Viewer;
use super::{Drop, Shard};
use crate::rtcp::{Packet, Packets};
use sfu_bwe::Estimator;

/// Sequence numbers of one compound packet that are looked at; a client that asks for more gets a key frame instead.
const MAX_NACKS: usize = 256;

impl Shard {
    pub(super) fn handle_feedback(&mut self, now: Instant, key: u32, compound: &[u8]) {
        let mut allowed = MAX_NACKS;
        for packet in Packets::new(compound) {
            match packet {
                Packet::SenderReport { ssrc, ntp, rtp, blocks } => {
                    if let Some(member) = self.members.get_mut(key as usize)
                        && let Some(stream) = member.streams.iter().find(|s| s.ssrc == ssrc && !s.rtx).copied()
                    {
                        let layer = &mut member.tracks[usize::from(stream.track)].layers[usize::from(stream.layer)];
                        layer.receiver.clock.report(ntp, rtp, now);
                        let relays = layer.relays;
                        self.tell_clock(key, stream.track, stream.layer, relays);
                    }
                    self.round_trip(now, key, blocks);
                }
                Packet::ReceiverReport { blocks } => self.round_trip(now, key, blocks),
                Packet::Nack { ssrc, lost } => {
                    let Some(viewer) = self.slot_by_ssrc(key, ssrc) else {
                        continue;
                    };
                    for sequence in lost {
                        if allowed == 0 {
                            break;
                        }
                        allowed -= 1;
                        self.retransmit(now, viewer, sequence);
                    }
                }
                Packet::KeyFrameRequest { ssrc } => {
                    let Some(slot) = self.slot_by_ssrc(key, ssrc).and_then(|viewer| self.slot_mut(viewer)) else {
                        continue;
                    };
                    let Some(bound) = slot.bound else { continue };
                    let Some(layer) = bound.current.or(bound.next) else {
                        continue;
                    };
                    if !slot.key_frames.take(now) {
                        self.counters.drop(Drop::KeyFrameCap);
                        continue;
                    }
                    let (track, layer) = (usize::from(bound.track), usize::from(layer));
                    self.want_key_frame(now, bound.member, track, layer);
                }
                Packet::Feedback(mut statuses) => {
                    if let Some(downlink) = self.members.get_mut(key as usize).and_then(|m| m.downlink.as_mut()) {
                        downlink.estimator().feedback(now, &mut statuses);
                        self.drive_downlink(now, key);
                        self.reschedule(key);
                    }
                }
                Packet::Remb(bitrate) => {
                    if let Some(downlink) = self.members.get_mut(key as usize).and_then(|m| m.downlink.as_mut()) {
                        downlink.estimator().remb(now, bitrate);
                    }
                }
                Packet::Malformed => self.counters.drop(Drop::Malformed),
                Packet::Bye { .. } | Packet::Other => {}
            }
        }
    }

    fn slot_by_ssrc(&self, key: u32, ssrc: u32) -> Option<Viewer> {
        let slots = &self.members.get(key as usize)?.slots;
        let slot = slots.iter().position(|slot| slot.out.config.ssrc == ssrc)?;
        Some(Viewer {
            member: key,
            slot: slot as u16,
        })
    }

    /// RFC 3550 section 6.4.1: now - LSR - DLSR, all in 1/65536 s.
    fn round_trip(&mut self, now: Instant, key: u32, blocks: crate::rtcp::Blocks<'_>) {
        let ntp = (self.clock.ntp(now) >> 16) as u32;
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        for block in blocks.filter(|block| block.last_report != 0) {
            let ticks = ntp.wrapping_sub(block.last_report).wrapping_sub(block.delay);
            // Up to 10 s; anything else is a lie or a clock that ran backwards.
            if ticks < 10 << 16 {
                let measured = Duration::from_micros(u64::from(ticks) * 1_000_000 / 65_536);
                member.round_trip = (member.round_trip * 7 + measured) / 8;
            }
        }
    }
}
