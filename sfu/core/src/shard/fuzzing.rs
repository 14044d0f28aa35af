//! Doors for the fuzzer and the simulator, which no build of the server has: behind the cipher, where no mutation would ever
//! get, and past the ciphers, which a hundred simulated participants need not pay for.

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

    /// As [`Self::connect_unproven`], and from then on without ciphers: lengths are as if there were one, replay windows,
    /// path rules and the refusal to use a number twice stay as they are.
    #[cfg(feature = "simulation")]
    pub fn connect_plain(&mut self, now: Instant, participant: ParticipantId, path: Path) {
        self.connect_unproven(now, participant, path);
        let Some(key) = self.by_id.get(&participant).copied() else {
            return;
        };
        let member = self.members.get_mut(key as usize);
        if let Some(peer) = member.and_then(|member| member.peer.as_mut()) {
            peer.transport.go_plain();
            self.learn_path(key, path);
        }
    }

    /// As if an authentic check with USE-CANDIDATE had come this way.
    #[cfg(feature = "simulation")]
    pub fn check_unproven(&mut self, now: Instant, participant: ParticipantId, path: Path) {
        let Some(key) = self.by_id.get(&participant).copied() else {
            return;
        };
        let peer = self
            .members
            .get_mut(key as usize)
            .and_then(|member| member.peer.as_mut());
        if let Some(peer) = peer {
            peer.transport.believe(now, path);
            self.learn_path(key, path);
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
