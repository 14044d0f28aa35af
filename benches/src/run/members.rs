//! Rooms by the WebSocket protocol: everybody publishes and watches in one connection, people ring, come, go, and lose their
//! network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::report::model::Figures;
use crate::ringhall::{Server, signal};
use crate::scenario::{Rooms, Scenario};

use super::crowd::{Crowd, Halt, pick, ramp, take_turns};
use super::meter::Meter;
use super::person::{Connected, Part, RoomBook, Seated};

/// Joins under way at a time.
const AT_A_TIME: usize = 16;

/// Everybody who is in.
type People = Arc<Mutex<Vec<(usize, Seated)>>>;

/// Runs the scenario's rooms and returns the figures of its window.
///
/// # Errors
/// [`Halt`].
pub(super) async fn run(server: Arc<Server>, scenario: &Scenario, crowd: Crowd, meter: Meter) -> Result<Figures, Halt> {
    let Some(rooms) = scenario.rooms.clone() else {
        return Err(Halt::Failed("the scenario has no rooms".into()));
    };
    let stage = Stage {
        server,
        crowd: crowd.clone(),
        books: Arc::new((0..rooms.count).map(|_| Arc::default()).collect()),
        rooms: Arc::new(rooms),
        next: Arc::new(AtomicU32::new(0)),
    };
    let rooms = stage.rooms.clone();
    let all = rooms.count * rooms.members;
    crowd.board.wanted.store(all as u64, Ordering::Relaxed);
    let people: People = Arc::default();
    if rooms.ringing {
        stage.ring_all(scenario.ramp_seconds, &people).await?;
    } else {
        stage.join_all(scenario.ramp_seconds, &people).await?;
    }
    let mut by_room = vec![Vec::new(); rooms.count];
    for (room, seated) in people.lock().await.iter() {
        by_room[*room].push(seated.client);
    }
    if by_room.iter().all(Vec::is_empty) {
        return Err(Halt::Failed(crowd.board.nobody()));
    }
    tokio::time::sleep(Duration::from_secs_f64(scenario.settle_seconds)).await;
    crowd.link.begin().await;
    let window = meter.open();
    let mut beside = JoinSet::new();
    beside.spawn(take_turns(crowd.clone(), rooms.audio.clone(), by_room));
    beside.spawn(stage.clone().churn(people.clone()));
    beside.spawn(stage.clone().break_network(people.clone()));
    tokio::time::sleep(Duration::from_secs_f64(scenario.duration_seconds)).await;
    beside.abort_all();
    crowd.link.note(&crowd.board).await;
    Ok(meter.close(window).await)
}

#[derive(Clone)]
struct Stage {
    server: Arc<Server>,
    rooms: Arc<Rooms>,
    crowd: Crowd,
    books: Arc<Vec<Arc<RoomBook>>>,
    /// Next publisher's number.
    next: Arc<AtomicU32>,
}

