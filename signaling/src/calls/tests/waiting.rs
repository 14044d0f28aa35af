//! The waiting list, the lock and the lobby.

use super::*;
use crate::protocol::WaitingOutcome;

/// Anna owns the group, is in the call with Boris, and has locked it.
fn locked() -> Desk {
    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara", "dora"]);
    desk.ok(&accept("boris"));
    desk.ok(&Input::Lock(id("anna"), true));
    desk
}

fn status(desk: &Desk, name: &str) -> Vec<WaitingOutcome> {
    let told = desk.told().into_iter().filter_map(|(to, note)| match note {
        Note::Waiting(outcome, ..) if to == [name] => Some(*outcome),
        _ => None,
    });
    told.collect()
}

#[test]
fn who_comes_to_a_locked_call_is_refused_or_waits_until_admitted() {
    let mut desk = locked();
    assert_eq!(desk.run(&join("clara")), Err(Refusal::Locked));
    assert_eq!(desk.ok(&knock("clara")), Outcome::Waiting);
    assert!(desk.effects.contains(&Effect::Waiters));
    assert_eq!(status(&desk, "clara"), [WaitingOutcome::Waiting]);
    desk.ok(&knock("clara"));
    assert_eq!(status(&desk, "clara"), [], "the same place again is no news");
    assert_eq!(desk.run(&join("clara")), Err(Refusal::Locked), "waiting opens no door");
    assert_eq!(
        desk.run(&Input::Admit(id("boris"), id("clara"))),
        Err(Refusal::Forbidden("only a moderator may do this"))
    );
    desk.ok(&Input::Admit(id("anna"), id("clara")));
    assert_eq!(status(&desk, "clara"), [WaitingOutcome::Admitted]);
    assert_eq!(desk.ok(&join("clara")), Outcome::Joined);
    assert!(desk.call.waiting.is_empty());
    desk.ok(&leave("clara"));
    assert_eq!(desk.ok(&join("clara")), Outcome::Joined, "let in once is let in");
}

#[test]
fn a_lock_keeps_out_neither_moderators_nor_who_was_in_before() {
    let mut desk = Desk::start(ChatType::Group, &["owner", "boris", "clara"]);
    desk.ok(&accept("boris"));
    desk.ok(&leave("boris"));
    desk.ok(&accept("clara"));
    desk.ok(&Input::Lock(id("owner"), true));
    assert_eq!(desk.ok(&join("boris")), Outcome::Joined);
    desk.ok(&leave("owner"));
    assert_eq!(desk.ok(&join("owner")), Outcome::Joined);
}

#[test]
fn who_is_denied_may_knock_again_and_who_is_kicked_may_not() {
    let mut desk = locked();
    desk.ok(&knock("clara"));
    desk.ok(&Input::Deny(id("anna"), id("clara")));
    assert_eq!(status(&desk, "clara"), [WaitingOutcome::Denied]);
    assert_eq!(desk.ok(&Input::Deny(id("anna"), id("clara"))), Outcome::Noop);
    desk.ok(&knock("clara"));
    desk.ok(&Input::Kick(id("anna"), id("clara")));
    assert_eq!(desk.run(&knock("clara")), Err(Refusal::Kicked));
    assert_eq!(desk.run(&Input::Admit(id("anna"), id("clara"))), Err(Refusal::Kicked));
    assert!(desk.call.waiting.is_empty());
}

#[test]
fn an_opened_lock_lets_in_everybody_who_waits_and_a_lobby_does_not() {
    let mut desk = locked();
    for name in ["clara", "dora"] {
        desk.ok(&knock(name));
    }
    desk.ok(&Input::Lock(id("anna"), false));
    assert_eq!(status(&desk, "clara"), [WaitingOutcome::Admitted]);
    assert_eq!(status(&desk, "dora"), [WaitingOutcome::Admitted]);

    let mut desk = lobby();
    desk.ok(&knock("guest"));
    desk.ok(&Input::Lock(id("anna"), true));
    desk.ok(&Input::Lock(id("anna"), false));
    assert_eq!(status(&desk, "guest"), []);
}

