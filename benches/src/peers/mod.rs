//! Servers to measure: the product and what stands beside it. Each is a process of its own that the harness starts and ends
//! (or one that runs already), with a way in for publishers and viewers.

pub mod floor;
pub mod janus;
pub mod whip;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// A stream that a viewer wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Whose, by the name given to [`Peer::publish`].
    pub publisher: String,
    /// Audio or video.
    pub video: bool,
    /// Simulcast layer, 0 the smallest; of a publisher without layers always 0.
    pub layer: usize,
}

/// Why a peer does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It is not installed, or cannot do this at all: the scenario is skipped at it.
    #[error("{0}")]
    Unable(String),
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// A running server that forwards between publishers and viewers, without accounts or calls.
#[async_trait]
pub trait Peer: Send + Sync {
    /// Short name for reports.
    fn name(&self) -> &str;

    /// Version and settings in a line.
    fn description(&self) -> String;

    /// Its process, for CPU and memory.
    fn pid(&self) -> Option<u32>;

    /// `Err(`[`PeerError::Unable`]`)` when it lacks what the scenario needs.
    ///
    /// # Errors
    /// [`PeerError`].
    fn supports(&self, scenario: &Scenario) -> Result<(), PeerError>;

    /// Takes a publisher's offer and returns the answer.
    ///
    /// # Errors
    /// [`PeerError`].
    async fn publish(&self, room: &str, publisher: &str, offer: String) -> Result<String, PeerError>;

    /// Whether viewers offer ([`Self::view`]); else the server does ([`Self::view_offer`]).
    fn viewer_offers(&self) -> bool;

    /// Whether a viewer's session carries one publisher's streams only, so that it opens one for each that it wants.
    fn one_stream_each(&self) -> bool {
        false
    }

    /// Takes a viewer's offer, whose m-lines are in the order of `wants`, and returns the answer.
    ///
    /// # Errors
    /// [`PeerError`].
    async fn view(&self, room: &str, viewer: &str, wants: &[Want], offer: String) -> Result<String, PeerError>;

    /// Asks for the server's offer to a viewer.
    ///
    /// # Errors
    /// [`PeerError`].
    async fn view_offer(&self, room: &str, viewer: &str, wants: &[Want]) -> Result<String, PeerError>;

    /// Hands the viewer's answer over.
    ///
    /// # Errors
    /// [`PeerError`].
    async fn view_answer(&self, room: &str, viewer: &str, answer: String) -> Result<(), PeerError>;

    /// Ends everything in a room, between rounds.
    ///
    /// # Errors
    /// [`PeerError`].
    async fn clear(&self, room: &str) -> Result<(), PeerError>;

    /// Ends the process.
    async fn stop(&self);
}
