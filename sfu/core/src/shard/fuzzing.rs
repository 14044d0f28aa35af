//! Doors for the fuzzer, which no build of the server has: behind the cipher, where no mutation would ever get.

use std::time::Instant;

use super::Shard;
use crate::forward::PacketBuffer;
use crate::types::{ParticipantId, Path};

impl Shard {
    /// Connects a participant as if ICE and DTLS were done, under keys that everybody knows.
    pub fn connect_unproven(&mut self, now: Instant, participant: ParticipantId, path: Path) {
        let Some(key) = self.by_id.get(&participant).copied() else {
            return;
        };
        if let Some(member) = self.members.get_mut(key as usize) {
            let Some(peer) = &mut member.peer else { return };
            self.working_on = Some(member.room);
            peer.transport.connect_unproven(now, path);
            self.drain_transport(now, key);
            self.settle(now);
            self.working_on = None;
        }
    }

    /// Takes an RTP or RTCP packet as if it had come sealed.
    pub fn take_opened(
        &mut self,
        now: Instant,
        participant: ParticipantId,
        buffer: &mut PacketBuffer,
        index: u64,
        rtcp: bool,
    ) {
        let Some(key) = self.by_id.get(&participant).copied() else {
            return;
        };
        let Some(member) = self.members.get(key as usize).filter(|member| member.connected) else {
            return;
        };
        self.working_on = Some(member.room);
        if rtcp {
            let compound = buffer.datagram().to_vec();
            self.handle_feedback(now, key, &compound);
        } else {
            self.receive(now, key, buffer, index);
        }
        self.drain_transport(now, key);
        self.settle(now);
        self.working_on = None;
    }

    /// SSRCs of a participant's slots, and the sequence number that each sends next.
    pub fn slot_numbers(&self, participant: ParticipantId) -> Vec<(u32, u16)> {
        let key = self.by_id.get(&participant).copied();
        let member = key.and_then(|key| self.members.get(key as usize));
        let slots = member.into_iter().flat_map(|member| &member.slots);
        slots
            .map(|slot| (slot.out.config.ssrc, slot.out.next_sequence()))
            .collect()
    }
}
