//! One person in a call by the WebSocket protocol, as a page behaves: hello, a seat, an offer with slots, intents for what is
//! on the screen, layers that the server asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signaling::ids::{CallId, ChatId, UserId};
use signaling::protocol::{
    CallRef, CallType, Command, ErrorCode, EventBody, IncomingCall, Intent, Intents, JoinCall, JoinCallResult,
    MediaAnswer, MediaOffer, MediaSource, Mute, ParticipantStatus, RealtimeBody, Resume, StartCall, StartCallResult,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::engine::connection::{self, Connection, Wanted};
use crate::media::flow::News;
use crate::report::model::timing;
use crate::ringhall::Server;
use crate::ringhall::signal::{self, Caller, Incoming, Signal, SignalError};
use crate::scenario::Rooms;

use super::crowd::{Crowd, Halt};

/// Changes of the roster are collected for this long before new intents go out, as in the page.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// How long the server's answer to an offer, its snapshot or a ring may take.
const EVENT_WITHIN: Duration = Duration::from_secs(30);

/// What the people of one room know of each other.
#[derive(Debug, Default)]
pub(super) struct RoomBook {
    /// When `start_call` was sent.
    pub(super) started: Mutex<Option<Instant>>,
    /// Who stands behind a publisher's number.
    numbers: Mutex<BTreeMap<u32, UserId>>,
}

/// What a person is made of.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) server: Arc<Server>,
    pub(super) rooms: Arc<Rooms>,
    pub(super) crowd: Crowd,
    pub(super) book: Arc<RoomBook>,
    /// Number of the room.
    pub(super) room: usize,
    /// Place in it: who is on whose screen depends on it.
    pub(super) place: usize,
    /// Number in the stamps, unique in the round.
    pub(super) publisher: u32,
}

/// Somebody with an open WebSocket.
pub(super) struct Connected {
    part: Part,
    token: String,
    device: String,
    caller: Caller,
    user: UserId,
    seen: Arc<AtomicU64>,
    session: (signaling::ids::SessionId, u64),
    answers: mpsc::UnboundedReceiver<MediaAnswer>,
    rings: mpsc::UnboundedReceiver<(IncomingCall, Instant)>,
    chats: mpsc::UnboundedReceiver<ChatId>,
    screen: Arc<Screen>,
    pump: AbortHandle,
}

/// Somebody in a call.
pub(super) struct Seated {
    connected: Connected,
    call: CallId,
    /// Their media connection.
    pub(super) client: u64,
    showing: AbortHandle,
}

/// What is known for the layout.
#[derive(Default)]
struct Screen {
    others: Mutex<BTreeSet<UserId>>,
    client: Mutex<Option<u64>>,
    changed: Notify,
}

impl Part {
    /// Opens the WebSocket and says hello.
    pub(super) async fn connect(
        self,
        token: String,
        device: String,
        resume: Option<Resume>,
    ) -> Result<Connected, Halt> {
        let began = Instant::now();
        let signal = signal::open(self.server.url(), token.clone(), &device, resume).await?;
        self.crowd.board.took(timing::HELLO, began.elapsed());
        self.crowd.board.sockets.fetch_add(1, Ordering::Relaxed);
        let Signal {
            caller,
            welcome,
            incoming,
        } = signal;
        let (answers_in, answers) = mpsc::unbounded_channel();
        let (rings_in, rings) = mpsc::unbounded_channel();
        let (chats_in, chats) = mpsc::unbounded_channel();
        let screen = Arc::new(Screen::default());
        let seen = Arc::new(AtomicU64::new(welcome.seq));
        let pump = Pump {
            crowd: self.crowd.clone(),
            own: welcome.user.id.clone(),
            answers: answers_in,
            rings: rings_in,
            chats: chats_in,
            screen: screen.clone(),
            seen: seen.clone(),
        };
        let pump = tokio::spawn(pump.run(incoming)).abort_handle();
        Ok(Connected {
            part: self,
            token,
            device,
            caller,
            user: welcome.user.id,
            seen,
            session: (welcome.session, welcome.epoch),
            answers,
            rings,
            chats,
            screen,
            pump,
        })
    }
}

impl Connected {
    async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, Halt> {
        let began = Instant::now();
        let result = self.caller.call(&command).await;
        self.part.crowd.board.took(timing::COMMAND, began.elapsed());
        self.part.crowd.board.commands.fetch_add(1, Ordering::Relaxed);
        result.map_err(|error| match error {
            SignalError::Refused {
                op,
                code: ErrorCode::BadRequest,
                message,
            } if message.contains("unknown variant") => Halt::Skipped(format!("the server does not know {op}")),
            other => other.into(),
        })
    }

    /// Takes a seat in the room that the token names: begins its call, or joins it.
    pub(super) async fn enter_room(mut self) -> Result<Seated, Halt> {
        let began = Instant::now();
        let chat = within("the snapshot", self.chats.recv()).await?;
        let call = match self.start(&chat).await? {
            StartCallResult::Created(created) => created.call_id,
            StartCallResult::Exists { call_id, .. } => {
                self.join(call_id.clone(), false).await?;
                call_id
            }
        };
        self.bring_media(call, began, true).await
    }

