//! One person in a call by the WebSocket protocol, as a page behaves: hello, a seat, an offer with slots, intents for what is
//! on the screen, layers that the server asks for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use signaling::ids::{CallId, ChatId, UserId};
use signaling::protocol::{
    CallRef, CallType, Command, ErrorCode, IceServer, IncomingCall, JoinCall, JoinCallResult, MediaAnswer, MediaOffer,
    MediaSource, Mute, Resume, StartCall, StartCallResult,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::engine::connection::{Lines, Wanted};
use crate::engine::kinds;
use crate::report::model::timing;
use crate::ringhall::Server;
use crate::ringhall::signal::{self, Caller, Signal, SignalError};
use crate::scenario::Rooms;

use super::crowd::{Crowd, Halt};
use super::screen::{Pump, Screen, Showing};

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

impl RoomBook {
    /// Whose packets bear this number.
    pub(super) fn who(&self, publisher: u32) -> Option<UserId> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.get(&publisher).cloned()
    }
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
    ice: Vec<IceServer>,
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
            ice: { welcome.ice.into_iter() }.chain(welcome.relays).collect(),
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
            client: rooms.client,
            route: rooms.route,
            ice: &self.ice,
            again: !first,
            ..Wanted::default()
        };
        let (offered, sdp) = kinds::offer(self.part.crowd.bind, wanted).await?;
        let lines = offered.lines();
        let offer = MediaOffer {
            call_id: call.clone(),
            offer_id: Uuid::new_v4().to_string().into(),
            sdp: Some(sdp),
            ufrag: None,
            pwd: None,
            mids: mids(&lines),
        };
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
        let connection = offered
            .answered(&answer, self.part.crowd.link.through(&answer).await?)
            .await?;
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
            slots: lines.video_slots,
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

    /// Loses the network, and has it back after `away`. The new connection's packets are numbered from the beginning, so that
    /// they bear another publisher's number in their stamps.
    pub(super) async fn lose_network(self, away: Duration, publisher: u32) -> Result<Self, Halt> {
        let Connected {
            mut part,
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
        part.publisher = publisher;
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
fn mids(lines: &Lines) -> BTreeMap<String, MediaSource> {
    let mut out = BTreeMap::new();
    for mid in lines.audio.iter().chain(&lines.audio_slots) {
        out.insert(mid.clone(), MediaSource::Mic);
    }
    for mid in lines.video.iter().chain(&lines.video_slots) {
        out.insert(mid.clone(), MediaSource::Camera);
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
