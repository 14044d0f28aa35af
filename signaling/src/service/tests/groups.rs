//! Groups, rooms, moderators, lost seats.

use super::*;
use crate::service::{Link, ResourceKind};

fn user(call: &CallId, who: &Actor) -> CallUser {
    CallUser {
        call_id: call.clone(),
        user_id: who.user.clone(),
    }
}

both! {
    async fn a_group_where_all_declined_does_not_ring_for_ever(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let chat = house.group(&[&anna, &boris, &clara]).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, reject(&call, RejectReason::Declined)).await;
        assert_eq!(house.status(&call).await.0, CallStatus::Ringing);
        house.ok(&clara, reject(&call, RejectReason::Busy)).await;
        assert_eq!(house.status(&call).await, (CallStatus::Rejected, Some(EndReason::Declined)));
        let told = house.ops(&anna).await;
        assert_eq!(told, ["call_created", "call_rejected", "call_rejected", "call_ended", "message"]);
    }

    async fn a_group_call_goes_on_until_the_last_one_is_out(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let chat = house.group(&[&anna, &boris, &clara]).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        house.ok(&clara, join(&call)).await;
        assert_eq!(house.refused(&boris, end(&call)).await, ErrorCode::Forbidden);
        assert_eq!(house.outcome(&tab("anna", 2), leave(&call)).await, "noop", "another tab holds the seat");
        house.ok(&anna, leave(&call)).await;
        house.ok(&boris, leave(&call)).await;
        assert_eq!(house.status(&call).await, (CallStatus::Ongoing, None));
        house.ok(&anna, join(&call)).await;
        house.ok(&anna, leave(&call)).await;
        house.ok(&clara, leave(&call)).await;
        assert_eq!(house.status(&call).await, (CallStatus::Ended, Some(EndReason::LastLeft)));
    }

    async fn an_outsider_can_neither_end_nor_join_nor_learn_of_a_call(house: House) {
        let (anna, boris, eve) = (house.person("anna").await, house.person("boris").await, house.person("eve").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        for command in [end(&call), join(&call), accept(&call), leave(&call), start(&chat), ring_ack(&call)] {
            assert_eq!(house.refused(&eve, command).await, ErrorCode::NotFound);
        }
        assert_eq!(house.status(&call).await, (CallStatus::Ringing, None));
    }

    async fn a_busy_callee_is_rung_silently_and_may_leave_and_join(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let (first, second) = (house.direct(&anna, &boris).await, house.direct(&clara, &boris).await);
        let talk = house.start(&anna, &first).await;
        house.ok(&boris, accept(&talk)).await;
        let waiting = house.start(&clara, &second).await;
        assert_eq!(house.last(&boris, "incoming_call").await["silent"], true);
        assert_eq!(house.refused(&boris, accept(&waiting)).await, ErrorCode::BusySelf);
        let switch = JoinCall { call_id: waiting.clone(), takeover: false, wait: false, leave: Some(talk.clone()) };
        house.ok(&boris, Command::AcceptCall(switch)).await;
        assert_eq!(house.status(&talk).await.0, CallStatus::Ended);
        assert_eq!(house.status(&waiting).await.0, CallStatus::Ongoing);
    }

    async fn a_takeover_moves_the_seat_and_tells_the_old_tab(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        let mut bus = house.bus.subscribe();
        let other = tab("boris", 2);
        assert_eq!(house.refused(&other, join(&call)).await, ErrorCode::AnsweredElsewhere);
        house.ok(&other, Command::JoinCall(JoinCall { call_id: call.clone(), takeover: true, wait: false, leave: None })).await;
        assert_eq!(house.last(&boris, "seat_moved").await["device"], "boris-tab-2");
        let freed =
            BusMessage::SeatFreed { call: call.clone(), user: boris.user.clone(), device: boris.device.clone() };
        assert!(drain(&mut bus).contains(&freed));
        assert_eq!(house.outcome(&boris, leave(&call)).await, "noop", "the old tab has nothing to leave");
    }

    async fn a_kicked_person_is_out_until_a_moderator_invites_them(house: House) {
        let (anna, boris, clara) =
            (house.person("anna").await, house.person("boris").await, house.person("clara").await);
        let chat = house.group(&[&anna, &boris, &clara]).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        house.ok(&clara, accept(&call)).await;
        assert_eq!(house.refused(&boris, Command::Kick(user(&call, &clara))).await, ErrorCode::Forbidden);
        house.ok(&anna, Command::Kick(user(&call, &clara))).await;
        assert_eq!(house.last(&clara, "kicked").await["by"]["name"], "anna");
        assert_eq!(house.refused(&clara, join(&call)).await, ErrorCode::Kicked);
        assert_eq!(house.refused(&boris, Command::Invite(user(&call, &clara))).await, ErrorCode::Forbidden);
        house.ok(&anna, Command::Invite(user(&call, &clara))).await;
        house.ok(&clara, accept(&call)).await;
        assert_eq!(house.part(&call, &clara).await, Some(ParticipantStatus::Joined));
    }

    async fn a_lost_seat_is_kept_taken_again_and_freed_when_nobody_comes(
        house: House, CallConfig { rejoin_ms: 1, ..unlimited() }
    ) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.ok(&boris, accept(&call)).await;
        house.service.media_connected(&call, &boris.user).await.unwrap();
        house.service.seat_lost(&boris, Link::Socket).await.unwrap();
        assert_eq!(house.part(&call, &boris).await, Some(ParticipantStatus::Reconnecting));
        house.service.sweep().await.unwrap();
        assert_eq!(house.status(&call).await.0, CallStatus::Ongoing, "media still flows");
        house.service.seat_lost(&tab("boris", 2), Link::Socket).await.unwrap();
        house.service.seat_back(&boris, Link::Socket).await.unwrap();
        assert_eq!(house.part(&call, &boris).await, Some(ParticipantStatus::Joined));
        house.service.seat_lost(&boris, Link::Socket).await.unwrap();
        house.service.media_lost(&call, &boris.user).await.unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(20), async {
            while house.status(&call).await.0 == CallStatus::Ongoing {
                house.service.sweep().await.unwrap();
            }
        })
        .await
        .unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Ended, Some(EndReason::ConnectionLost)));
    }

    async fn a_restart_keeps_the_call_and_gives_the_ring_more_time(house: House) {
        let (anna, boris) = (house.person("anna").await, house.person("boris").await);
        let chat = house.direct(&anna, &boris).await;
        let call = house.start(&anna, &chat).await;
        house.service.start_up().await.unwrap();
        assert_eq!(house.part(&call, &anna).await, Some(ParticipantStatus::Reconnecting));
        house.ok(&anna, join(&call)).await;
        assert_eq!(house.part(&call, &anna).await, Some(ParticipantStatus::Joined));
        house.ok(&boris, accept(&call)).await;
        assert_eq!(house.status(&call).await.0, CallStatus::Ongoing);
    }

    async fn a_rooms_call_lives_with_its_publishers_and_rings_nobody(house: House) {
        let (anna, obs) = (house.person("anna").await, house.person("obs").await);
        let room = house.store().ensure_room("stage").await.unwrap();
        assert_eq!(house.store().ensure_room("stage").await.unwrap(), room);
        for actor in [&anna, &obs] {
            house.store().add_member(&room, &actor.user, ChatRole::Member).await.unwrap();
        }
        let early = house.service.open_resource(&anna.user, &room, ResourceKind::Viewer).await;
        assert_eq!(WireError::from(early.unwrap_err()).code, ErrorCode::NotFound);
        let (call, publisher) =
            house.service.open_resource(&obs.user, &room, ResourceKind::Publisher).await.unwrap();
        let (_, viewer) = house.service.open_resource(&anna.user, &room, ResourceKind::Viewer).await.unwrap();
        house.ok(&anna, join(&call)).await;
        house.ok(&anna, leave(&call)).await;
        assert_eq!(house.status(&call).await.0, CallStatus::Ongoing, "a publisher keeps it alive");
        house.service.close_resource(&publisher).await.unwrap();
        assert_eq!(house.status(&call).await, (CallStatus::Ended, Some(EndReason::LastLeft)));
        house.service.close_resource(&viewer).await.unwrap();
        house.service.close_resource(&publisher).await.unwrap();
        let call = house.start(&anna, &room).await;
        assert_eq!(house.status(&call).await.0, CallStatus::Ongoing, "the first one in is in at once");
    }
}
