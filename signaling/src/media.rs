//! The one door to the media plane.
//!
//! Signaling names rooms and participants by text; the other side keeps its own dense numbers. Nothing here blocks on a
//! packet, and a media plane that is slow or gone answers [`MediaError::Unavailable`].

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::ids::{CallId, UserId};
use crate::protocol::{Binding, Intent, MediaSource, MediaWay, QualityReason, StreamQuality, VideoCodec};

/// A participant's place in the media plane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaSeat {
    /// The room: a call.
    pub room: CallId,
    /// The participant: a user, or the resource id of a WHIP or WHEP session.
    pub participant: UserId,
}

/// What a participant may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaGrants {
    /// May send.
    pub publish: bool,
    /// May receive.
    pub subscribe: bool,
}

/// How a participant's receive slots are filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotPolicy {
    /// By the client's intents; audio by loudness. A room client.
    Intents,
    /// By the server, with the room's publishers as they come; audio by loudness. WHEP without a query.
    Fill,
    /// One audio and one video m-line for each named publisher, in this order. WHEP with `?publishers=a,b`.
    Publishers(Vec<UserId>),
}

/// An SDP offer of one participant. The first offer of a seat makes its transport; a later one with the same DTLS
/// fingerprint grows its slots; one with another fingerprint replaces the transport (the old connection is gone).
#[derive(Clone, Debug)]
pub struct MediaOfferRequest {
    /// Who.
    pub seat: MediaSeat,
    /// Session description.
    pub sdp: String,
    /// What each mid is for; may be empty, see `protocol::MediaOffer::mids`.
    pub mids: BTreeMap<String, MediaSource>,
    /// What they may do.
    pub grants: MediaGrants,
    /// How their slots are filled.
    pub slots: SlotPolicy,
}

/// ICE credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCredentials {
    /// User fragment.
    pub ufrag: String,
    /// Password.
    pub pwd: String,
}

/// Why the media plane refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MediaError {
    /// The offer cannot be answered; the text says what is missing.
    #[error("the offer cannot be answered: {0}")]
    SdpRejected(String),
    /// More than the limits allow.
    #[error("the media limit is reached: {0}")]
    Limit(String),
    /// No such participant.
    #[error("no media connection for this participant")]
    NotFound,
    /// The media plane does not answer.
    #[error("the media plane is not available")]
    Unavailable,
}

/// What the media plane tells. Delivered through the bounded queue that [`MediaPlane::events`] hands out once.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// DTLS is up: packets can flow.
    Connected(MediaSeat),
    /// No authenticated packet for 5 s.
    Lost(MediaSeat),
    /// Packets again after `Lost`.
    Recovered(MediaSeat),
    /// The transport is gone for good (DTLS failed or closed); a new offer is needed.
    Closed(MediaSeat),
    /// What each of this participant's slots carries now.
    Bindings(MediaSeat, Vec<Binding>),
    /// Who speaks in the room, the dominant speaker first.
    Speakers(CallId, Vec<UserId>),
    /// What this publisher should send of a source: which layers somebody watches, and the codec.
    Layers(MediaSeat, MediaSource, Vec<bool>, Option<VideoCodec>),
    /// How good the connection to this participant is, 4 good to 1 bad, and why it is not better.
    Quality(MediaSeat, u8, Option<QualityReason>, Vec<StreamQuality>),
    /// Media to this participant travels this way now. The first one comes before `Connected`.
    Way(MediaSeat, MediaWay),
    /// The room ended by itself (a defect in it was contained); its participants have no transport any more.
    RoomFailed(CallId),
}

/// Commands to the media plane.
#[async_trait]
pub trait MediaPlane: Send + Sync + 'static {
    /// Makes or updates the participant's transport and returns the SDP answer.
    async fn offer(&self, request: MediaOfferRequest) -> Result<String, MediaError>;
    /// ICE restart: takes the client's new credentials and returns the server's.
    async fn restart_ice(&self, seat: &MediaSeat, remote: IceCredentials) -> Result<IceCredentials, MediaError>;
    /// Replaces what the participant wants to see.
    async fn intents(&self, seat: &MediaSeat, intents: Vec<Intent>) -> Result<(), MediaError>;
    /// Stops (or lets through) a source of this participant, whatever they send.
    fn set_blocked(&self, seat: &MediaSeat, source: MediaSource, blocked: bool);
    /// The participant says whether their processor limits what they send of a source. Viewers are told.
    fn set_limited(&self, seat: &MediaSeat, source: MediaSource, limited: bool);
    /// Ends the participant's transport.
    fn leave(&self, seat: &MediaSeat);
    /// Ends the room and every transport in it.
    fn close_room(&self, room: &CallId);
    /// Codecs that a call's video may use, the preferred first; `welcome` says so.
    fn video_codecs(&self) -> Vec<VideoCodec> {
        vec![VideoCodec::Vp8]
    }
    /// Whether its threads run; `/readyz` says so.
    fn alive(&self) -> bool {
        true
    }
    /// The event queue; only the first call gets it.
    fn events(&self) -> Option<tokio::sync::mpsc::Receiver<MediaEvent>>;
}
