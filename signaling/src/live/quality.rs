//! How good each connection was, minute by minute, for the call's record: the media plane says when a score changes, and here
//! it is counted for how long each score stood.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::app::App;
use crate::ids::{CallId, UserId};
use crate::media::MediaSeat;
use crate::protocol::QualityReason;
use crate::store::QualityMinute;

/// How often minutes that are over are looked for and written. What a seat has been freed for shorter than this is counted.
const EVERY: Duration = Duration::from_secs(5);
/// Writing takes no longer, or it is tried again.
const DEADLINE: Duration = Duration::from_secs(10);
/// Minutes that wait for a database that does not answer; then the oldest go. An hour of a hundred people.
const MAX_WAITING: usize = 6_000;
/// Minutes that one look makes of one connection: a process that has slept does not invent the hours between.
const MAX_AT_ONCE: i64 = 3;

const MINUTE_MS: i64 = 60_000;
const GOOD: u8 = 4;
const BAD: u8 = 1;

/// What was heard of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is up, for the first time or again.
    Up,
    /// Nothing comes any more.
    Lost,
    /// It is gone.
    Gone,
    /// Its score, 4 good to 1 bad, and the reason.
    Score(u8, Option<QualityReason>),
}

/// The connections of all calls of this process.
#[derive(Default)]
pub(crate) struct Qualities {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tracks: HashMap<(CallId, UserId), Track>,
    done: Vec<QualityMinute>,
    /// Minutes that were dropped because too many waited.
    dropped: u64,
}

struct Track {
    score: u8,
    reason: Option<QualityReason>,
    lost: bool,
    /// Up to here time has been counted.
    counted_ms: i64,
    /// By score, of the minute in which `counted_ms` lies.
    ms: [u32; 4],
    reasons: [(Option<QualityReason>, u32); 4],
}

impl Track {
    fn new(now_ms: i64) -> Self {
        Self {
            score: GOOD,
            reason: None,
            lost: false,
            counted_ms: now_ms,
            ms: [0; 4],
            reasons: [(None, 0); 4],
        }
    }

    fn now(&self) -> (u8, Option<QualityReason>) {
        match self.lost {
            true => (BAD, Some(QualityReason::Lost)),
            false => (self.score, self.reason),
        }
    }

    fn count(&mut self, ms: i64) {
        let ms = u32::try_from(ms).unwrap_or_default();
        let (score, reason) = self.now();
        self.ms[usize::from(score.clamp(BAD, GOOD) - 1)] += ms;
        if reason.is_some() {
            // Four reasons in one minute are enough to tell which one stood longest.
            let place = self
                .reasons
                .iter()
                .position(|(known, _)| known.is_none() || *known == reason);
            if let Some((known, sum)) = place.and_then(|place| self.reasons.get_mut(place)) {
                (*known, *sum) = (reason, *sum + ms);
            }
        }
    }

    fn take(&mut self, key: &(CallId, UserId), minute_ms: i64) -> Option<QualityMinute> {
        let (ms, reasons) = (std::mem::take(&mut self.ms), std::mem::take(&mut self.reasons));
        let longest = reasons.into_iter().max_by_key(|(_, sum)| *sum);
        ms.iter().any(|ms| *ms > 0).then(|| QualityMinute {
            call: key.0.clone(),
            user: key.1.clone(),
            minute_ms,
            ms,
            reason: longest.and_then(|(reason, _)| reason),
        })
    }

    /// Counts up to now, and gives the minutes that are over.
    fn advance(&mut self, key: &(CallId, UserId), now_ms: i64, done: &mut Vec<QualityMinute>) {
        let oldest = now_ms - MAX_AT_ONCE * MINUTE_MS;
        if self.counted_ms < oldest {
            done.extend(self.take(key, minute_of(self.counted_ms)));
            self.counted_ms = oldest;
        }
        // A clock that was put back: nothing is counted until it is where it was.
        while self.counted_ms < now_ms {
            let minute = minute_of(self.counted_ms);
            let end = now_ms.min(minute + MINUTE_MS);
            self.count(end - self.counted_ms);
            self.counted_ms = end;
            if end == minute + MINUTE_MS {
                done.extend(self.take(key, minute));
            }
        }
    }
}

impl State {
    fn note(&mut self, key: (CallId, UserId), heard: Heard, now_ms: i64) {
        if heard == Heard::Gone {
            return self.end(&key, now_ms);
        }
        let track = match heard {
            Heard::Up => self.tracks.entry(key.clone()).or_insert_with(|| Track::new(now_ms)),
            _ => match self.tracks.get_mut(&key) {
                Some(track) => track,
                None => return, // of a connection that never came up there is nothing to say
            },
        };
        track.advance(&key, now_ms, &mut self.done);
        match heard {
            Heard::Up => track.lost = false,
            Heard::Lost => track.lost = true,
            Heard::Score(score, reason) => (track.score, track.reason) = (score, reason),
            Heard::Gone => {}
        }
    }

    fn end(&mut self, key: &(CallId, UserId), now_ms: i64) {
        if let Some(mut track) = self.tracks.remove(key) {
            track.advance(key, now_ms, &mut self.done);
            self.done.extend(track.take(key, minute_of(track.counted_ms)));
        }
    }