impl Stage {
    fn part(&self, room: usize, place: usize) -> Part {
        Part {
            server: self.server.clone(),
            rooms: self.rooms.clone(),
            crowd: self.crowd.clone(),
            book: self.books[room].clone(),
            room,
            place,
            publisher: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    async fn one_joins(&self, room: usize, place: usize) -> Result<Seated, Halt> {
        let part = self.part(room, place);
        let people = self.server.people();
        let identity = format!("m{}", part.publisher);
        let token = people.room_token(&people.room_name(room), &identity)?;
        part.connect(token, signal::device(), None).await?.enter_room().await
    }

    /// Joins by room tokens, spread over the ramp.
    async fn join_all(&self, seconds: f64, people: &People) -> Result<(), Halt> {
        let (count, members) = (self.rooms.count, self.rooms.members);
        let gate = Arc::new(Semaphore::new(AT_A_TIME));
        let began = Instant::now();
        let mut joins = JoinSet::new();
        for number in 0..count * members {
            // Rooms fill side by side.
            let (room, place) = (number % count, number / count);
            let due = began + ramp(seconds, number, count * members);
            let (stage, gate) = (self.clone(), gate.clone());
            joins.spawn(async move {
                tokio::time::sleep_until(due.into()).await;
                let _turn = gate.acquire().await;
                (room, stage.one_joins(room, place).await)
            });
        }
        self.collect(joins, people).await
    }

    /// Everybody connects, then in each room the first rings and the others accept.
    async fn ring_all(&self, seconds: f64, people: &People) -> Result<(), Halt> {
        let mut rooms: Vec<Vec<Connected>> = Vec::new();
        for room in 0..self.rooms.count {
            let mut members = Vec::new();
            for place in 0..self.rooms.members {
                let token = self.server.people().token(room * self.rooms.members + place)?;
                members.push(self.part(room, place).connect(token, signal::device(), None).await?);
            }
            rooms.push(members);
        }
        let began = Instant::now();
        let mut joins = JoinSet::new();
        let count = rooms.len();
        for (room, members) in rooms.into_iter().enumerate() {
            let due = began + ramp(seconds, room, count);
            let chat = self
                .server
                .people()
                .chats()
                .get(room)
                .cloned()
                .ok_or_else(|| Halt::Failed("a room has no chat".into()))?;
            for (place, person) in members.into_iter().enumerate() {
                let chat = chat.clone();
                joins.spawn(async move {
                    if place > 0 {
                        return (room, person.answer().await);
                    }
                    tokio::time::sleep_until(due.into()).await;
                    (room, person.ring(&chat).await)
                });
            }
        }
        self.collect(joins, people).await
    }

    async fn collect(&self, mut joins: JoinSet<(usize, Result<Seated, Halt>)>, people: &People) -> Result<(), Halt> {
        while let Some(joined) = joins.join_next().await {
            match joined {
                Ok((room, Ok(seated))) => people.lock().await.push((room, seated)),
                Ok((_, Err(Halt::Failed(why)))) => self.failed(&why),
                Ok((_, Err(skipped))) => return Err(skipped),
                Err(error) => return Err(Halt::Failed(error.to_string())),
            }
        }
        Ok(())
    }

    fn failed(&self, why: &str) {
        self.crowd.board.failed.fetch_add(1, Ordering::Relaxed);
        self.crowd.board.error(format!("join: {why}"));
    }

    /// Somebody leaves and somebody else comes.
    async fn churn(self, people: People) {
        let Some(churn) = self.rooms.churn.clone() else { return };
        let mut random = self.crowd.random(u64::MAX);
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(churn.every_seconds.max(0.01)));
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let (room, gone) = {
                let mut people = people.lock().await;
                if people.is_empty() {
                    return;
                }
                let at = pick(&mut random, people.len());
                people.swap_remove(at)
            };
            if let Err(Halt::Failed(why) | Halt::Skipped(why)) = gone.leave().await {
                self.crowd.board.error(format!("leave: {why}"));
            }
            self.crowd.board.wanted.fetch_add(1, Ordering::Relaxed);
            let place = pick(&mut random, self.rooms.members);
            match self.one_joins(room, place).await {
                Ok(seated) => people.lock().await.push((room, seated)),
                Err(Halt::Failed(why) | Halt::Skipped(why)) => self.failed(&why),
            }
        }
    }

    /// Some lose their network at once.
    async fn break_network(self, people: People) {
        let Some(reconnect) = self.rooms.reconnect.clone() else {
            return;
        };
        tokio::time::sleep(Duration::from_secs_f64(reconnect.at_seconds)).await;
        let lost: Vec<(usize, Seated)> = {
            let mut people = people.lock().await;
            let count = (people.len() as f64 * reconnect.share.clamp(0.0, 1.0)).round() as usize;
            people.drain(..count).collect()
        };
        let away = Duration::from_secs_f64(reconnect.away_seconds);
        let mut back = JoinSet::new();
        for (room, seated) in lost {
            let publisher = self.next.fetch_add(1, Ordering::Relaxed);
            back.spawn(async move { (room, seated.lose_network(away, publisher).await) });
        }
        while let Some(Ok((room, result))) = back.join_next().await {
            match result {
                Ok(seated) => people.lock().await.push((room, seated)),
                Err(Halt::Failed(why) | Halt::Skipped(why)) => self.failed(&format!("on the way back: {why}")),
            }
        }
    }
}
