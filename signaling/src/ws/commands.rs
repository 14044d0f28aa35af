//! Commands: those of the live room are carried out here, all others by the service.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::session::{Realtime, Session};
use crate::app::App;
use crate::auth::{Claims, Grant};
use crate::ids::{CallId, ChatId, DeviceId};
use crate::live;
use crate::media::{IceCredentials, MediaError, MediaGrants, MediaOfferRequest, MediaSeat, SlotPolicy};
use crate::protocol::{
    Command, ErrorCode, MediaAnswer, MediaOffer, Outcome, Reaction, ReactionShown, RealtimeBody, Request, WireError,
};
use crate::service::Actor;

/// Longest emoji, bytes: a family with skin tones is 41.
const MAX_EMOJI_BYTES: usize = 64;

type Result<T> = std::result::Result<T, WireError>;

/// Carries out one command and returns `res.d`.
pub(super) async fn carry_out(app: &Arc<App>, session: &Arc<Session>, request: &Request) -> Result<Value> {
    if app.draining() {
        return Err(WireError::new(ErrorCode::Draining, "the server is going down"));
    }
    if !plausible(request.id.as_str()) {
        return Err(WireError::new(
            ErrorCode::BadRequest,
            "id is 1 to 64 visible characters",
        ));
    }
    let command = serde_json::from_value::<Command>(json!({ "op": request.op, "d": request.d }))
        .map_err(|e| WireError::new(ErrorCode::BadRequest, format!("{}: {e}", request.op)))?;
    allowed(app, session, &command).await?;
    let actor = Actor {
        user: session.user.clone(),
        device: session.device.clone(),
    };
    match command {
        Command::MediaOffer(offer) => media_offer(app, session, offer).await,
        Command::Intents(intents) => {
            let seat = own_seat(app, session, &intents.call_id)?;
            app.media.intents(&seat, intents.slots).await.map_err(refused)?;
            done()
        }
        Command::Limited(limited) => {
            let seat = own_seat(app, session, &limited.call_id)?;
            app.media.set_limited(&seat, limited.source, limited.cpu);
            done()
        }
        Command::Mute(mute) if mute.user_id.is_none() => {
            live::own_source(app, &mute.call_id, &actor, mute.source, false)?;
            done()
        }
        Command::Unmute(mute) if mute.user_id.is_none() => {
            live::own_source(app, &mute.call_id, &actor, mute.source, true)?;
            done()
        }
        Command::Reaction(reaction) => react(app, session, reaction),
        Command::RenewToken(renewal) => renew(app, session, &renewal.token).await,
        command => {
            let takes_a_seat = matches!(
                command,
                Command::StartCall(_) | Command::AcceptCall(_) | Command::JoinCall(_)
            );
            let result = app.service.command(&actor, &request.id, command).await?;
            if result.get("outcome").and_then(Value::as_str) == Some("waiting") {
                session.waits.store(true, Ordering::Relaxed);
            }
            if takes_a_seat {
                // The stored result of a repeat may be old: the seat is where the store says it is.
                if let Some((call, device)) = app.service.seat_of(&actor.user).await?
                    && device == actor.device
                {
                    live::seated(app, &call, &actor).await?;
                }
            }
            Ok(result)
        }
    }
}

