//! What is on a person's screen: who is there, what the server is told to show, and what it says meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signaling::ids::{CallId, ChatId, UserId};
use signaling::protocol::{
    Command, EventBody, IncomingCall, Intent, Intents, MediaAnswer, MediaSource, ParticipantStatus, RealtimeBody,
};
use tokio::sync::{Notify, mpsc};

use crate::media::flow::News;
use crate::report::model::timing;
use crate::ringhall::signal::{Caller, Incoming};
use crate::scenario::Rooms;

use super::crowd::Crowd;
use super::person::Part;

/// Changes of the roster are collected for this long before new intents go out, as in the page.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// When something is due that never is.
const NEVER: Duration = Duration::from_secs(1_000_000);

/// What is known for the layout.
#[derive(Default)]
pub(super) struct Screen {
    pub(super) others: Mutex<BTreeSet<UserId>>,
    pub(super) client: Mutex<Option<u64>>,
    pub(super) changed: Notify,
}

/// Sorts what the server says.
pub(super) struct Pump {
    pub(super) crowd: Crowd,
    pub(super) own: UserId,
    pub(super) answers: mpsc::UnboundedSender<MediaAnswer>,
    pub(super) rings: mpsc::UnboundedSender<(IncomingCall, Instant)>,
    pub(super) chats: mpsc::UnboundedSender<ChatId>,
    pub(super) screen: Arc<Screen>,
    pub(super) seen: Arc<AtomicU64>,
}

impl Pump {
    pub(super) async fn run(self, mut incoming: mpsc::UnboundedReceiver<Incoming>) {
        while let Some(message) = incoming.recv().await {
            let now = Instant::now();
            match message {
                Incoming::Event(event) => {
                    self.seen.fetch_max(event.seq, Ordering::Relaxed);
                    match body(&event.op, event.d) {
                        Some(EventBody::Snapshot(snapshot)) => {
                            for chat in snapshot.chats {
                                let _ = self.chats.send(chat.id);
                            }
                        }
                        Some(EventBody::IncomingCall(ring)) => drop(self.rings.send((ring, now))),
                        _ => {}
                    }
                }
                Incoming::Realtime(event) => self.realtime(body(&event.op, event.d)),
                Incoming::Closed(why) => {
                    if why != "ended here" {
                        self.crowd.board.error(format!("WebSocket: {why}"));
                    }
                    return;
                }
            }
        }
    }

    fn realtime(&self, body: Option<RealtimeBody>) {
        match body {
            Some(RealtimeBody::MediaAnswer(answer)) => drop(self.answers.send(answer)),
            Some(RealtimeBody::Roster(roster)) => {
                let joined = roster
                    .participants
                    .into_iter()
                    .filter(|p| p.status == ParticipantStatus::Joined);
                let others: BTreeSet<UserId> = joined.map(|p| p.user.id).filter(|id| *id != self.own).collect();
                *self.others() = others;
                self.screen.changed.notify_one();
            }
            Some(RealtimeBody::CallParticipantJoined(joined)) if joined.user_id != self.own => {
                self.others().insert(joined.user_id);
                self.screen.changed.notify_one();
            }
            Some(RealtimeBody::CallParticipantLeft(left)) => {
                self.others().remove(&left.user_id);
                self.screen.changed.notify_one();
            }
            Some(RealtimeBody::Layers(layers)) if layers.source == MediaSource::Camera => {
                let client = *self.screen.client.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(client) = client {
                    self.crowd.engine.layers(client, layers.active);
                }
            }
            _ => {}
        }
    }

    fn others(&self) -> std::sync::MutexGuard<'_, BTreeSet<UserId>> {
        self.screen.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn body<T: DeserializeOwned>(op: &str, d: Value) -> Option<T> {
    // What this program does not know is not for it.
    serde_json::from_value(json!({ "op": op, "d": d })).ok()
}

/// Keeps the server told of what is on the screen.
pub(super) struct Showing {
    pub(super) caller: Caller,
    pub(super) part: Part,
    pub(super) call: CallId,
    pub(super) slots: Vec<String>,
    pub(super) small: usize,
    pub(super) screen: Arc<Screen>,
    /// When the way back began, until media flows again.
    pub(super) back: Option<Instant>,
}

/// A tile that was asked for and is not there yet.
struct Wish {
    user: UserId,
    /// A layer of theirs that is to come; `None`: any.
    layer: Option<usize>,
    since: Instant,
}

/// What happens again and again.
struct Turns {
    every: Option<Duration>,
    next: tokio::time::Instant,
    count: usize,
}

impl Turns {
    fn new(seconds: f64) -> Self {
        let every = (seconds > 0.0).then(|| Duration::from_secs_f64(seconds));
        Self {
            every,
            next: tokio::time::Instant::now() + every.unwrap_or(NEVER),
            count: 0,
        }
    }

