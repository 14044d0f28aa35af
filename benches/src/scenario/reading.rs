//! Reads a scenario and looks whether it makes sense.

use std::path::Path;

use super::*;

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No such file, and no scenario of this name.
    #[error("{name}: no such file, and no scenario of this name; there are: {known}")]
    Unknown {
        /// What was asked.
        name: String,
        /// What there is.
        known: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or not a scenario.
    #[error("{path}: {source}")]
    Parse {
        /// Which.
        path: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// It reads well and makes no sense.
    #[error("{name}: {why}")]
    Senseless {
        /// Which.
        name: String,
        /// Why, and what to do.
        why: String,
    },
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ScenarioError`], which names the file and the line.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Io {
            path: name.clone(),
            source,
        })?;
        Self::parse(&name, &text)
    }

    /// Reads a text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn parse(origin: &str, text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|source| ScenarioError::Parse {
            path: origin.to_owned(),
            source: Box::new(source),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// What serde cannot check.
    fn check(&self) -> Result<(), ScenarioError> {
        let senseless = |why: &str| {
            Err(ScenarioError::Senseless {
                name: self.name.clone(),
                why: why.to_owned(),
            })
        };
        let parts = [
            self.rooms.is_some(),
            self.calls.is_some(),
            self.idle.is_some(),
            self.resume.is_some(),
        ];
        if parts.iter().filter(|p| **p).count() != 1 {
            return senseless("it has exactly one of [rooms], [calls], [idle] and [resume]");
        }
        if !(self.duration_seconds > 0.0 && self.ramp_seconds >= 0.0 && self.settle_seconds >= 0.0) {
            return senseless("duration_seconds is over 0, ramp_seconds and settle_seconds are not below it");
        }
        if let Some(link) = &self.link
            && let Err(error) = link.check()
        {
            return senseless(&format!("link: {error}"));
        }
        if let Some(rooms) = &self.rooms {
            if rooms.members == 0 && (rooms.publishers == 0 || rooms.viewers == 0) {
                return senseless("rooms need members, or publishers and viewers");
            }
            let needs_socket = rooms.ringing || rooms.churn.is_some() || rooms.reconnect.is_some();
            if needs_socket && rooms.door == DoorKind::Whip {
                return senseless("ringing, churn and reconnect need door = \"websocket\"");
            }
            if rooms.ringing && rooms.churn.is_some() {
                return senseless("churn is for rooms that are joined by a token: ringing = false");
            }
            if rooms.door == DoorKind::WebSocket && rooms.publishers + rooms.viewers > 0 {
                return senseless(
                    "by the WebSocket everybody is a member; publishers and viewers are for door = \"whip\"",
                );
            }
            if rooms.route != Route::Direct && rooms.client != ClientKind::Webrtc {
                return senseless("route = \"turn\" and \"tcp\" need client = \"webrtc\"");
            }
            if rooms.route == Route::Turn && rooms.door == DoorKind::Whip {
                return senseless(
                    "a relay's credentials come by the WebSocket: route = \"turn\" needs door = \"websocket\"",
                );
            }
            if rooms.audio.bitrate == 0 && rooms.video.is_none() {
                return senseless("rooms need audio or video");
            }
            if rooms.video.as_ref().is_some_and(|v| v.layers.is_empty()) {
                return senseless("video needs at least one layer");
            }
            if let Some(video) = &rooms.video
                && video.layers.len() > 1
                && video.layers.iter().any(|l| l.rid.is_empty())
            {
                return senseless("with several layers each needs its rid");
            }
        }
        Ok(())
    }
}