fn plausible(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

fn done() -> Result<Value> {
    Ok(json!({ "outcome": Outcome::Done }))
}

/// A token for one room or for some chats must not reach others. Membership is the service's to check.
async fn allowed(app: &Arc<App>, session: &Arc<Session>, command: &Command) -> Result<()> {
    let claims = &session.claims;
    if claims.room.is_none() && claims.chats.is_none() {
        return Ok(());
    }
    let chat: Option<ChatId> = match command {
        Command::StartCall(c) => Some(c.chat_id.clone()),
        Command::SendMessage(c) => Some(c.chat_id.clone()),
        Command::MarkRead(c) => Some(c.chat_id.clone()),
        Command::AcceptCall(c) | Command::JoinCall(c) => Some(app.service.roster(&c.call_id).await?.chat_id),
        _ => None,
    };
    let Some(chat) = chat else { return Ok(()) };
    let inside = match &claims.room {
        // The token names the room; the chat's id is the server's.
        Some(room) => app.service.store().room(room.as_str()).await?.as_ref() == Some(&chat),
        None => claims.may_enter(&chat),
    };
    if inside {
        Ok(())
    } else {
        Err(WireError::new(
            ErrorCode::Forbidden,
            "the token does not reach this chat",
        ))
    }
}

/// The seat of this very tab in the call.
fn own_seat(app: &App, session: &Session, call: &CallId) -> Result<MediaSeat> {
    let holder: Option<DeviceId> = app.live.device(call, &session.user);
    if holder.as_ref() != Some(&session.device) {
        return Err(WireError::new(
            ErrorCode::Forbidden,
            "this tab holds no seat in the call",
        ));
    }
    Ok(MediaSeat {
        room: call.clone(),
        participant: session.user.clone(),
    })
}

async fn media_offer(app: &Arc<App>, session: &Arc<Session>, offer: MediaOffer) -> Result<Value> {
    let seat = own_seat(app, session, &offer.call_id)?;
    let mut answer = MediaAnswer {
        call_id: offer.call_id,
        offer_id: offer.offer_id,
        sdp: None,
        ufrag: None,
        pwd: None,
    };
    match (offer.sdp, offer.ufrag, offer.pwd) {
        (Some(sdp), _, _) => {
            let grants = MediaGrants {
                publish: session.claims.allows(Grant::Publish),
                subscribe: session.claims.allows(Grant::Subscribe),
            };
            let request = MediaOfferRequest {
                seat: seat.clone(),
                sdp,
                mids: offer.mids,
                grants,
                slots: SlotPolicy::Intents,
            };
            answer.sdp = Some(app.media.offer(request).await.map_err(refused)?);
            // The seat may have been freed while the media plane worked; its transport must not outlive it.
            if own_seat(app, session, &seat.room).is_err() {
                app.media.leave(&seat);
                return Err(WireError::new(ErrorCode::Conflict, "the seat was freed meanwhile"));
            }
            live::enforce_mutes(app, &seat);
        }
        (None, Some(ufrag), Some(pwd)) => {
            let ours = app
                .media
                .restart_ice(&seat, IceCredentials { ufrag, pwd })
                .await
                .map_err(refused)?;
            answer.ufrag = Some(ours.ufrag);
            answer.pwd = Some(ours.pwd);
        }
        _ => {
            return Err(WireError::new(
                ErrorCode::BadRequest,
                "media_offer has sdp, or ufrag and pwd",
            ));
        }
    }
    session.send_realtime(&Realtime::new(&RealtimeBody::MediaAnswer(answer)));
    done()
}

/// A later token takes the place of the one that the connection came with, if it is the same person's and reaches as far.
async fn renew(app: &Arc<App>, session: &Arc<Session>, token: &str) -> Result<Value> {
    let (user, claims) = app.identify(token).await?;
    let same = Claims {
        exp: session.claims.exp,
        iat: session.claims.iat,
        name: session.claims.name.clone(),
        avatar: session.claims.avatar.clone(),
        ..claims.clone()
    };
    if user.id != session.user || same != session.claims {
        return Err(WireError::new(
            ErrorCode::Forbidden,
            "the token is for another person or reach; connect anew with it",
        ));
    }
    session.renew(claims.exp);
    done()
}

fn react(app: &Arc<App>, session: &Arc<Session>, reaction: Reaction) -> Result<Value> {
    let seat = own_seat(app, session, &reaction.call_id)?;
    if reaction.emoji.is_empty() || reaction.emoji.len() > MAX_EMOJI_BYTES {
        return Err(WireError::new(ErrorCode::BadRequest, "emoji is one emoji"));
    }
    let shown = ReactionShown {
        call_id: seat.room.clone(),
        user_id: seat.participant,
        emoji: reaction.emoji,
    };
    live::to_call(app, &seat.room, None, RealtimeBody::Reaction(shown));
    done()
}

/// A refusal of the media plane in the words of the wire.
pub(crate) fn refused(error: MediaError) -> WireError {
    let code = match &error {
        MediaError::SdpRejected(_) => ErrorCode::SdpRejected,
        MediaError::Limit(_) => ErrorCode::MediaLimit,
        MediaError::NotFound => ErrorCode::NotFound,
        MediaError::Unavailable => ErrorCode::Unavailable,
    };
    let retry_after_ms = if code == ErrorCode::Unavailable { 1_000 } else { 0 };
    WireError {
        code,
        message: error.to_string(),
        retry_after_ms,
    }
}
