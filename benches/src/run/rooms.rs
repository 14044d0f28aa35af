//! Rooms at any server with publishers and viewers: WHIP and WHEP, Janus, the bare forwarder.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::engine::connection::Wanted;
use crate::engine::kinds;
use crate::peers::{Peer, Want};
use crate::report::model::{Figures, timing};
use crate::scenario::{ClientKind, Rooms, Scenario};

use super::crowd::{Crowd, Halt, ramp, take_turns, talks_first};
use super::meter::Meter;
use super::screen::layer_for;

/// Joins under way at a time.
const AT_A_TIME: usize = 8;

/// Runs the scenario's rooms and returns the figures of its window.
///
/// # Errors
/// [`Halt`].
pub(super) async fn run(peer: Arc<dyn Peer>, scenario: &Scenario, crowd: Crowd, meter: Meter) -> Result<Figures, Halt> {
    let rooms = scenario
        .rooms
        .clone()
        .ok_or_else(|| Halt::Failed("the scenario has no rooms".into()))?;
    let publishing = rooms.members + rooms.publishers;
    let watching = rooms.members + rooms.viewers;
    let sessions = |place: usize| sessions(peer.as_ref(), wants(&rooms, place)).len();
    let all = rooms.count * (publishing + (0..watching).map(sessions).sum::<usize>());
    crowd.board.wanted.store(all as u64, Ordering::Relaxed);
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let began = Instant::now();
    let mut number = 0;
    let mut ids = vec![Vec::new(); rooms.count];
    for watch in [false, true] {
        let mut joins = JoinSet::new();
        for room in 0..rooms.count {
            for place in 0..if watch { watching } else { publishing } {
                let task = Join {
                    peer: peer.clone(),
                    rooms: rooms.clone(),
                    crowd: crowd.clone(),
                    room,
                    place,
                };
                let due = began + ramp(scenario.ramp_seconds, number, all);
                number += 1;
                let gate = gate.clone();
                joins.spawn(async move {
                    tokio::time::sleep_until(due.into()).await;
                    let _turn = gate.acquire().await;
                    let result = if watch {
                        task.view().await
                    } else {
                        task.publish().await.map(Some)
                    };
                    (room, result)
                });
            }
        }
        while let Some(joined) = joins.join_next().await {
            match joined {
                Ok((room, Ok(id))) => ids[room].extend(id),
                Ok((_, Err(Halt::Failed(why)))) => {
                    crowd.board.failed.fetch_add(1, Ordering::Relaxed);
                    crowd.board.error(format!("join: {why}"));
                }
                // A viewer finds nothing where no publisher came in: that is what is to be told.
                Ok((_, Err(_))) if crowd.board.failed.load(Ordering::Relaxed) > 0 => {
                    return Err(Halt::Failed(crowd.board.nobody()));
                }
                Ok((_, Err(skipped))) => return Err(skipped),
                Err(error) => return Err(Halt::Failed(error.to_string())),
            }
        }
    }
    if crowd.board.connected.load(Ordering::Relaxed) == 0 {
        return Err(Halt::Failed(crowd.board.nobody()));
    }
    tokio::time::sleep(Duration::from_secs_f64(scenario.settle_seconds)).await;
    crowd.link.begin().await;
    let window = meter.open();
    let turns = tokio::spawn(take_turns(crowd.clone(), rooms.audio.clone(), ids));
    tokio::time::sleep(Duration::from_secs_f64(scenario.duration_seconds)).await;
    turns.abort();
    crowd.link.note(&crowd.board).await;
    Ok(meter.close(window).await)
}

struct Join {
    peer: Arc<dyn Peer>,
    rooms: Rooms,
    crowd: Crowd,
    room: usize,
    place: usize,
}

impl Join {
    fn room_name(&self) -> String {
        format!("r{}", self.room)
    }

    async fn publish(self) -> Result<u64, Halt> {
        let began = Instant::now();
        let publishing = self.rooms.members + self.rooms.publishers;
        let wanted = Wanted {
            audio: self.rooms.audio.bitrate > 0,
            video: self.rooms.video.as_ref(),
            client: self.rooms.client,
            route: self.rooms.route,
            ..Wanted::default()
        };
        let (offered, sdp) = kinds::offer(self.crowd.bind, wanted).await?;
        let asked = Instant::now();
        let answer = self.peer.publish(&self.room_name(), &name(self.place), sdp).await?;
        self.crowd.board.took(timing::SETUP, asked.elapsed());
        let connection = offered
            .answered(&answer, self.crowd.link.through(&answer).await?)
            .await?;
        let publisher = (self.room * publishing + self.place) as u32;
        let talking = talks_first(&self.rooms.audio, self.place);
        let schedule = self.crowd.schedule(&self.rooms, self.room, publisher, talking);
        self.crowd
            .carry(connection, Some(schedule), self.room, (began, true), None)
            .await
    }

    /// Publishes nothing, so that there is no connection to name.
    async fn view(self) -> Result<Option<u64>, Halt> {
        let began = Instant::now();
        let mut first = true;
        for wants in sessions(self.peer.as_ref(), wants(&self.rooms, self.place)) {
            self.watch(&wants, (began, first)).await?;
            first = false;
        }
        Ok(None)
    }

