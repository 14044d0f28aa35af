//! The door to the media plane.

use std::sync::Arc;

use async_trait::async_trait;
use signaling::ids::CallId;
use signaling::media::{IceCredentials, MediaError, MediaEvent, MediaOfferRequest, MediaPlane, MediaSeat};
use signaling::protocol::{Intent, MediaSource};
use tokio::sync::mpsc;

use crate::cli::Failure;
use crate::config::Media;

/// The media plane of this process.
pub(crate) struct Plane {
    events: std::sync::Mutex<Option<mpsc::Receiver<MediaEvent>>>,
    _sender: mpsc::Sender<MediaEvent>,
}

/// Starts it.
pub(crate) fn start(_config: &Media) -> Result<Arc<Plane>, Failure> {
    let (sender, events) = mpsc::channel(1024);
    Ok(Arc::new(Plane {
        events: std::sync::Mutex::new(Some(events)),
        _sender: sender,
    }))
}

impl Plane {
    /// Ends it.
    pub(crate) fn stop(&self) {}
}

#[async_trait]
impl MediaPlane for Plane {
    async fn offer(&self, _request: MediaOfferRequest) -> Result<String, MediaError> {
        Err(MediaError::Unavailable)
    }
    async fn restart_ice(&self, _seat: &MediaSeat, _remote: IceCredentials) -> Result<IceCredentials, MediaError> {
        Err(MediaError::Unavailable)
    }
    async fn intents(&self, _seat: &MediaSeat, _intents: Vec<Intent>) -> Result<(), MediaError> {
        Ok(())
    }
    fn set_blocked(&self, _seat: &MediaSeat, _source: MediaSource, _blocked: bool) {}
    fn leave(&self, _seat: &MediaSeat) {}
    fn close_room(&self, _room: &CallId) {}
    fn events(&self) -> Option<mpsc::Receiver<MediaEvent>> {
        self.events
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }
}