/// A room with a lobby; anna owns it and is in.
fn lobby() -> Desk {
    let mut desk = Desk::start(ChatType::Room, &["anna", "boris", "guest"]);
    desk.chat.members.insert(id("anna"), ChatRole::Owner);
    desk.chat.guests.insert(id("guest"));
    desk.chat.lobby = true;
    desk
}

#[test]
fn in_a_lobby_newcomers_wait_and_only_who_runs_the_room_begins() {
    let mut desk = lobby();
    assert_eq!(desk.run(&join("boris")), Err(Refusal::Locked));
    assert_eq!(desk.ok(&knock("boris")), Outcome::Waiting);
    let begin = |name: &str| NewCall {
        id: "other".into(),
        room_name: "r".into(),
        call_type: CallType::Video,
        user: id(name),
        device: Some("tab".into()),
        invitees: None,
    };
    assert_eq!(
        start(&desk.chat, begin("boris"), At(T0), &desk.config),
        Err(Refusal::Locked)
    );
    assert!(start(&desk.chat, begin("anna"), At(T0), &desk.config).is_ok());
}

#[test]
fn a_wait_ends_with_its_tab_its_period_or_the_call() {
    let mut desk = locked();
    desk.ok(&knock("clara"));
    desk.ok(&Input::Socket {
        user: id("clara"),
        device: "another".into(),
        lost: true,
    });
    assert!(
        desk.call.waiting.contains_key(&id("clara")),
        "another tab's loss is nothing"
    );
    desk.ok(&socket("clara", true));
    assert!(desk.call.waiting.is_empty());

    for name in ["anna", "boris"] {
        desk.ok(&Input::MediaConnected(id(name)));
    }
    desk.ok(&knock("clara"));
    desk.after(600_000);
    assert_eq!(status(&desk, "clara"), [WaitingOutcome::Expired]);

    desk.ok(&knock("clara"));
    desk.ok(&Input::Admit(id("anna"), id("clara")));
    desk.after(30_000);
    assert_eq!(
        status(&desk, "clara"),
        [WaitingOutcome::Expired],
        "let in and did not come"
    );

    desk.ok(&knock("clara"));
    assert_eq!(desk.ok(&leave("clara")), Outcome::Done);
    desk.ok(&knock("clara"));
    desk.ok(&Input::End(id("anna")));
    assert_eq!(status(&desk, "clara"), [WaitingOutcome::Ended]);
}

#[test]
fn the_waiting_list_is_no_longer_than_a_call_is_large() {
    let mut desk = locked();
    desk.config.max_participants = 1;
    desk.ok(&knock("clara"));
    assert_eq!(desk.run(&knock("dora")), Err(Refusal::Full));
    assert_eq!(desk.ok(&knock("clara")), Outcome::Waiting);
}

#[test]
fn a_guest_who_is_first_in_a_room_moderates_nobody() {
    let mut desk = Desk::start(ChatType::Room, &["guest", "boris"]);
    desk.chat.guests.insert(id("guest"));
    desk.ok(&join("boris"));
    for input in [
        Input::Kick(id("guest"), id("boris")),
        Input::End(id("guest")),
        Input::Lock(id("guest"), true),
    ] {
        assert!(matches!(desk.run(&input), Err(Refusal::Forbidden(_))), "{input:?}");
    }
}

#[test]
fn who_publishes_without_a_seat_can_be_kicked_and_stays_out() {
    let mut desk = Desk::start(ChatType::Room, &["anna", "camera"]);
    desk.ok(&Input::Kick(id("anna"), id("camera")));
    assert!(desk.effects.contains(&Effect::Removed(id("camera"))));
    assert_eq!(desk.run(&join("camera")), Err(Refusal::Kicked));
    assert_eq!(
        desk.ok(&Input::Kick(id("anna"), id("nobody"))),
        Outcome::Noop,
        "who has nothing to do with it leaves no trace"
    );
}
