//! How a step is told to the reference and to the real thing.

use super::reference::{Answer, Model, Tab, Who};
use super::rows::{Enter, Ring};
use super::steps::{Pick, Step};
use super::{Observed, World, device};
use crate::ids::CallId;
use crate::protocol::*;
use crate::service::Actor;

/// Which call a pick means, among so many.
fn picked(calls: usize, pick: Pick) -> Option<usize> {
    calls.checked_sub(1).map(|newest| newest - pick % calls.min(6))
}

/// What the reference says. `None`: no answer is due.
pub(super) fn told_to_model(model: &mut Model, step: &Step) -> Option<Answer> {
    let before = model.clone();
    let answer = carry_out(model, step)?;
    if answer.is_err() {
        *model = before; // one command, one transaction
    }
    Some(answer)
}

fn carry_out(model: &mut Model, step: &Step) -> Option<Answer> {
    let calls = model.calls.len();
    let at = |pick: &Pick| picked(calls, *pick);
    let leaving = |pick: &Option<Pick>| pick.and_then(|pick| picked(calls, pick));
    Some(match step {
        Step::Start {
            who,
            tab,
            chat,
            invitees,
            leave,
        } => model.start(&Ring {
            who: *who,
            tab: *tab,
            chat: *chat,
            invitees: invitees.as_deref(),
            leave: leaving(leave),
        }),
        Step::Enter {
            who,
            tab,
            call,
            accept,
            takeover,
            wait,
            leave,
        } => model.enter(&Enter {
            who: *who,
            tab: *tab,
            call: at(call)?,
            accept: *accept,
            takeover: *takeover,
            wait: *wait,
            leave: leaving(leave),
        }),
        Step::Reject { who, call, reason } => model.reject(at(call)?, *who, *reason),
        Step::End { who, call } => model.end(at(call)?, *who),
        Step::Leave { who, tab, call } => model.leave(at(call)?, *who, *tab),
        Step::RingAck { who, call } => model.ring_ack(at(call)?, *who),
        Step::Invite { who, call, whom } => model.invite(at(call)?, *who, *whom),
        Step::Kick { who, call, whom } => model.kick(at(call)?, *who, *whom),
        Step::Mute {
            who,
            call,
            whom,
            source,
            on,
        } => model.mute(at(call)?, *who, *whom, *source, *on),
        Step::Lock { who, call, on } => model.lock(at(call)?, *who, *on),
        Step::Admit { who, call, whom } => model.admit(at(call)?, *who, *whom),
        Step::Deny { who, call, whom } => model.deny(at(call)?, *who, *whom),
        Step::Stay { who, call } => model.stay(at(call)?, *who),
        Step::Hand { who, call, whom, up } => {
            let whom = if *up { who } else { whom };
            model.hand(at(call)?, *who, *whom, *up)
        }
        Step::Socket { who, tab, up } => {
            model.socket(*who, *tab, *up);
            return None;
        }
        Step::Media { who, call, path } => {
            model.media(at(call)?, *who, *path);
            return None;
        }
        Step::Terminated { call } => {
            let call = at(call)?;
            if model.calls[call].ringing() {
                model.close(call, CallStatus::Cancelled, EndReason::CallerCancelled, None);
            } else if model.calls[call].live() {
                model.close(call, CallStatus::Ended, EndReason::Moderator, None);
            }
            return None;
        }
        Step::RoomFailed { call } => {
            let call = at(call)?;
            if model.calls[call].live() {
                model.close(call, CallStatus::Failed, EndReason::ServerLost, None);
            }
            return None;
        }
        Step::Restart => {
            model.restart();
            return None;
        }
        Step::Wait { ms } => {
            let until = model.now + ms;
            while let Some(at) = (0..calls)
                .filter_map(|call| model.due(call))
                .min()
                .filter(|at| *at <= until)
            {
                model.now = model.now.max(at);
                for call in 0..calls {
                    model.time(call);
                }
            }
            model.now = until;
            return None;
        }
        Step::Stall { ms } => {
            model.now += ms;
            return None;
        }
    })
}

