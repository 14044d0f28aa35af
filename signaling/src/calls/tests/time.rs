//! Row 11 and T1 to T6.

use super::*;

#[test]
fn t1_the_ring_runs_out_per_callee_and_an_ongoing_call_goes_on() {
    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    assert_eq!(desk.after(29_999), Outcome::Noop);
    desk.ok(&accept("boris"));
    desk.after(1);
    assert_eq!(desk.part("clara"), ParticipantStatus::Missed);
    assert_eq!(desk.state().0, CallStatus::Ongoing);
    assert_eq!(
        desk.told(),
        [
            (vec!["clara"], &Note::Missed),
            (vec!["anna"], &Note::Rejected(id("clara"), RejectReason::Timeout))
        ]
    );

    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    desk.ok(&decline("boris"));
    desk.after(30_000);
    assert_eq!(
        desk.state(),
        (CallStatus::Rejected, Some(EndReason::Timeout)),
        "somebody was still open"
    );
}

#[test]
fn t2_a_caller_lost_while_ringing_cancels_unless_back_in_time() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&socket("anna", true));
    assert_eq!(desk.part("anna"), ParticipantStatus::Reconnecting);
    desk.after(4_999);
    desk.ok(&socket("anna", false));
    desk.after(5_000);
    assert_eq!(desk.state().0, CallStatus::Ringing);
    desk.ok(&socket("anna", true));
    desk.after(5_000);
    assert_eq!(desk.state(), (CallStatus::Cancelled, Some(EndReason::CallerLost)));
}

#[test]
fn t3_runs_only_while_both_socket_and_media_are_gone() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&accept("boris"));
    desk.ok(&Input::MediaConnected(id("anna")));
    desk.ok(&Input::MediaConnected(id("boris")));
    desk.ok(&socket("boris", true));
    desk.after(600_000);
    assert_eq!(desk.state().0, CallStatus::Ongoing, "media flows");
    desk.ok(&Input::MediaLost(id("boris")));
    desk.after(59_999);
    desk.ok(&Input::MediaConnected(id("boris")));
    desk.after(60_000);
    assert_eq!(desk.state().0, CallStatus::Ongoing);
    desk.ok(&Input::MediaLost(id("boris")));
    desk.after(60_000);
    assert_eq!(desk.state(), (CallStatus::Ended, Some(EndReason::ConnectionLost)));
    assert_eq!(desk.call.ended_by, None);
}

#[test]
fn t3_in_a_group_only_the_lost_one_goes_unless_the_plans_rule_is_on() {
    for (end_when_initiator_lost, expected) in [(false, CallStatus::Ongoing), (true, CallStatus::Ended)] {
        let config = CallConfig {
            end_when_initiator_lost,
            ..CallConfig::default()
        };
        let mut desk = Desk::start_with(ChatType::Group, &["anna", "boris", "clara"], config);
        for name in ["boris", "clara"] {
            desk.ok(&accept(name));
        }
        for name in ["anna", "boris", "clara"] {
            desk.ok(&Input::MediaConnected(id(name)));
        }
        desk.ok(&Input::MediaLost(id("anna")));
        desk.ok(&socket("anna", true));
        desk.after(60_000);
        assert_eq!(desk.part("anna"), ParticipantStatus::Left);
        assert_eq!(desk.state().0, expected);
    }
}

#[test]
fn t4_who_is_alone_is_asked_and_then_the_call_ends() {
    let mut desk = Desk::start(ChatType::Room, &["anna", "boris"]);
    desk.ok(&Input::MediaConnected(id("anna")));
    desk.after(119_999);
    assert!(desk.effects.iter().all(|effect| !matches!(effect, Effect::Alone(_))));
    desk.after(1);
    assert!(desk.effects.contains(&Effect::Alone(id("anna"))));
    desk.ok(&join("boris"));
    desk.ok(&Input::MediaConnected(id("boris")));
    desk.after(600_000);
    assert_eq!(desk.state().0, CallStatus::Ongoing, "not alone any more");
    desk.ok(&leave("boris"));
    desk.after(300_000);
    assert_eq!(desk.state(), (CallStatus::Ended, Some(EndReason::LastLeft)));
}

#[test]
fn t4_who_stays_is_asked_again_and_only_who_is_in_may_stay() {
    let mut desk = Desk::start(ChatType::Room, &["anna", "boris"]);
    desk.ok(&Input::MediaConnected(id("anna")));
    desk.after(299_000);
    assert_eq!(desk.ok(&Input::Stay(id("anna"))), Outcome::Done);
    assert!(desk.run(&Input::Stay(id("boris"))).is_err());
    desk.after(119_999);
    assert!(!desk.effects.contains(&Effect::Alone(id("anna"))));
    desk.after(1);
    assert!(desk.effects.contains(&Effect::Alone(id("anna"))));
    desk.after(180_000);
    assert_eq!(desk.state(), (CallStatus::Ended, Some(EndReason::LastLeft)));

    let mut desk = Desk::start(ChatType::Room, &["anna", "boris"]);
    desk.ok(&join("boris"));
    assert_eq!(desk.ok(&Input::Stay(id("anna"))), Outcome::Noop, "she is not alone");
}

