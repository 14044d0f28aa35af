//! Rows 1 to 10 of the transitions.

use super::*;

#[test]
fn row_1_a_start_rings_everybody_else_and_seats_the_starter() {
    let desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    assert_eq!(desk.state(), (CallStatus::Ringing, None));
    assert_eq!(desk.part("anna"), ParticipantStatus::Joined);
    assert_eq!(desk.part("boris"), ParticipantStatus::Invited);
    assert_eq!(desk.call.next_deadline(), Some((At(T0 + 30_000), Timer::Ring)));
    let rung = Note::Incoming(At(T0 + 30_000));
    assert_eq!(
        desk.told(),
        [
            (vec!["anna"], &Note::Created),
            (vec!["boris"], &rung),
            (vec!["clara"], &rung)
        ]
    );
}

#[test]
fn row_1_refuses_strangers_nobody_to_ring_and_too_many() {
    let config = CallConfig {
        ring_max_members: 2,
        ..CallConfig::default()
    };
    let big = chat(ChatType::Group, &["a", "b", "c", "d"]);
    let new = |user: &str, invitees: Option<&[&str]>| NewCall {
        id: "call".into(),
        room_name: "room".into(),
        call_type: CallType::Audio,
        user: id(user),
        device: Some("tab".into()),
        invitees: invitees.map(|names| names.iter().map(|name| id(name)).collect()),
    };
    let run = |new| start(&big, new, At(T0), &config).map(|step| step.outcome);
    assert_eq!(run(new("x", None)), Err(Refusal::NotFound));
    assert!(matches!(run(new("a", None)), Err(Refusal::BadRequest(_))));
    assert!(matches!(run(new("a", Some(&["a"]))), Err(Refusal::BadRequest(_))));
    assert!(matches!(run(new("a", Some(&["x"]))), Err(Refusal::BadRequest(_))));
    assert_eq!(run(new("a", Some(&["b", "c"]))), Ok(Outcome::Joined));
}

#[test]
fn row_1b_a_rooms_call_is_ongoing_at_once_and_rings_nobody() {
    let desk = Desk::start(ChatType::Room, &["anna", "boris"]);
    assert_eq!(desk.state(), (CallStatus::Ongoing, None));
    assert_eq!(desk.call.participants.len(), 1);
    assert_eq!(desk.told(), [(vec!["anna"], &Note::Created)]);
}

#[test]
fn row_2_only_the_first_ack_of_somebody_invited_rings() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    assert_eq!(desk.ok(&Input::RingAck(id("boris"))), Outcome::Done);
    assert!(desk.effects.contains(&Effect::Ringing(id("boris"))));
    assert_eq!(desk.ok(&Input::RingAck(id("boris"))), Outcome::Noop);
    assert_eq!(desk.ok(&Input::RingAck(id("anna"))), Outcome::Noop);
}

#[test]
fn row_3_the_first_answer_starts_talk_time_and_the_same_tab_may_repeat_it() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.now.0 += 7_000;
    desk.ok(&accept("boris"));
    assert_eq!(desk.call.started_at, Some(At(T0 + 7_000)));
    assert_eq!(
        desk.told(),
        [
            (vec!["boris"], &Note::AnsweredElsewhere("boris-1".into())),
            (vec!["anna"], &Note::Accepted(id("boris")))
        ]
    );
    assert_eq!(desk.ok(&accept("boris")), Outcome::Joined);
    assert_eq!(
        desk.run(&entering("boris", 2, true, false)),
        Err(Refusal::AnsweredElsewhere)
    );
    desk.ok(&entering("boris", 2, false, true));
    assert_eq!(desk.told(), [(vec!["boris"], &Note::SeatMoved("boris-2".into()))]);
    assert!(desk.effects.contains(&Effect::SeatFreed(id("boris"), "boris-1".into())));
    desk.now.0 += 3_500;
    desk.ok(&Input::End(id("anna")));
    assert_eq!(
        desk.call.talk_seconds(),
        3,
        "talk time counts from the answer, not the ring"
    );
}

#[test]
fn row_3_refuses_when_full_locked_kicked_or_busy() {
    let config = CallConfig {
        max_participants: 2,
        ..CallConfig::default()
    };
    let mut desk = Desk::start_with(ChatType::Group, &["anna", "boris", "clara", "dora"], config);
    desk.ok(&accept("boris"));
    assert_eq!(desk.run(&accept("clara")), Err(Refusal::Full));
    desk.ok(&Input::Kick(id("anna"), id("boris")));
    assert_eq!(desk.run(&join("boris")), Err(Refusal::Kicked));
    desk.ok(&Input::Lock(id("anna"), true));
    assert_eq!(desk.run(&accept("clara")), Err(Refusal::Locked));
    desk.ok(&Input::Admit(id("anna"), id("clara")));
    assert_eq!(desk.ok(&accept("clara")), Outcome::Joined);
    let busy = Input::Join {
        user: id("dora"),
        device: "d".into(),
        accept: true,
        takeover: false,
        busy: true,
        wait: false,
    };
    desk.ok(&Input::Lock(id("anna"), false));
    assert_eq!(desk.run(&busy), Err(Refusal::BusySelf));
    assert_eq!(desk.run(&join("eve")), Err(Refusal::NotFound));
}