/// The same for the real thing. The reference has taken the step already, and knows what time it is now.
pub(super) fn told_to_world(world: &mut impl World, step: &Step, model: &Model) -> Option<Result<String, ErrorCode>> {
    // A start that worked has made the newest call just now.
    let calls = world.count();
    match step {
        Step::Socket { who, tab, up } => world.observe(&Observed::Socket {
            who: actor(world, *who, *tab),
            lost: !up,
        }),
        Step::Media { who, call, path } => world.observe(&Observed::Media {
            call: world.call(picked(calls, *call)?),
            who: world.user(*who),
            path: *path,
        }),
        Step::Terminated { call } => world.observe(&Observed::Terminated(world.call(picked(calls, *call)?))),
        Step::RoomFailed { call } => world.observe(&Observed::RoomFailed(world.call(picked(calls, *call)?))),
        Step::Restart => world.restart(),
        Step::Wait { ms } => {
            let (until, mut now) = (model.now, model.now - ms);
            while let Some(at) = world.next_due().filter(|at| *at <= until) {
                now = now.max(at);
                world.set_clock(now);
                world.sweep();
            }
            world.set_clock(until);
        }
        Step::Stall { .. } => world.set_clock(model.now),
        step => {
            let (actor, command) = command(world, step, calls)?;
            return Some(world.command(&actor, command));
        }
    }
    None
}

fn actor(world: &impl World, who: Who, tab: Tab) -> Actor {
    let user = world.user(who);
    let device = device(&user, tab);
    Actor { user, device }
}

fn command(world: &impl World, step: &Step, calls: usize) -> Option<(Actor, Command)> {
    let at = |pick: &Pick| Some(world.call(picked(calls, *pick)?));
    let this = |pick: &Pick| Some(CallRef { call_id: at(pick)? });
    let about = |pick: &Pick, whom: &Who| {
        Some(CallUser {
            call_id: at(pick)?,
            user_id: world.user(*whom),
        })
    };
    let leaving = |pick: &Option<Pick>| -> Option<CallId> { pick.as_ref().and_then(at) };
    let (who, tab, command) = match step {
        Step::Start {
            who,
            tab,
            chat,
            invitees,
            leave,
        } => {
            let start = StartCall {
                chat_id: world.chat(*chat),
                call_type: CallType::Video,
                invitees: invitees
                    .as_ref()
                    .map(|all| all.iter().map(|who| world.user(*who)).collect()),
                leave: leaving(leave),
            };
            (who, *tab, Command::StartCall(start))
        }
        Step::Enter {
            who,
            tab,
            call,
            accept,
            takeover,
            wait,
            leave,
        } => {
            let join = JoinCall {
                call_id: at(call)?,
                takeover: *takeover,
                wait: *wait,
                leave: leaving(leave),
            };
            let command = if *accept {
                Command::AcceptCall(join)
            } else {
                Command::JoinCall(join)
            };
            (who, *tab, command)
        }
        Step::Reject { who, call, reason } => {
            let (call_id, reason) = (at(call)?, *reason);
            (who, 0, Command::RejectCall(RejectCall { call_id, reason }))
        }
        Step::End { who, call } => (who, 0, Command::EndCall(this(call)?)),
        Step::Leave { who, tab, call } => (who, *tab, Command::LeaveCall(this(call)?)),
        Step::RingAck { who, call } => (who, 0, Command::RingAck(this(call)?)),
        Step::Invite { who, call, whom } => (who, 0, Command::Invite(about(call, whom)?)),
        Step::Kick { who, call, whom } => (who, 0, Command::Kick(about(call, whom)?)),
        Step::Mute {
            who,
            call,
            whom,
            source,
            on,
        } => {
            let mute = Mute {
                call_id: at(call)?,
                user_id: Some(world.user(*whom)),
                source: *source,
            };
            (
                who,
                0,
                if *on {
                    Command::Mute(mute)
                } else {
                    Command::Unmute(mute)
                },
            )
        }
        Step::Lock { who, call, on: true } => (who, 0, Command::Lock(this(call)?)),
        Step::Lock { who, call, on: false } => (who, 0, Command::Unlock(this(call)?)),
        Step::Admit { who, call, whom } => (who, 0, Command::Admit(about(call, whom)?)),
        Step::Deny { who, call, whom } => (who, 0, Command::Deny(about(call, whom)?)),
        Step::Stay { who, call } => (who, 0, Command::Stay(this(call)?)),
        Step::Hand {
            who, call, up: true, ..
        } => (who, 0, Command::RaiseHand(this(call)?)),
        Step::Hand {
            who,
            call,
            whom,
            up: false,
        } => {
            let (call_id, user_id) = (at(call)?, Some(world.user(*whom)));
            (who, 0, Command::LowerHand(LowerHand { call_id, user_id }))
        }
        _ => return None,
    };
    Some((actor(world, *who, tab), command))
}
