//! One heap of deadlines. An entry is a hint: when it is popped, the owner looks at its own state and says what comes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::Shard;
use crate::types::RoomId;

/// How often a room's loudness, layers and speakers are looked at.
const ROOM_TICK: Duration = Duration::from_millis(100);
/// What need not be done to the millisecond is done on ticks that all share: without them the timers of fifty viewers woke the
/// thread 1,800 times a second, and cost more than the packets.
const TICK: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Member { key: u32, epoch: u16 },
    Room(RoomId),
}

/// The heap.
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Owner)>>,
    /// Where the ticks are counted from.
    origin: Instant,
}

impl Timers {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            heap: BinaryHeap::new(),
            origin,
        }
    }

    /// The first tick that is not before `at`.
    fn tick(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.origin).as_nanos();
        let late = (since % TICK.as_nanos()) as u64;
        match late {
            0 => at,
            _ => at + (TICK - Duration::from_nanos(late)),
        }
    }
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

    /// Wakes the participant at the tick after `at`, or earlier if that was planned already.
    pub(super) fn schedule(&mut self, key: u32, at: Instant) {
        self.schedule_exactly(key, self.timers.tick(at));
    }

    /// The same without a tick: packets wait.
    pub(super) fn schedule_exactly(&mut self, key: u32, at: Instant) {
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
        self.drive_data(now, key);
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
        let packets = downlink.and_then(|downlink| downlink.next_packet());
        let step = downlink.and_then(|downlink| downlink.next_step());
        // Of who is away nothing is sent again: their timers stand still until they are back.
        let data = member.data.as_ref().filter(|_| member.connected && !member.lost);
        let next = feedback
            .chain(member.peer.as_ref().and_then(|peer| peer.transport.next_deadline()))
            .chain(member.report_at)
            .chain(member.arrivals_at)
            .chain(step)
            .chain(data.and_then(|data| data.next_deadline()))
            .min();
        if let Some(at) = next {
            self.schedule(key, at);
        }
        if let Some(at) = packets {
            self.schedule_exactly(key, at);
        }
    }
}
