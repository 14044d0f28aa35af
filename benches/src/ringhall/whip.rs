//! The product through WHIP and WHEP.

use async_trait::async_trait;

use crate::http;
use crate::peers::{Peer, PeerError, Want};
use crate::scenario::{DoorKind, Scenario};

use super::Server;

fn failed(error: &dyn std::fmt::Display) -> PeerError {
    PeerError::Failed(error.to_string())
}

impl Server {
    async fn post(&self, kind: &str, room: &str, name: &str, query: &str, offer: &str) -> Result<String, PeerError> {
        let room = self.room(room);
        let token = self.people().room_token(&room, name).map_err(|e| failed(&e))?;
        let url = format!("{}/{kind}/{room}{query}", self.url());
        let answer = http::request("POST", &url, &token, "application/sdp", offer).await;
        let answer = answer.map_err(|e| failed(&e))?;
        match answer.status {
            201 => {
                if let Some(location) = answer.location {
                    let session = (room, format!("{}{location}", self.url()), token);
                    self.sessions.lock().await.push(session);
                }
                Ok(answer.body)
            }
            404 | 501 => Err(PeerError::Unable(format!("the server has no {kind}: {}", answer.body))),
            status => Err(PeerError::Failed(format!("{kind}: {status}: {}", answer.body))),
        }
    }

    fn room(&self, room: &str) -> String {
        format!("{}-{room}", self.people().room_name(0))
    }
}

#[async_trait]
impl Peer for Server {
    fn name(&self) -> &str {
        "ringhall"
    }

    fn description(&self) -> String {
        Self::description(self)
    }

    fn pid(&self) -> Option<u32> {
        Some(Self::pid(self))
    }

    fn supports(&self, scenario: &Scenario) -> Result<(), PeerError> {
        let by_whip = scenario.rooms.as_ref().is_some_and(|r| r.door == DoorKind::Whip);
        if by_whip {
            Ok(())
        } else {
            Err(PeerError::Unable("not a scenario for WHIP and WHEP".into()))
        }
    }

    async fn publish(&self, room: &str, publisher: &str, offer: String) -> Result<String, PeerError> {
        self.post("whip", room, publisher, "", &offer).await
    }

    fn viewer_offers(&self) -> bool {
        true
    }

    /// Named publishers bind one audio and one video line each, in order; where fewer voices than pictures are wanted, the
    /// lines are left for the server to fill with everybody's pictures and the loudest voices.
    async fn view(&self, room: &str, viewer: &str, wants: &[Want], offer: String) -> Result<String, PeerError> {
        let named = |video: bool| -> Vec<&str> {
            wants
                .iter()
                .filter(|w| w.video == video)
                .map(|w| w.publisher.as_str())
                .collect()
        };
        let (voices, pictures) = (named(false), named(true));
        let query = if voices == pictures {
            format!("?publishers={}", voices.join(","))
        } else {
            String::new()
        };
        self.post("whep", room, viewer, &query, &offer).await
    }

    async fn view_offer(&self, _: &str, _: &str, _: &[Want]) -> Result<String, PeerError> {
        Err(PeerError::Unable("WHEP viewers offer".into()))
    }

    async fn view_answer(&self, _: &str, _: &str, _: String) -> Result<(), PeerError> {
        Err(PeerError::Unable("WHEP viewers offer".into()))
    }

    async fn clear(&self, room: &str) -> Result<(), PeerError> {
        let room = self.room(room);
        let ended: Vec<_> = {
            let mut sessions = self.sessions.lock().await;
            let (ended, others) = sessions.drain(..).partition(|(r, ..)| *r == room);
            *sessions = others;
            ended
        };
        for (_, url, token) in ended {
            http::request("DELETE", &url, &token, "", "")
                .await
                .map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    async fn stop(&self) {
        Self::stop(self).await;
    }
}
