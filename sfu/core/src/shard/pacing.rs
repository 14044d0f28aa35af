//! Whose turn it is: packets of one viewer that wait, and padding for probes.

use std::time::{Duration, Instant};

use sfu_bwe::Estimator;

use super::member::{Bound, Slot, Viewer};
use super::{Drop, Shard};
use crate::forward::PacketKey;
use crate::pacer::{Class, Pass};
use crate::transport::MAX_SEAL_OVERHEAD;

/// Timers of one viewer are at least so far apart.
const GRAIN: Duration = Duration::from_millis(1);
/// IP and UDP around a sealed packet.
pub(super) const DATAGRAM: usize = 28;
/// Room for a packet that is all padding: header with extensions, 255 bytes and the seal.
const PADDING_ROOM: usize = 400 + MAX_SEAL_OVERHEAD;

/// A packet that waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub slot: u16,
    pub packet: PacketKey,
    /// The layer that it belongs to: publisher, track, layer. The slot may carry another one by then.
    pub from: (u32, u8, u8),
    pub csrc: u32,
    /// The slot's own number, when it is sent again.
    pub again: Option<u64>,
}

impl Shard {
    /// Keeps a packet back when it is not its turn yet. `true`: it is not to be sent now.
    pub(super) fn hold(&mut self, now: Instant, viewer: u32, item: Waiting) -> bool {
        let Some(member) = self.members.get_mut(viewer as usize) else {
            return false;
        };
        let (Some(downlink), Some(slot)) = (&mut member.downlink, member.slots.get(usize::from(item.slot))) else {
            return false;
        };
        let Some((bytes, _)) = self.packets.get(item.packet) else {
            return false;
        };
        let class = match item.again {
            Some(_) => Class::Retransmission,
            None if slot.kind.is_audio() => Class::Audio,
            None => Class::Video,
        };
        match downlink
            .pacer
            .offer(now, class, item.slot, bytes.len() + DATAGRAM, item)
        {
            Pass::Now => false,
            Pass::Later => {
                if let Some(at) = downlink.next_packet() {
                    self.schedule_exactly(viewer, at);
                }
                true
            }
            Pass::Dropped => {
                self.counters.drop(Drop::PacerFull);
                true
            }
        }
    }

    /// Does what is due for a viewer: the estimator's step, packets whose turn it is, padding of a probe, a new allotment.
    pub(super) fn drive_downlink(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize).filter(|member| member.connected) else {
            return;
        };
        let Some(downlink) = &mut member.downlink else { return };
        downlink.not_before = now + GRAIN;
        downlink.may_probe(now, member.slots.iter().any(|slot| slot.out.can_pad()));
        downlink.estimator().handle_timeout(now);
        let budget = downlink.due(now);
        let scored = downlink.score(now);
        while let Some(copy) = self.downlink(key).and_then(|downlink| downlink.repeats.due(now)) {
            if !self.hold(now, key, copy) {
                self.release(now, key, copy);
            }
        }
        while let Some((_, item)) = self.downlink(key).and_then(|downlink| downlink.pacer.poll(now)) {
            if !self.release(now, key, item)
                && let Some(downlink) = self.downlink(key)
            {
                downlink.pacer.give_back();
            }
        }
        self.pad(now, key);
        if let Some(budget) = budget {
            self.allot(now, key, budget);
        }
        if let Some(scored) = scored {
            self.tell_quality(key, scored);
        }
    }

    pub(super) fn downlink(&mut self, key: u32) -> Option<&mut super::downlink::Downlink> {
        let member = self.members.get_mut(key as usize).filter(|member| member.connected)?;
        member.downlink.as_mut()
    }

    /// Sends a packet that has waited; `false`: its slot carries something else by now.
    fn release(&mut self, now: Instant, key: u32, item: Waiting) -> bool {
        let viewer = Viewer {
            member: key,
            slot: item.slot,
        };
        let (publisher, track, layer) = item.from;
        let still = |bound: &Bound| (bound.member, bound.track) == (publisher, track) && bound.current == Some(layer);
        if !self
            .slot_mut(viewer)
            .is_some_and(|slot| slot.bound.as_ref().is_some_and(still))
        {
            return false;
        }
        match item.again {
            Some(index) => self.send_again(now, viewer, item.packet, index),
            None => {
                if self.send_now(now, viewer, item.packet, item.csrc) {
                    self.want_key_frame(now, publisher, usize::from(track), usize::from(layer));
                }
            }
        }
        true
    }

    /// Padding for a probe, as retransmission packets without content of a slot that has declared them.
    fn pad(&mut self, now: Instant, key: u32) {
        loop {
            let Self {
                members,
                arena,
                counters,
                ..
            } = self;
            let Some(member) = members.get_mut(key as usize).filter(|m| m.connected) else {
                return;
            };
            let (Some(path), Some(peer)) = (member.path(), &mut member.peer) else {
                return;
            };
            let Some(downlink) = &mut member.downlink else {
                return;
            };
            let probe = downlink.estimator().probe().filter(|_| downlink.numbered);
            let Some(bytes) = downlink.pacer.padding(now, probe.as_ref()) else {
                return;
            };
            // One that carries something, where there is one: a receiver that sees the first packet of a stream may ask for a
            // key frame. But where not even one picture fits what is known, only a probe can show that there is room.
            let able = |slot: &&mut Slot| slot.out.can_pad();
            let Some(slot) = member
                .slots
                .iter_mut()
                .filter(able)
                .min_by_key(|slot| !slot.out.has_sent())
            else {
                return;
            };
            let Some(room) = arena.reserve(PADDING_ROOM) else {
                counters.drop(Drop::ArenaFull);
                return;
            };
            slot.out.number_next(downlink.number());
            let Some((len, index)) = slot.out.write_padding(room, bytes) else {
                return;
            };
            match peer.transport.seal_rtp(room, len, index) {
                Ok(sealed) => {
                    arena.commit(&mut member.route, path, sealed);
                    downlink.sent(now, sealed);
                    counters.padding += 1;
                }
                Err(_) => return counters.drop(Drop::Seal),
            }
        }
    }
}