    /// Minutes that are over; connections whose seat is free end.
    fn collect(&mut self, now_ms: i64, seated: impl Fn(&CallId, &UserId) -> bool) -> Vec<QualityMinute> {
        let gone: Vec<_> = self
            .tracks
            .keys()
            .filter(|key| !seated(&key.0, &key.1))
            .cloned()
            .collect();
        for key in gone {
            self.end(&key, now_ms);
        }
        for (key, track) in &mut self.tracks {
            track.advance(key, now_ms, &mut self.done);
        }
        std::mem::take(&mut self.done)
    }

    /// Minutes that could not be written wait on.
    fn put_back(&mut self, minutes: Vec<QualityMinute>) {
        let newer = std::mem::replace(&mut self.done, minutes);
        self.done.extend(newer);
        let much = self.done.len().saturating_sub(MAX_WAITING);
        self.done.drain(..much);
        self.dropped += much as u64;
    }
}

impl Qualities {
    pub(super) fn note(&self, seat: &MediaSeat, heard: Heard) {
        let key = (seat.room.clone(), seat.participant.clone());
        self.with(|state| state.note(key, heard, now_ms()));
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The beginning of the minute of the clock in which this instant lies.
fn minute_of(ms: i64) -> i64 {
    ms.div_euclid(MINUTE_MS) * MINUTE_MS
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes minutes that are over until the application drains; then what there is of the last ones.
pub(super) async fn record(app: Arc<App>) {
    let mut shutdown = app.shutdown.subscribe();
    loop {
        let over = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            _ = shutdown.wait_for(|s| *s) => true,
        };
        let seated = |call: &CallId, user: &UserId| !over && app.live.device(call, user).is_some();
        let minutes = app.quality.with(|state| state.collect(now_ms(), seated));
        if !minutes.is_empty() {
            let written = tokio::time::timeout(DEADLINE, app.service.store().add_quality(&minutes)).await;
            if !matches!(written, Ok(Ok(()))) {
                let dropped = app.quality.with(|state| {
                    state.put_back(minutes);
                    std::mem::take(&mut state.dropped)
                });
                tracing::warn!(
                    dropped,
                    "the quality of connections could not be written; it is tried again"
                );
            }
        }
        if over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_764_936_030_000; // half past a minute

    fn key(user: &str) -> (CallId, UserId) {
        ("call".into(), user.into())
    }

    fn minutes(state: &mut State, now_ms: i64) -> Vec<(i64, [u32; 4], Option<QualityReason>)> {
        let mut all = state.collect(now_ms, |_, _| true);
        all.sort_by_key(|minute| minute.minute_ms);
        all.into_iter()
            .map(|m| ((m.minute_ms - START) / 1_000, m.ms, m.reason))
            .collect()
    }

    #[test]
    fn each_minute_says_how_long_each_score_stood_and_why_it_was_not_good_for_most_of_that_time() {
        let mut state = State::default();
        let mut at = |seconds: i64, heard| state.note(key("anna"), heard, START + seconds * 1_000);
        at(0, Heard::Up);
        at(40, Heard::Score(2, Some(QualityReason::Loss)));
        at(50, Heard::Score(3, Some(QualityReason::Bandwidth)));
        at(65, Heard::Lost);
        at(80, Heard::Up);
        assert_eq!(
            minutes(&mut state, START + 95_000),
            [
                (-30, [0, 0, 0, 30_000], None),
                (30, [15_000, 10_000, 25_000, 10_000], Some(QualityReason::Bandwidth)),
            ]
        );
        assert_eq!(minutes(&mut state, START + 100_000), [], "the third minute goes on");
    }

    #[test]
    fn who_leaves_leaves_what_there_is_of_their_minute_and_nothing_more() {
        let mut state = State::default();
        state.note(key("anna"), Heard::Up, START);
        state.note(key("boris"), Heard::Up, START);
        state.note(key("anna"), Heard::Gone, START + 7_000);
        state.note(key("anna"), Heard::Score(1, None), START + 8_000);
        assert_eq!(minutes(&mut state, START + 9_000), [(-30, [0, 0, 0, 7_000], None)]);
        let left = state.collect(START + 12_000, |_, _| false);
        assert_eq!((left.len(), left[0].ms), (1, [0, 0, 0, 12_000]), "a seat that is free");
        assert!(state.tracks.is_empty());
    }

    #[test]
    fn clocks_that_jump_invent_nothing() {
        let mut state = State::default();
        state.note(key("anna"), Heard::Up, START);
        assert_eq!(minutes(&mut state, START - 3_600_000), []);
        let much = minutes(&mut state, START + 36_000_000);
        let total: u32 = much.iter().flat_map(|(_, ms, _)| ms).sum();
        assert!(total <= 180_000, "{much:?}");
    }

    #[test]
    fn what_waits_for_the_database_is_bounded_and_the_newest_stays() {
        let mut state = State::default();
        let minute = |n: i64| QualityMinute {
            call: "call".into(),
            user: "anna".into(),
            minute_ms: n * MINUTE_MS,
            ms: [0, 0, 0, 60_000],
            reason: None,
        };
        for n in 0..3 {
            let mut waiting = state.collect(0, |_, _| true);
            waiting.extend((n * 3_000..(n + 1) * 3_000).map(minute));
            state.put_back(waiting);
        }
        assert_eq!((state.done.len(), state.dropped), (MAX_WAITING, 3_000));
        assert_eq!(state.done.last().unwrap().minute_ms, 8_999 * MINUTE_MS);
    }
}