#[test]
fn row_4_the_reason_of_a_rejected_call_is_the_worst_that_happened() {
    let declined = RejectReason::Declined;
    for (reasons, expected) in [
        ([RejectReason::Busy, RejectReason::Busy], EndReason::Busy),
        ([declined, RejectReason::Busy], EndReason::Declined),
        ([declined, declined], EndReason::Declined),
    ] {
        let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
        desk.ok(&Input::Reject(id("boris"), reasons[0]));
        assert_eq!(
            desk.told(),
            [(vec!["anna", "boris"], &Note::Rejected(id("boris"), reasons[0]))]
        );
        desk.ok(&Input::Reject(id("clara"), reasons[1]));
        assert_eq!(desk.state(), (CallStatus::Rejected, Some(expected)));
    }
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    assert_eq!(
        desk.ok(&Input::Reject(id("boris"), RejectReason::Timeout)),
        Outcome::Noop
    );
    assert_eq!(desk.ok(&decline("anna")), Outcome::Noop);
}

#[test]
fn row_5_a_cancelled_call_is_missed_not_answered_elsewhere() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    assert!(matches!(desk.run(&Input::End(id("boris"))), Err(Refusal::Forbidden(_))));
    desk.ok(&Input::End(id("anna")));
    assert_eq!(desk.state(), (CallStatus::Cancelled, Some(EndReason::CallerCancelled)));
    assert_eq!(
        desk.told(),
        [(vec!["boris"], &Note::Missed), (vec!["anna", "boris"], &Note::Ended)]
    );
}

#[test]
fn rows_6_and_7_who_may_end_and_what_leaving_ends() {
    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    desk.ok(&accept("boris"));
    assert!(matches!(desk.run(&Input::End(id("boris"))), Err(Refusal::Forbidden(_))));
    desk.ok(&leave("anna"));
    assert_eq!(desk.state().0, CallStatus::Ongoing);
    desk.ok(&leave("boris"));
    assert_eq!(desk.state(), (CallStatus::Ended, Some(EndReason::LastLeft)));
    assert_eq!(
        desk.part("clara"),
        ParticipantStatus::Missed,
        "who still rang has missed it"
    );

    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&accept("boris"));
    desk.ok(&leave("boris"));
    assert_eq!(desk.state(), (CallStatus::Ended, Some(EndReason::Hangup)));
    assert_eq!(desk.call.ended_by, Some(id("boris")));

    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&leave("anna"));
    assert_eq!(desk.state(), (CallStatus::Cancelled, Some(EndReason::CallerCancelled)));
}

#[test]
fn row_8_an_invite_rings_one_more_and_makes_a_direct_call_a_group() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&accept("boris"));
    let invite = |by: &str, guest| Input::Invite {
        by: id(by),
        guest,
        user: id("zoe"),
    };
    assert!(matches!(desk.run(&invite("boris", true)), Err(Refusal::Forbidden(_))));
    desk.now.0 += 60_000;
    desk.ok(&invite("boris", false));
    assert_eq!(desk.told(), [(vec!["zoe"], &Note::Incoming(At(T0 + 90_000)))]);
    desk.ok(&accept("zoe"));
    desk.ok(&leave("boris"));
    assert_eq!(desk.state(), (CallStatus::Ongoing, None));
}

#[test]
fn row_9_a_mute_stays_over_a_rejoin_until_a_moderator_lifts_it() {
    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    desk.ok(&accept("boris"));
    let mute = |by: &str, muted| Input::Mute {
        by: id(by),
        user: id("boris"),
        source: MediaSource::Mic,
        muted,
    };
    assert!(matches!(desk.run(&mute("clara", true)), Err(Refusal::Forbidden(_))));
    desk.ok(&mute("anna", true));
    let blocked = |on| Effect::Blocked(id("boris"), MediaSource::Mic, on);
    assert!(desk.effects.contains(&blocked(true)));
    desk.ok(&leave("boris"));
    desk.ok(&join("boris"));
    assert!(desk.effects.contains(&blocked(true)), "a new seat is muted still");
    desk.ok(&mute("anna", false));
    assert!(desk.effects.contains(&blocked(false)));
}

#[test]
fn row_10_hands_keep_their_order_and_only_moderators_lower_others() {
    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    desk.ok(&accept("boris"));
    desk.ok(&Input::RaiseHand(id("boris")));
    assert_eq!(desk.ok(&Input::RaiseHand(id("boris"))), Outcome::Noop);
    assert!(matches!(
        desk.run(&Input::RaiseHand(id("clara"))),
        Err(Refusal::Forbidden(_))
    ));
    assert!(matches!(
        desk.run(&Input::LowerHand(id("clara"), id("boris"))),
        Err(Refusal::Forbidden(_))
    ));
    desk.ok(&Input::LowerHand(id("anna"), id("boris")));
    assert_eq!(desk.call.participants[&id("boris")].hand_at, None);
}
