//! The call state machine: `(state, input, now) -> (new state, effects, deadlines)`.
//!
//! Pure: no clock, no randomness, no database. Everything a decision needs is handed in, everything it causes is handed
//! out, and [`Call::next_deadline`] says when to come back. Whoever stores the new state and carries out the effects in one
//! transaction has a call that never lies.

mod config;
mod effect;
mod join;
mod links;
mod moderate;
mod resync;
mod start;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod timers;
mod waiting;

pub use config::CallConfig;
pub use effect::{Effect, EventType, Input, NewCall, Note, Refusal, Transition};
pub use start::start;
pub use state::{At, Call, Chat, MediaLink, Participant, Timer, Waiting};

use join::Join;
use step::Step;

use crate::ids::UserId;

/// Decides what an input does to a call. A call that is over is never changed: the outcome is `noop`.
///
/// # Errors
/// [`Refusal`]: nothing changes.
pub fn apply(call: Call, chat: &Chat, input: &Input, now: At, config: &CallConfig) -> Result<Transition, Refusal> {
    let step = Step::new(call, chat, now, config);
    if let Some(actor) = actor(input)
        && !step.knows(actor)
    {
        return Err(Refusal::NotFound);
    }
    if !step.call.live() {
        return Ok(step.noop());
    }
    match input {
        Input::RingAck(user) => Ok(step.ring_ack(user)),
        Input::Join {
            user,
            device,
            accept,
            takeover,
            busy,
            wait,
        } => step.join(&Join {
            user,
            device,
            accept: *accept,
            takeover: *takeover,
            busy: *busy,
            wait: *wait,
        }),
        Input::Reject(user, reason) => Ok(step.reject(user, *reason)),
        Input::End(user) => step.end(user),
        Input::Leave(user, device) => Ok(step.leave(user, device.as_ref())),
        Input::Invite { by, guest, user } => step.invite(by, *guest, user),
        Input::Kick(by, user) => step.kick(by, user),
        Input::Mute {
            by,
            user,
            source,
            muted,
        } => step.mute(by, user, *source, *muted),
        Input::Lock(by, locked) => step.lock(by, *locked),
        Input::Admit(by, user) => step.admit(by, user),
        Input::Deny(by, user) => step.deny(by, user),
        Input::Stay(user) => step.stay(user),
        Input::RaiseHand(user) => step.hand(user, user, true),
        Input::LowerHand(by, user) => step.hand(by, user, false),
        Input::Socket { user, device, lost } => Ok(step.socket(user, device, *lost)),
        Input::MediaConnected(user) => Ok(step.media(user, MediaLink::Connected)),
        Input::MediaLost(user) => Ok(step.media(user, MediaLink::Lost)),
        Input::MediaClosed(user) => Ok(step.media(user, MediaLink::None)),
        Input::RoomFailed => Ok(step.room_failed()),
        Input::Terminate => Ok(step.terminate()),
        Input::Publishers => Ok(step.publishers_changed()),
        Input::Restart(seats) => Ok(step.restart(seats)),
        Input::Resync { jump_ms } => Ok(step.resync(*jump_ms)),
        Input::Tick => Ok(step.tick()),
    }
}

/// Whose command it is; the server's own observations have no actor.
fn actor(input: &Input) -> Option<&UserId> {
    match input {
        Input::RingAck(user)
        | Input::Join { user, .. }
        | Input::Reject(user, _)
        | Input::End(user)
        | Input::Leave(user, _)
        | Input::Invite { by: user, .. }
        | Input::Kick(user, _)
        | Input::Mute { by: user, .. }
        | Input::Lock(user, _)
        | Input::Admit(user, _)
        | Input::Deny(user, _)
        | Input::Stay(user)
        | Input::RaiseHand(user)
        | Input::LowerHand(user, _) => Some(user),
        Input::Socket { .. }
        | Input::MediaConnected(_)
        | Input::MediaLost(_)
        | Input::MediaClosed(_)
        | Input::RoomFailed
        | Input::Terminate
        | Input::Publishers
        | Input::Restart(_)
        | Input::Resync { .. }
        | Input::Tick => None,
    }
}
