//! One heap of deadlines. An entry is a hint: when it is popped, the owner looks at its own state and says what comes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::Shard;
use crate::types::RoomId;

/// How often a room's loudness, layers and speakers are looked at.
const ROOM_TICK: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Member { key: u32, epoch: u16 },
    Room(RoomId),
}

/// The heap.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Owner)>>,
}

impl Shard {
    /// When [`Self::handle_timeout`] wants to be called; not earlier than needed, sometimes for nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Does everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, owner))) = self.timers.heap.peek().copied()
            && at <= now
        {
            self.timers.heap.pop();
            match owner {
                Owner::Member { key, epoch } => {
                    let Some(member) = self.members.get_mut(key as usize) else {
                        continue;
                    };
                    // A later or earlier entry took this one's place, or the participant is another one.
                    if member.epoch != epoch || member.wake != Some(at) {
                        continue;
                    }
                    member.wake = None;
                    self.working_on = Some(member.room);
                    self.member_timeout(now, key);
                }
                Owner::Room(room) => {
                    self.working_on = Some(room);
                    if self.room_tick(now, room) {
                        self.schedule_room(now, room);
                    }
                }
            }
        }
        self.settle(now);
        self.working_on = None;
    }

    /// Wakes the participant at `at`, or earlier if that was planned already.
    pub(super) fn schedule(&mut self, key: u32, at: Instant) {
        if let Some(member) = self.members.get_mut(key as usize)
            && member.wake.is_none_or(|wake| at < wake)
        {
            member.wake = Some(at);
            let owner = Owner::Member {
                key,
                epoch: member.epoch,
            };
            self.timers.heap.push(Reverse((at, owner)));
        }
    }

    pub(super) fn schedule_room(&mut self, now: Instant, room: RoomId) {
        self.timers.heap.push(Reverse((now + ROOM_TICK, Owner::Room(room))));
    }

    fn member_timeout(&mut self, now: Instant, key: u32) {
        let Some(member) = self.members.get_mut(key as usize) else {
            return;
        };
        if let Some(peer) = &mut member.peer
            && peer.transport.next_deadline().is_some_and(|at| at <= now)
        {
            peer.transport.handle_timeout(now);
            self.drain_transport(now, key);
        }
        self.send_due_feedback(now, key);
        self.drive_downlink(now, key);
        self.reschedule(key);
    }

    /// Plans the participant's next wake-up from its own state.
    pub(super) fn reschedule(&mut self, key: u32) {
        let Some(member) = self.members.get(key as usize) else {
            return;
        };
        let layers = member.tracks.iter().flat_map(|track| &track.layers);
        let feedback = layers.flat_map(|layer| {
            [layer.receiver.gaps.next_deadline(), layer.receiver.key_frame_deadline()]
                .into_iter()
                .flatten()
        });
        let downlink = member.downlink.as_ref().filter(|_| member.connected);
        let downlink = downlink.and_then(|downlink| downlink.next_deadline());
        let next = feedback
            .chain(member.peer.as_ref().and_then(|peer| peer.transport.next_deadline()))
            .chain(member.report_at)
            .chain(member.arrivals_at)
            .chain(downlink)
            .min();
        if let Some(at) = next {
            self.schedule(key, at);
        }
    }
}