    /// Rings everybody in a chat.
    pub(super) async fn ring(self, chat: &ChatId) -> Result<Seated, Halt> {
        let began = Instant::now();
        *self.part.book.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
        let call = match self.start(chat).await? {
            StartCallResult::Created(created) => created.call_id,
            StartCallResult::Exists { call_id, .. } => call_id,
        };
        self.bring_media(call, began, true).await
    }

    /// Waits for the ring and accepts.
    pub(super) async fn answer(mut self) -> Result<Seated, Halt> {
        let (ring, came) = within("the ring", self.rings.recv()).await?;
        let started = *self.part.book.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = started {
            self.part
                .crowd
                .board
                .took(timing::RING, came.saturating_duration_since(started));
        }
        let reference = CallRef {
            call_id: ring.call_id.clone(),
        };
        let _: Value = self.call(Command::RingAck(reference)).await?;
        let began = Instant::now();
        self.join(ring.call_id.clone(), true).await?;
        self.bring_media(ring.call_id, began, true).await
    }

    async fn start(&self, chat: &ChatId) -> Result<StartCallResult, Halt> {
        self.call(Command::StartCall(StartCall {
            chat_id: chat.clone(),
            call_type: CallType::Video,
            invitees: None,
            leave: None,
        }))
        .await
    }

    async fn join(&self, call_id: CallId, accept: bool) -> Result<JoinCallResult, Halt> {
        let join = JoinCall {
            call_id,
            takeover: false,
            wait: false,
            leave: None,
        };
        let command = if accept {
            Command::AcceptCall(join)
        } else {
            Command::JoinCall(join)
        };
        self.call(command).await
    }

    /// Offers, takes the answer, and shows and sees from then on. `first`: a join, else a way back.
    pub(super) async fn bring_media(mut self, call: CallId, began: Instant, first: bool) -> Result<Seated, Halt> {
        let rooms = self.part.rooms.clone();
        let publishing = rooms.members + rooms.publishers;
        let small = rooms.view.small.unwrap_or(publishing.saturating_sub(1));
        let wanted = Wanted {
            audio: rooms.audio.bitrate > 0,
            video: rooms.video.as_ref(),
            audio_slots: rooms.view.audio,
            video_slots: if rooms.video.is_some() {
                small + rooms.view.large
            } else {
                0
            },
            ..Wanted::default()
        };
        let (offered, sdp) = connection::offer(self.part.crowd.bind, wanted)?;
        let lines = offered.lines();
        let offer = MediaOffer {
            call_id: call.clone(),
            offer_id: Uuid::new_v4().to_string().into(),
            sdp: Some(sdp),
            ufrag: None,
            pwd: None,
            mids: mids(lines),
        };
        let slots: Vec<String> = lines.video_slots.iter().map(ToString::to_string).collect();
        let asked = Instant::now();
        let offer_id = offer.offer_id.clone();
        let _: Value = self.call(Command::MediaOffer(offer)).await?;
        let answer = loop {
            let answer = within("the media answer", self.answers.recv()).await?;
            if answer.offer_id == offer_id {
                break answer.sdp.unwrap_or_default();
            }
        };
        self.part.crowd.board.took(timing::SETUP, asked.elapsed());
        let connection = offered.answered(&answer, self.part.crowd.link.through(&answer).await?)?;
        let part = &self.part;
        let talking = super::crowd::talks_first(&rooms.audio, part.place);
        let schedule = part.crowd.schedule(&rooms, part.room, part.publisher, talking);
        part.book
            .numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(part.publisher, self.user.clone());
        let (shown_in, shown) = mpsc::unbounded_channel();
        let client = part
            .crowd
            .carry(connection, Some(schedule), part.room, (began, first), Some(shown_in))
            .await?;
        *self.screen.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        for source in [MediaSource::Mic, MediaSource::Camera] {
            let unmute = Mute {
                call_id: call.clone(),
                user_id: None,
                source,
            };
            let _: Value = self.call(Command::Unmute(unmute)).await?;
        }
        let showing = Showing {
            caller: self.caller.clone(),
            part: part.clone(),
            call: call.clone(),
            slots,
            small,
            screen: self.screen.clone(),
            back: (!first).then_some(began),
        };
        let showing = tokio::spawn(showing.run(shown)).abort_handle();
        Ok(Seated {
            connected: self,
            call,
            client,
            showing,
        })
    }
}

impl Seated {
    /// Says goodbye.
    pub(super) async fn leave(self) -> Result<(), Halt> {
        let reference = CallRef { call_id: self.call };
        let left: Result<Value, Halt> = self.connected.call(Command::LeaveCall(reference)).await;
        self.showing.abort();
        self.connected.part.crowd.engine.remove(self.client);
        self.connected.caller.cut();
        self.connected.pump.abort();
        self.connected.part.crowd.board.sockets.fetch_sub(1, Ordering::Relaxed);
        left.map(drop)
    }

