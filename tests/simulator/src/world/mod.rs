//! The event heap, and everything that happens.

mod seats;
mod traffic;

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use link_model::{Link, LinkConfig};
use sfu_core::forward::PacketBuffer;
use sfu_core::shard::{Event, Shard};
use sfu_core::types::{ParticipantId, RoomId};

use crate::desk::{Desk, Order};
use crate::plan::{Broken, Plan};
use crate::publisher::{FRAME, Publisher, SOUND};
use crate::relays::Relays;
use crate::report::{Report, Witness};
use crate::shards;
use crate::viewer::{FEEDBACK, Viewer};

/// From the answer to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_millis(150);
/// A client on a new address checks it after so long, as Chromium does.
const CHECK: Duration = Duration::from_millis(2_500);
/// Signaling looks at its deadlines this often, and tells clients after this long.
const SIGNALING: Duration = Duration::from_millis(50);
/// After everybody has left, time for what has to be forgotten.
const AFTERWARDS: Duration = Duration::from_secs(12);
/// Slots for voices.
const VOICES: usize = 5;

enum What {
    Join(usize),
    Leave(usize),
    Handshake(usize),
    Move(usize),
    Check(usize),
    Frame(usize),
    Sound(usize),
    Feedback(usize),
    Up(usize, u8, Vec<u8>),
    Down(usize, Vec<u8>),
    Told(usize, Vec<bool>),
    Timer(u8),
    Desks,
    Back,
}

struct Client {
    seated: bool,
    connected: bool,
    place: u8,
    up: Link,
    down: usize,
    publisher: Publisher,
    viewer: Viewer,
    witness: Witness,
}

struct World<'a> {
    plan: &'a Plan,
    start: Instant,
    now: Duration,
    heap: BTreeMap<(Duration, u64), What>,
    count: u64,
    shards: Vec<Shard>,
    /// When each shard's timer is in the heap.
    timers: Vec<Option<Duration>>,
    relays: Relays,
    desks: BTreeMap<u32, Desk>,
    clients: Vec<Client>,
    downs: Vec<Link>,
    buffer: PacketBuffer,
    hasher: DefaultHasher,
    delivered: u64,
}

/// Plays a plan.
pub fn run(plan: &Plan) -> Report {
    let mut world = World::new(plan);
    while let Some(((at, _), what)) = world.heap.pop_first() {
        if at > plan.length + AFTERWARDS {
            break;
        }
        world.now = at;
        world.happen(what);
    }
    world.report()
}