#[test]
fn t5_no_media_fails_a_direct_call_and_costs_one_seat_in_a_group() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.now.0 += 25_000;
    desk.ok(&accept("boris"));
    desk.ok(&Input::MediaConnected(id("anna")));
    desk.after(19_999);
    assert_eq!(desk.state().0, CallStatus::Ongoing);
    desk.after(1);
    assert_eq!(desk.state(), (CallStatus::Failed, Some(EndReason::MediaFailed)));

    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    desk.ok(&accept("boris"));
    desk.ok(&Input::MediaConnected(id("anna")));
    desk.after(20_000);
    assert_eq!(
        (desk.part("boris"), desk.state().0),
        (ParticipantStatus::Left, CallStatus::Ongoing)
    );
}

#[test]
fn t6_a_day_is_enough() {
    let mut desk = Desk::start(ChatType::Room, &["anna", "boris"]);
    desk.ok(&join("boris"));
    for name in ["anna", "boris"] {
        desk.ok(&Input::MediaConnected(id(name)));
    }
    desk.after(86_399_999);
    assert_eq!(desk.state().0, CallStatus::Ongoing);
    desk.after(1);
    assert_eq!(desk.state(), (CallStatus::Ended, Some(EndReason::MaxDuration)));
}

#[test]
fn a_restart_keeps_seats_for_a_minute_and_rings_at_least_ten_seconds() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.now.0 += 29_000;
    desk.ok(&Input::Restart(vec![id("anna")]));
    assert_eq!(
        desk.call.participants[&id("boris")].ring_deadline,
        Some(At(T0 + 39_000))
    );
    desk.after(9_000);
    desk.ok(&accept("boris"));
    desk.ok(&entering("anna", 1, false, false));
    assert_eq!(desk.part("anna"), ParticipantStatus::Joined);
    assert!(
        desk.call.participants[&id("anna")].media_deadline.is_some(),
        "a new offer is due"
    );
}

#[test]
fn a_clock_that_is_set_back_ends_no_call_before_its_start() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&accept("boris"));
    desk.now.0 -= 3_600_000;
    desk.ok(&Input::End(id("anna")));
    assert_eq!(desk.call.ended_at, desk.call.started_at);
}

#[test]
fn a_clock_that_is_set_back_rings_no_longer_than_a_ring() {
    let mut desk = Desk::start(ChatType::Group, &["anna", "boris", "clara"]);
    desk.now.0 -= 3_600_000;
    desk.ok(&Input::Resync { jump_ms: -3_600_000 });
    desk.ok(&Input::Invite {
        by: id("anna"),
        guest: false,
        user: id("dora"),
    });
    desk.after(30_000);
    assert_eq!(desk.state(), (CallStatus::Rejected, Some(EndReason::Timeout)));
    assert!(desk.call.ended_at >= Some(At(T0)), "the record does not run backwards");
}

#[test]
fn a_clock_that_is_set_forward_ends_nothing_before_its_time() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.now.0 += 10_000 + 3_600_000;
    desk.ok(&Input::Resync { jump_ms: 3_600_000 });
    assert_eq!(desk.after(19_999), Outcome::Noop, "20 s of the ring were left");
    desk.after(1);
    assert_eq!(desk.state(), (CallStatus::Rejected, Some(EndReason::Timeout)));

    let mut desk = Desk::start(ChatType::Room, &["anna", "boris"]);
    desk.ok(&join("boris"));
    for name in ["anna", "boris"] {
        desk.ok(&Input::MediaConnected(id(name)));
    }
    desk.now.0 += 2 * 86_400_000;
    desk.ok(&Input::Resync {
        jump_ms: 2 * 86_400_000,
    });
    assert_eq!(desk.after(0), Outcome::Noop, "nobody talked for a day");
}

#[test]
fn what_ran_out_while_the_database_was_away_gets_ten_seconds() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&accept("boris"));
    for name in ["anna", "boris"] {
        desk.ok(&Input::MediaConnected(id(name)));
    }
    desk.ok(&socket("boris", true));
    desk.ok(&Input::MediaLost(id("boris")));
    desk.now.0 += 90_000;
    desk.ok(&Input::Resync { jump_ms: 0 });
    desk.after(9_999);
    assert_eq!(desk.state().0, CallStatus::Ongoing);
    desk.ok(&entering("boris", 1, false, false));
    desk.ok(&Input::MediaConnected(id("boris")));
    desk.after(1);
    assert_eq!(desk.part("boris"), ParticipantStatus::Joined);
    assert_eq!(desk.ok(&Input::Resync { jump_ms: 0 }), Outcome::Noop);
}

#[test]
fn a_restart_gives_who_was_already_lost_a_whole_rejoin_period() {
    let mut desk = Desk::start(ChatType::Direct, &["anna", "boris"]);
    desk.ok(&accept("boris"));
    desk.ok(&socket("boris", true));
    desk.now.0 += 120_000;
    desk.ok(&Input::Restart(vec![id("anna"), id("boris")]));
    desk.after(59_999);
    assert_eq!(desk.part("boris"), ParticipantStatus::Reconnecting);
}
