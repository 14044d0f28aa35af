//! Fields of events about media: the answer, what slots carry, what to encode.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{MediaSource, VideoCodec};
use crate::ids::{CallId, OfferId, UserId};

/// Fields of `media_answer`: `sdp` for an offer, `ufrag` and `pwd` for an ICE restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MediaAnswer {
    /// Which call.
    pub call_id: CallId,
    /// The offer it answers.
    pub offer_id: OfferId,
    /// RFC 8866 session description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sdp: Option<String>,
    /// Server's ICE user fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub ufrag: Option<String>,
    /// Server's ICE password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub pwd: Option<String>,
}

/// Fields of `bindings`: all slots, every time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Bindings {
    /// Which call.
    pub call_id: CallId,
    /// The slots that carry something.
    pub slots: Vec<Binding>,
}

/// What one receive slot carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// The receive m-line.
    pub mid: String,
    /// Whose media.
    pub user_id: UserId,
    /// Which of theirs.
    pub source: MediaSource,
    /// Their number: the CSRC of every packet in the slot.
    pub csrc: u32,
    /// Simulcast layer, 0 is the smallest.
    pub layer: u8,
    /// Nothing is sent now.
    pub paused: bool,
    /// Why it is paused.
    pub reason: Option<PauseReason>,
}

/// Why a slot is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum PauseReason {
    /// The publisher muted it.
    Muted,
    /// The viewer asked for nothing.
    NotVisible,
    /// The viewer's downlink has no room.
    Bandwidth,
    /// No packets from the publisher.
    NoMedia,
}

/// Fields of `quality`: the connection from the server to this participant, and what comes by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// Which call.
    pub call_id: CallId,
    /// 4 good, 3 fair, 2 poor, 1 bad.
    pub score: u8,
    /// The first reason why it is not better; none when it is good.
    pub reason: Option<QualityReason>,
    /// The streams that are not good, all of them every time. What is wrong with the whole connection is not repeated here.
    #[serde(default)]
    pub streams: Vec<StreamQuality>,
}

/// A stream that this participant gets and that is not as good as it could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct StreamQuality {
    /// The receive m-line that carries it.
    pub mid: String,
    /// Whose.
    pub user_id: UserId,
    /// Which of theirs.
    pub source: MediaSource,
    /// 3 fair, 2 poor, 1 bad.
    pub score: u8,
    /// The first reason why it is not better: `bandwidth` (a smaller picture than the tile could show), `paused`, `loss` (on the
    /// way from its publisher to the server) or `cpu`.
    pub reason: QualityReason,
}

/// Why a connection is not as good as it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub enum QualityReason {
    /// Nothing was heard of it for a while.
    Lost,
    /// Packets are lost.
    Loss,
    /// Packets take long, or queue.
    Delay,
    /// Not everything that is wanted fits.
    Bandwidth,
    /// The sender's own machine cannot keep up.
    Cpu,
    /// Nothing of a stream is sent: there is no room for it. Of streams only.
    Paused,
}

/// Fields of `layers`: what a publisher should send of a source. Layers are simulcast streams, or the spatial layers of one
/// stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Layers {
    /// Which call.
    pub call_id: CallId,
    /// Which source.
    pub source: MediaSource,
    /// By layer, smallest first: whether to encode it.
    pub active: Vec<bool>,
    /// The codec on which the room has agreed: one that everybody in it can decode. Absent: as negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub codec: Option<VideoCodec>,
}