impl<'a> World<'a> {
    #[allow(
        clippy::disallowed_methods,
        reason = "the simulation needs some instant to count from"
    )]
    fn new(plan: &'a Plan) -> Self {
        let start = Instant::now();
        let mut downs: Vec<Link> = Vec::new();
        let seeded =
            |config: &LinkConfig, salt: u64| Link::new(config.clone(), plan.seed.wrapping_mul(1_000_003) ^ salt);
        for (at, shared) in plan.shared.iter().enumerate() {
            downs.push(seeded(shared, 0x5a5a_0000 + at as u64));
        }
        let mut clients = Vec::new();
        for (at, person) in plan.people.iter().enumerate() {
            let id = at as u32 + 1;
            let down = person.shared.unwrap_or(downs.len());
            if person.shared.is_none() {
                downs.push(seeded(&person.down, 2 * at as u64 + 1));
            }
            let stamped = person.room + u32::from(at == 0 && plan.broken == Some(Broken::WrongRoom)) * 77;
            clients.push(Client {
                seated: false,
                connected: false,
                place: 0,
                up: seeded(&person.up, 2 * at as u64),
                down,
                publisher: Publisher::new(id, stamped, person.key_size, plan.seed << 16 ^ u64::from(id)),
                viewer: Viewer::new(id, person.room, start),
                witness: Witness {
                    joined: person.joins,
                    tiles: person.tiles.len(),
                    ..Witness::default()
                },
            });
        }
        let mut world = Self {
            plan,
            start,
            now: Duration::ZERO,
            heap: BTreeMap::new(),
            count: 0,
            shards: (0..plan.shards)
                .map(|number| shards::shard(number, plan.seed, start))
                .collect(),
            timers: vec![None; usize::from(plan.shards)],
            relays: Relays::default(),
            desks: BTreeMap::new(),
            clients,
            downs,
            buffer: PacketBuffer::default(),
            hasher: DefaultHasher::new(),
            delivered: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let plan = self.plan;
        let mut rooms: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut spans: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (at, person) in plan.people.iter().enumerate() {
            rooms.entry(person.room).or_default().push(at as u32 + 1);
            spans.entry(person.room).or_default().push(person.shard);
            self.at(person.joins, What::Join(at));
            let leaves = person.leaves.unwrap_or(plan.length);
            if !(at == 0 && plan.broken == Some(Broken::StaysBehind)) {
                self.at(leaves, What::Leave(at));
            }
            if let Some(moves) = person.moves {
                self.at(moves, What::Move(at));
            }
        }
        self.desks = rooms
            .iter()
            .map(|(room, people)| (*room, Desk::new(*room, people)))
            .collect();
        for (room, mut shards) in spans {
            shards.sort_unstable();
            shards.dedup();
            for shard in shards.iter().filter(|_| shards.len() > 1) {
                self.shards[usize::from(*shard)].span(self.start, RoomId(room), shards[0], &shards);
            }
        }
        self.at(SIGNALING, What::Desks);
        if let Some((from, to)) = plan.away {
            self.at(from, What::Back);
            self.at(to, What::Back);
        }
    }

    fn at(&mut self, at: Duration, what: What) {
        self.count += 1;
        self.heap.insert((at.max(self.now), self.count), what);
    }

    fn after(&mut self, time: Duration, what: What) {
        self.at(self.now + time, what);
    }

    fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// Until when a shard stands still.
    fn stalled(&self, shard: u8) -> Option<Duration> {
        let stalls = self.plan.stalls.iter();
        let now = stalls.filter(|(which, from, to)| *which == shard && (*from..*to).contains(&self.now));
        now.map(|(_, _, to)| *to).max()
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Join(at) => self.signal(at, |desk, ms, id, log| desk.join(ms, id, log)),
            What::Leave(at) => self.signal(at, |desk, ms, id, log| desk.leave(ms, id, log)),
            What::Handshake(at) => self.handshake(at),
            What::Move(at) => {
                self.clients[at].place += 1;
                self.after(CHECK, What::Check(at));
            }
            What::Check(at) => {
                let (shard, place) = (self.plan.people[at].shard, self.clients[at].place);
                let now = self.instant();
                self.shards[usize::from(shard)].check_unproven(
                    now,
                    ParticipantId(at as u32 + 1),
                    shards::path(shard, at, place),
                );
                self.serve(shard);
            }
            What::Frame(at) => self.send(at, FRAME, What::Frame(at), |client, out| client.publisher.frame(out)),
            What::Sound(at) => self.send(at, SOUND, What::Sound(at), |client, out| client.publisher.voice(out)),
            What::Feedback(at) => {
                let now = self.instant();
                self.send(at, FEEDBACK, What::Feedback(at), |client, out| {
                    out.extend(client.viewer.feedback(now))
                });
            }
            What::Up(at, place, datagram) => self.arrive(at, place, datagram),
            What::Down(at, datagram) => self.receive(at, &datagram),
            What::Told(at, active) => self.clients[at].publisher.obey(&active),
            What::Timer(shard) => self.timer(shard),
            What::Desks => {
                for room in self.desks.keys().copied().collect::<Vec<_>>() {
                    self.decide(room, |desk, ms, log| desk.tick(ms, log));
                }
                self.after(SIGNALING, What::Desks);
            }
            What::Back => {
                let away = self.plan.away.is_some_and(|(from, to)| (from..to).contains(&self.now));
                for room in self.desks.keys().copied().collect::<Vec<_>>() {
                    self.decide(room, |desk, ms, log| {
                        desk.away = away;
                        if away { Vec::new() } else { desk.restart(ms, log) }
                    });
                }
            }
        }
    }

    fn signal(&mut self, at: usize, what: impl FnOnce(&mut Desk, i64, u32, &mut String) -> Vec<Order>) {
        let room = self.plan.people[at].room;
        self.decide(room, |desk, ms, log| what(desk, ms, at as u32 + 1, log));
    }

    fn decide(&mut self, room: u32, what: impl FnOnce(&mut Desk, i64, &mut String) -> Vec<Order>) {
        let ms = 1_764_936_000_000 + self.now.as_millis() as i64;
        let mut log = String::new();
        let Some(desk) = self.desks.get_mut(&room) else { return };
        let orders = what(desk, ms, &mut log);
        if !log.is_empty() {
            (self.now, log).hash(&mut self.hasher);
        }
        for order in orders {
            match order {
                Order::Admit(id) => self.admit(id as usize - 1),
                Order::Remove(id) => self.remove(id as usize - 1),
            }
        }
    }

    fn timer(&mut self, shard: u8) {
        self.timers[usize::from(shard)] = None;
        if let Some(end) = self.stalled(shard) {
            self.timers[usize::from(shard)] = Some(end);
            return self.at(end, What::Timer(shard));
        }
        let now = self.instant();
        let state = &mut self.shards[usize::from(shard)];
        if state.next_deadline().is_some_and(|at| at <= now) {
            state.handle_timeout(now);
        }
        self.serve(shard);
    }

    /// Takes what shards have to say, and arranges for their next deadline. Only `touched` can have something, and those
    /// that it speaks with.
    fn serve(&mut self, touched: u8) {
        let now = self.instant();
        let all = if self.shards.len() > 1 {
            let stalled: Vec<bool> = (0..self.plan.shards)
                .map(|shard| self.stalled(shard).is_some())
                .collect();
            self.relays
                .exchange(now, &mut self.shards, |shard| stalled[usize::from(shard)]);
            0..self.plan.shards
        } else {
            touched..touched + 1
        };
        for shard in all {
            let mut out = Vec::new();
            let state = &mut self.shards[usize::from(shard)];
            for (path, datagram) in state.outgoing().iter() {
                if let Some((client, place)) = shards::client(&path) {
                    out.push((client, place, datagram.to_vec()));
                }
            }
            state.outgoing().clear();
            while let Some(event) = self.shards[usize::from(shard)].poll_event() {
                self.event(event);
            }
            for (client, place, datagram) in out {
                self.descend(client, place, datagram);
            }
            let next = self.shards[usize::from(shard)].next_deadline();
            let next = next.map(|at| at.saturating_duration_since(self.start).max(self.now));
            if let Some(next) = next
                && self.timers[usize::from(shard)].is_none_or(|at| next < at)
            {
                self.timers[usize::from(shard)] = Some(next);
                self.at(next, What::Timer(shard));
            }
        }
    }

    fn event(&mut self, event: Event) {
        (self.now, format!("{event:?}")).hash(&mut self.hasher);
        let at = |id: ParticipantId| id.0 as usize - 1;
        match event {
            Event::Connected(id) | Event::Recovered(id) => {
                self.signal(at(id), |desk, ms, id, log| desk.media(ms, id, true, log))
            }
            Event::Lost(id) => self.signal(at(id), |desk, ms, id, log| desk.media(ms, id, false, log)),
            Event::Bindings(id, bindings) => self.clients[at(id)].viewer.told(self.now, &bindings),
            Event::Layers {
                participant, active, ..
            } => self.after(SIGNALING, What::Told(at(participant), active)),
            _ => {}
        }
    }

    fn report(mut self) -> Report {
        let count = |of: fn(&Shard) -> usize| self.shards.iter().map(of).sum::<usize>();
        let left_behind = [
            count(Shard::participants),
            count(Shard::stand_ins),
            count(Shard::kept),
            self.desks.values().map(Desk::seats).sum(),
        ];
        for shard in &self.shards {
            let counters = shard.counters();
            (
                counters.received,
                counters.forwarded,
                counters.retransmitted,
                counters.padding,
            )
                .hash(&mut self.hasher);
        }
        let mut key_frames = 0;
        let people = self.clients.into_iter().map(|client| {
            key_frames += client.publisher.asked;
            Witness {
                seen: client.viewer.seen,
                sound: client.viewer.sound,
                foreign: client.viewer.foreign,
                bytes: client.viewer.bytes,
                padding: client.viewer.padding,
                ..client.witness
            }
        });
        let people = people.collect();
        Report {
            decisions: self.hasher.finish(),
            people,
            left_behind,
            delivered: self.delivered,
            key_frames,
        }
    }
}