    /// Loses the network, and has it back after `away`.
    pub(super) async fn lose_network(self, away: Duration) -> Result<Self, Halt> {
        let Connected {
            part,
            token,
            device,
            caller,
            seen,
            session: (session, epoch),
            pump,
            ..
        } = self.connected;
        self.showing.abort();
        part.crowd.engine.remove(self.client);
        caller.cut();
        pump.abort();
        part.crowd.board.sockets.fetch_sub(1, Ordering::Relaxed);
        part.crowd.board.wanted.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(away).await;
        let began = Instant::now();
        let resume = Resume {
            session,
            seq: seen.load(Ordering::Relaxed),
            epoch,
        };
        let connected = part.connect(token, device, Some(resume)).await?;
        connected.bring_media(self.call, began, false).await
    }
}

/// What each m-line is for.
fn mids(lines: &Connection) -> BTreeMap<String, MediaSource> {
    let mut out = BTreeMap::new();
    for mid in lines.audio.iter().chain(&lines.audio_slots) {
        out.insert(mid.to_string(), MediaSource::Mic);
    }
    for mid in lines.video.iter().chain(&lines.video_slots) {
        out.insert(mid.to_string(), MediaSource::Camera);
    }
    out
}

async fn within<T>(what: &str, wait: impl Future<Output = Option<T>>) -> Result<T, Halt> {
    match tokio::time::timeout(EVENT_WITHIN, wait).await {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(Halt::Failed(format!("the WebSocket was closed before {what}"))),
        Err(_) => Err(Halt::Failed(format!("{what} did not come within 30 s"))),
    }
}

/// Sorts what the server says.
struct Pump {
    crowd: Crowd,
    own: UserId,
    answers: mpsc::UnboundedSender<MediaAnswer>,
    rings: mpsc::UnboundedSender<(IncomingCall, Instant)>,
    chats: mpsc::UnboundedSender<ChatId>,
    screen: Arc<Screen>,
    seen: Arc<AtomicU64>,
}

impl Pump {
    async fn run(self, mut incoming: mpsc::UnboundedReceiver<Incoming>) {
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
struct Showing {
    caller: Caller,
    part: Part,
    call: CallId,
    slots: Vec<String>,
    small: usize,
    screen: Arc<Screen>,
    /// When the way back began, until media flows again.
    back: Option<Instant>,
}

impl Showing {
    async fn run(mut self, mut shown: mpsc::UnboundedReceiver<(News, u64)>) {
        let view = &self.part.rooms.view;
        let change = (view.large > 0 && view.change_seconds > 0.0).then_some(view.change_seconds);
        let mut turn = 0;
        let mut wish: Option<(UserId, Instant)> = None;
        let mut last = Vec::new();
        let mut next = tokio::time::Instant::now() + Duration::from_secs_f64(change.unwrap_or(1e6));
        loop {
            tokio::select! {
                () = self.screen.changed.notified() => tokio::time::sleep(DEBOUNCE).await,
                () = tokio::time::sleep_until(next) => {
                    turn += 1;
                    next += Duration::from_secs_f64(change.unwrap_or(1e6));
                }
                news = shown.recv() => {
                    let Some((news, _)) = news else { return };
                    self.saw(news, &mut wish);
                    continue;
                }
            }
            let slots = self.layout(turn);
            if slots == last {
                continue;
            }
            let large = slots.last().filter(|_| turn > 0).map(|i| i.participant.clone());
            wish = large.map(|user| (user, Instant::now()));
            last.clone_from(&slots);
            let intents = Command::Intents(Intents {
                call_id: self.call.clone(),
                slots,
            });
            let began = Instant::now();
            if let Err(error) = self.caller.call::<Value>(&intents).await {
                self.part.crowd.board.error(error);
            }
            self.part.crowd.board.took(timing::COMMAND, began.elapsed());
            self.part.crowd.board.commands.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn saw(&mut self, news: News, wish: &mut Option<(UserId, Instant)>) {
        let board = &self.part.crowd.board;
        if let Some(began) = self
            .back
            .take_if(|_| matches!(news, News::FirstFrame | News::FirstAudio))
        {
            board.took(timing::RECONNECT, began.elapsed());
        }
        let News::Showing { publisher, .. } = news else { return };
        let numbers = self.part.book.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let who = numbers.get(&publisher);
        if let Some((_, since)) = wish.take_if(|(user, _)| Some(&*user) == who) {
            board.took(timing::LAYER_SWITCH, since.elapsed());
        }
    }

    /// Small tiles from one's own neighbour on, and a large one that is none of them.
    fn layout(&self, turn: usize) -> Vec<Intent> {
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
            intent(at(n), view.small_height, 0);
        }
        for n in 0..view.large.min(rest) {
            intent(at(small + (turn + n) % rest), view.large_height, 1);
        }
        out
    }
}
