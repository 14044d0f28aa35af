//! A media plane that answers everything and writes it down.

use std::sync::Mutex;

use async_trait::async_trait;
use signaling::ids::CallId;
use signaling::media::{IceCredentials, MediaError, MediaEvent, MediaOfferRequest, MediaPlane, MediaSeat, SlotPolicy};
use signaling::protocol::{Intent, MediaSource};
use tokio::sync::{mpsc, watch};

/// What it was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Offer(MediaSeat, SlotPolicy, bool, bool),
    Restart(MediaSeat, String),
    Intents(MediaSeat, usize),
    Blocked(MediaSeat, MediaSource, bool),
    Limited(MediaSeat, MediaSource, bool),
    Leave(MediaSeat),
    CloseRoom(CallId),
}

pub struct FakeMedia {
    told: watch::Sender<Vec<Told>>,
    events: mpsc::Sender<MediaEvent>,
    receiver: Mutex<Option<mpsc::Receiver<MediaEvent>>>,
}

impl Default for FakeMedia {
    fn default() -> Self {
        let (events, receiver) = mpsc::channel(64);
        Self {
            told: watch::Sender::new(Vec::new()),
            events,
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl FakeMedia {
    /// Lets the media plane say something.
    pub async fn say(&self, event: MediaEvent) {
        self.events.send(event).await.unwrap();
    }

    /// Waits until it was told something that fits.
    pub async fn was_told(&self, fits: impl Fn(&Told) -> bool) -> Told {
        let mut told = self.told.subscribe();
        let waiting = told.wait_for(|all| all.iter().any(&fits));
        let all = tokio::time::timeout(super::SOON, waiting)
            .await
            .expect("the media plane was not told")
            .unwrap();
        all.iter().find(|t| fits(t)).cloned().unwrap()
    }

    pub fn all(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    fn note(&self, told: Told) {
        self.told.send_modify(|all| all.push(told));
    }
}

#[async_trait]
impl MediaPlane for FakeMedia {
    async fn offer(&self, request: MediaOfferRequest) -> Result<String, MediaError> {
        if !request.sdp.starts_with("v=0") {
            return Err(MediaError::SdpRejected("it does not begin with v=0".into()));
        }
        self.note(Told::Offer(
            request.seat,
            request.slots,
            request.grants.publish,
            request.grants.subscribe,
        ));
        Ok("v=0\r\na=ice-ufrag:first\r\na=ice-pwd:server\r\na=candidate:1 1 udp 1 192.0.2.1 7882 typ host\r\n".into())
    }
    async fn restart_ice(&self, seat: &MediaSeat, remote: IceCredentials) -> Result<IceCredentials, MediaError> {
        self.note(Told::Restart(seat.clone(), remote.ufrag));
        Ok(IceCredentials {
            ufrag: "second".into(),
            pwd: "again".into(),
        })
    }
    async fn intents(&self, seat: &MediaSeat, intents: Vec<Intent>) -> Result<(), MediaError> {
        self.note(Told::Intents(seat.clone(), intents.len()));
        Ok(())
    }
    fn set_blocked(&self, seat: &MediaSeat, source: MediaSource, blocked: bool) {
        self.note(Told::Blocked(seat.clone(), source, blocked));
    }
    fn set_limited(&self, seat: &MediaSeat, source: MediaSource, limited: bool) {
        self.note(Told::Limited(seat.clone(), source, limited));
    }
    fn leave(&self, seat: &MediaSeat) {
        self.note(Told::Leave(seat.clone()));
    }
    fn close_room(&self, room: &CallId) {
        self.note(Told::CloseRoom(room.clone()));
    }
    fn events(&self) -> Option<mpsc::Receiver<MediaEvent>> {
        self.receiver.lock().unwrap().take()
    }
}