    fn turn(&mut self) {
        self.count += 1;
        self.next += self.every.unwrap_or(NEVER);
    }
}

/// The layer that a tile of this height shows: the smallest that fills it.
pub(super) fn layer_for(rooms: &Rooms, height: u32) -> usize {
    let layers = rooms.video.as_ref().map_or(&[][..], |video| &video.layers[..]);
    let fits = layers.iter().position(|l| height > 0 && l.height >= height);
    fits.unwrap_or(layers.len().saturating_sub(1))
}

impl Showing {
    pub(super) async fn run(mut self, mut shown: mpsc::UnboundedReceiver<(News, u64)>) {
        let view = &self.part.rooms.view;
        let mut large = Turns::new(if view.large > 0 { view.change_seconds } else { 0.0 });
        let mut size = Turns::new(view.resize_seconds);
        let mut wish: Option<Wish> = None;
        let mut last = Vec::new();
        loop {
            let (turned, resized) = (large.count, size.count);
            tokio::select! {
                () = self.screen.changed.notified() => tokio::time::sleep(DEBOUNCE).await,
                () = tokio::time::sleep_until(large.next) => large.turn(),
                () = tokio::time::sleep_until(size.next) => size.turn(),
                news = shown.recv() => {
                    let Some((news, _)) = news else { return };
                    self.saw(news, &mut wish);
                    continue;
                }
            }
            let slots = self.layout(large.count, size.count % 2 == 1);
            if slots == last {
                continue;
            }
            let since = Instant::now();
            if size.count > resized {
                wish = slots.first().map(|intent| Wish {
                    user: intent.participant.clone(),
                    layer: Some(layer_for(&self.part.rooms, intent.height)),
                    since,
                });
            } else if large.count > turned {
                wish = slots.last().map(|intent| Wish {
                    user: intent.participant.clone(),
                    layer: None,
                    since,
                });
            }
            last.clone_from(&slots);
            let intents = Command::Intents(Intents {
                call_id: self.call.clone(),
                slots,
            });
            if let Err(error) = self.caller.call::<Value>(&intents).await {
                self.part.crowd.board.error(error);
            }
            self.part.crowd.board.took(timing::COMMAND, since.elapsed());
            self.part.crowd.board.commands.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn saw(&mut self, news: News, wish: &mut Option<Wish>) {
        let board = &self.part.crowd.board;
        if let Some(began) = self
            .back
            .take_if(|_| matches!(news, News::FirstFrame | News::FirstAudio))
        {
            board.took(timing::RECONNECT, began.elapsed());
        }
        let News::Showing { publisher, layer } = news else {
            return;
        };
        let who = self.part.book.who(publisher);
        let fulfilled = |w: &mut Wish| Some(&w.user) == who.as_ref() && w.layer.is_none_or(|l| l == layer);
        if let Some(wish) = wish.take_if(fulfilled) {
            board.took(timing::LAYER_SWITCH, wish.since.elapsed());
        }
    }

    /// Small tiles from one's own neighbour on, the first of them `grown` to a large one's height, and a large one that is
    /// none of them.
    fn layout(&self, turn: usize, grown: bool) -> Vec<Intent> {
        let others: Vec<UserId> = {
            let others = self.screen.others.lock().unwrap_or_else(PoisonError::into_inner);
            others.iter().cloned().collect()
        };
        let view = &self.part.rooms.view;
        let small = self.small.min(others.len());
        let rest = others.len() - small;
        let at = |n: usize| others[(self.part.place + n) % others.len()].clone();
        let mut out = Vec::new();
        let mut intent = |participant: UserId, height: u32, priority: u32| {
            if let Some(mid) = self.slots.get(out.len()) {
                out.push(Intent {
                    mid: mid.clone(),
                    participant,
                    source: MediaSource::Camera,
                    height: if height == 0 { 2_160 } else { height },
                    fps: 0,
                    priority,
                });
            }
        };
        for n in 0..small {
            let height = if grown && n == 0 {
                view.large_height
            } else {
                view.small_height
            };
            intent(at(n), height, u32::from(grown && n == 0));
        }
        for n in 0..view.large.min(rest) {
            intent(at(small + (turn + n) % rest), view.large_height, 1);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn a_tile_shows_the_smallest_layer_that_fills_it() {
        let text = "name='x'\ntitle='x'\nduration_seconds=1\n[rooms]\nmembers=2\ndoor='websocket'\n[rooms.video]\nlayers=[\
            {rid='q',height=180,bitrate=1,fps=1},{rid='h',height=360,bitrate=1,fps=1},{rid='f',height=720,bitrate=1,fps=1}]";
        let rooms = Scenario::parse("test", text).unwrap().rooms.unwrap();
        let layers = [90, 180, 200, 720, 1_080, 0].map(|height| layer_for(&rooms, height));
        assert_eq!(layers, [0, 0, 1, 2, 2, 2]);
    }
}
