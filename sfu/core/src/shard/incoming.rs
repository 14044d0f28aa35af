//! Datagrams in: whose is it, what is it.

use std::time::Instant;

use super::member::MAX_PATHS;
use super::{Drop, Event, Shard};
use crate::forward::PacketBuffer;
use crate::transport::ufrag::Ufrag;
use crate::transport::{Incoming, TransportEvent, stun_local_ufrag};
use crate::types::Path;

impl Shard {
    /// Takes one datagram. A media packet is kept: `buffer` then holds other memory.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, buffer: &mut PacketBuffer) {
        let Some(key) = self.owner(&path, buffer.datagram()) else {
            self.counters.drop(Drop::Nobody);
            return;
        };
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let Some(peer) = &mut member.peer else { return };
        self.working_on = Some(member.room);
        let incoming = peer.transport.handle(now, path, buffer.datagram());
        match incoming {
            Incoming::Rtp { .. } if !member.limits.published.take(now) => self.counters.drop(Drop::Flood),
            Incoming::Rtcp { .. } if !member.limits.feedback.take(now) => self.counters.drop(Drop::FeedbackFlood),
            Incoming::Rtp { len, index } => {
                buffer.len = len;
                self.receive(now, key, buffer, index);
            }
            Incoming::Rtcp { len } => {
                let compound = buffer.bytes.get(..len).unwrap_or_default();
                self.handle_feedback(now, key, compound);
            }
            Incoming::Nothing => {
                self.learn_path(key, path);
                self.reschedule(key);
            }
            Incoming::Data(packets) => {
                self.learn_path(key, path);
                self.handle_data(now, key, packets);
                self.reschedule(key);
            }
            Incoming::Dropped(reason) => self.counters.drop_in_transport(reason),
        }
        self.drain_transport(now, key);
        self.settle(now);
        self.working_on = None;
    }

    /// Who may own this datagram: by the user fragment of a check, by a verified path, by SSRC.
    fn owner(&self, path: &Path, datagram: &[u8]) -> Option<u32> {
        let first = *datagram.first()?;
        if first < 4 {
            // STUN: the fragment decides even on a known path, which may have passed to another participant.
            if let Some(place) = stun_local_ufrag(datagram).and_then(Ufrag::decode) {
                let member = self.members.get(place.slot as usize)?;
                let ours = place.node == self.config.node && place.shard == self.config.shard;
                return (ours && member.epoch == place.epoch).then_some(place.slot);
            }
        }
        if let Some(key) = self.by_path.get(path) {
            return Some(*key);
        }
        // RFC 7983: 128 to 191 is RTP or RTCP. A NAT may have given them a new address; the transport limits the attempts.
        if !(128..192).contains(&first) || datagram.len() < 12 {
            return None;
        }
        let at = if (192..224).contains(datagram.get(1)?) { 4 } else { 8 };
        let ssrc = u32::from_be_bytes(datagram.get(at..at + 4)?.try_into().ok()?);
        self.by_ssrc.get(&ssrc).copied()
    }

    pub(super) fn learn_path(&mut self, key: u32, path: Path) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        let owns = member.peer.as_ref().is_some_and(|peer| peer.transport.owns_path(&path));
        if !owns || self.by_path.get(&path) == Some(&key) {
            return;
        }
        if member.paths.len() == MAX_PATHS {
            let gone = member.paths.remove(0);
            if self.by_path.get(&gone) == Some(&key) {
                self.by_path.remove(&gone);
            }
        }
        member.paths.push(path);
        self.by_path.insert(path, key);
    }

    /// Takes what the transport wants to send and to say.
    pub(super) fn drain_transport(&mut self, now: Instant, key: u32) {
        while let Some(member) = self.members.get_mut(key as usize) {
            let Some(peer) = &mut member.peer else { return };
            if let Some((path, datagram)) = peer.transport.poll_transmit() {
                if !self.arena.push(path, &datagram) {
                    self.counters.drop(Drop::ArenaFull);
                }
                continue;
            }
            let Some(event) = peer.transport.poll_event() else {
                break;
            };
            let id = member.id;
            match event {
                TransportEvent::Connected => {
                    member.connected = true;
                    member.report_at = Some(now);
                    self.event(Event::Connected(id));
                    self.begin_slots(key);
                    self.reschedule(key);
                }
                TransportEvent::PathChanged(path) => {
                    self.learn_path(key, path);
                    if let Some(downlink) = self.members.get_mut(key as usize).and_then(|m| m.downlink.as_mut()) {
                        downlink.leave_connection();
                        self.schedule_exactly(key, now);
                    }
                    self.event(Event::Path(id, path));
                }
                TransportEvent::Lost => {
                    member.lost = true;
                    self.event(Event::Lost(id));
                }
                TransportEvent::Recovered => {
                    member.lost = false;
                    if let Some(data) = &mut member.data {
                        data.link.wake();
                    }
                    if let Some(downlink) = &mut member.downlink {
                        downlink.restart(now);
                    }
                    let room = member.room;
                    self.mark_room(room);
                    self.allot_soon(key);
                    self.event(Event::Recovered(id));
                    self.reschedule(key);
                    self.refresh_after_restart(now, key);
                }
                TransportEvent::Failed(_) | TransportEvent::Closed => {
                    self.remove(now, key);
                    self.event(Event::Closed(id));
                }
            }
        }
    }
}