    /// One session that receives.
    async fn watch(&self, wants: &[Want], began: (Instant, bool)) -> Result<(), Halt> {
        let room = self.room_name();
        let viewer = format!("viewer-{}", self.place);
        let codec = self.rooms.video.as_ref().map_or_else(Default::default, |v| v.codec);
        let asked = Instant::now();
        let connection = if self.peer.viewer_offers() {
            let wanted = Wanted {
                audio_slots: wants.iter().filter(|w| !w.video).count(),
                video_slots: wants.iter().filter(|w| w.video).count(),
                codec,
                client: self.rooms.client,
                route: self.rooms.route,
                ..Wanted::default()
            };
            let (offered, sdp) = kinds::offer(self.crowd.bind, wanted).await?;
            let answer = self.peer.view(&room, &viewer, wants, sdp).await?;
            offered
                .answered(&answer, self.crowd.link.through(&answer).await?)
                .await?
        } else {
            if self.rooms.client != ClientKind::Str0m {
                let why = "only clients of str0m answer an offer of the server";
                return Err(Halt::Skipped(why.into()));
            }
            let offer = self.peer.view_offer(&room, &viewer, wants).await?;
            let (connection, answer) =
                kinds::answer(self.crowd.bind, &offer, codec, self.crowd.link.through(&offer).await?)?;
            self.peer.view_answer(&room, &viewer, answer).await?;
            connection
        };
        self.crowd.board.took(timing::SETUP, asked.elapsed());
        self.crowd.carry(connection, None, self.room, began, None).await?;
        Ok(())
    }
}

/// A viewer's wishes by session: all in one, or one publisher's in each.
fn sessions(peer: &dyn Peer, wants: Vec<Want>) -> Vec<Vec<Want>> {
    if !peer.one_stream_each() {
        return vec![wants];
    }
    let mut out: Vec<Vec<Want>> = Vec::new();
    for want in wants {
        match out.iter_mut().find(|session| session[0].publisher == want.publisher) {
            Some(session) => session.push(want),
            None => out.push(vec![want]),
        }
    }
    out
}

fn name(place: usize) -> String {
    format!("p{place}")
}

/// What viewer `place` of a room wants: voices first, then pictures, large ones last.
fn wants(rooms: &Rooms, place: usize) -> Vec<Want> {
    let publishing = rooms.members + rooms.publishers;
    // A member does not watch itself; who only watches sees everybody, beginning at another one each.
    let own = (place < rooms.members).then_some(place);
    let others: Vec<usize> = (0..publishing)
        .map(|n| (place + 1 + n) % publishing)
        .filter(|n| Some(*n) != own)
        .collect();
    let want = |publisher: usize, video: bool, layer: usize| Want {
        publisher: name(publisher),
        video,
        layer,
    };
    let mut out = Vec::new();
    if rooms.audio.bitrate > 0 {
        let voices: Vec<usize> = if rooms.view.audio >= others.len() {
            others.clone()
        } else {
            // The voices that are heard are those who talk.
            let mut loud: Vec<usize> = others.clone();
            loud.sort_unstable();
            loud.truncate(rooms.view.audio);
            loud
        };
        out.extend(voices.into_iter().map(|p| want(p, false, 0)));
    }
    if rooms.video.is_some() {
        let layer = |height: u32| layer_for(rooms, height);
        let small = rooms.view.small.unwrap_or(others.len()).min(others.len());
        let low = layer(rooms.view.small_height);
        out.extend(others.iter().take(small).map(|p| want(*p, true, low)));
        let high = layer(rooms.view.large_height);
        let large = others.iter().rev().take(rooms.view.large);
        out.extend(large.map(|p| want(*p, true, high)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(rooms: &str) -> Rooms {
        let text = format!(
            "name = 'x'\ntitle = 'x'\nduration_seconds = 1\n[rooms]\n{rooms}\n\
             [[rooms.video.layers]]\nrid = 'q'\nheight = 180\nbitrate = 100000\nfps = 15\n\
             [[rooms.video.layers]]\nrid = 'f'\nheight = 720\nbitrate = 1000000\nfps = 30\n"
        );
        Scenario::parse("test", &text).unwrap().rooms.unwrap()
    }

    #[test]
    fn a_meeting_wants_five_voices_many_small_pictures_and_a_large_one() {
        let rooms = scenario("members = 100\n[rooms.view]\nsmall = 25\nsmall_height = 180\nlarge = 1");
        for place in [0, 50, 99] {
            let wants = wants(&rooms, place);
            assert_eq!(wants.iter().filter(|w| !w.video).count(), 5);
            assert_eq!(wants.iter().filter(|w| w.video && w.layer == 0).count(), 25);
            assert_eq!(wants.iter().filter(|w| w.video && w.layer == 1).count(), 1);
            assert!(
                wants.iter().all(|w| w.publisher != name(place)),
                "nobody watches themself"
            );
        }
    }

    #[test]
    fn in_a_room_of_publishers_and_viewers_everybody_sees_everybody() {
        let wants = wants(&scenario("publishers = 10\nviewers = 10\n[rooms.view]\naudio = 10"), 3);
        assert_eq!(wants.len(), 20);
        let names = |video: bool| -> Vec<&str> {
            wants
                .iter()
                .filter(|w| w.video == video)
                .map(|w| w.publisher.as_str())
                .collect()
        };
        assert_eq!(
            names(false),
            names(true),
            "voice and picture of a person stand together"
        );
        assert!(wants.iter().all(|w| !w.video || w.layer == 1), "as large as it gets");
    }
}
