//! Two people ring and talk, over real sockets, with the media plane's part written down.

use crate::common::{Options, Server, Socket, Told};
use serde_json::{Value, json};
use signaling::ids::CallId;
use signaling::media::{MediaEvent, MediaSeat, SlotPolicy};
use signaling::ws::SocketConfig;

fn call_id(d: &Value) -> CallId {
    CallId(d["callId"].as_str().unwrap().to_owned())
}

/// Ivan rings maria, she answers; both have their roster.
async fn in_a_call(server: &Server) -> (Socket, Socket, CallId) {
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut maria = server.tab(&server.maria, "maria-1").await;
    let created = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "video"}))
        .await;
    let call = call_id(&created);
    maria.event("incoming_call").await;
    maria.done("accept_call", json!({"callId": call})).await;
    ivan.event("call_accepted").await;
    let roster = maria.event("roster").await;
    assert_eq!(roster["participants"].as_array().unwrap().len(), 2, "{roster}");
    (ivan, maria, call)
}

#[tokio::test]
async fn a_call_rings_is_answered_carries_media_and_ends() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut maria = server.tab(&server.maria, "maria-1").await;

    let created = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "video"}))
        .await;
    assert_eq!(created["outcome"], "created");
    let call = call_id(&created);
    let incoming = maria.event("incoming_call").await;
    assert_eq!(
        (&incoming["initiator"]["name"], &incoming["silent"]),
        (&json!("Иван"), &json!(false))
    );
    assert!(incoming["ringMsLeft"].as_u64().unwrap() > 20_000, "{incoming}");
    maria.done("ring_ack", json!({"callId": call})).await;
    assert_eq!(ivan.event("call_ringing").await["userId"], json!(server.maria));

    assert_eq!(
        maria.done("accept_call", json!({"callId": call})).await["outcome"],
        "joined"
    );
    assert_eq!(ivan.event("call_accepted").await["userName"], "Мария");
    let joined = ivan.event("call_participant_joined").await;
    assert_eq!(joined["participant"]["sources"]["mic"], false, "{joined}");

    for (tab, user) in [(&mut ivan, &server.ivan), (&mut maria, &server.maria)] {
        tab.done("media_offer", json!({"callId": call, "offerId": "1", "sdp": "v=0\r\n"}))
            .await;
        let answer = tab.event("media_answer").await;
        assert_eq!(answer["offerId"], "1");
        assert!(answer["sdp"].as_str().unwrap().starts_with("v=0"), "{answer}");
        let seat = MediaSeat {
            room: call.clone(),
            participant: user.clone(),
        };
        server
            .media
            .was_told(|t| *t == Told::Offer(seat.clone(), SlotPolicy::Intents, true, true))
            .await;
        server.media.say(MediaEvent::Connected(seat)).await;
    }
    maria.done("unmute", json!({"callId": call, "source": "mic"})).await;
    let speaks = |f: &Value| f["op"] == "participant_updated" && f["d"]["participant"]["sources"]["mic"] == true;
    let updated = ivan.wait("maria's microphone", speaks).await;
    assert_eq!(updated["d"]["userId"], json!(server.maria));
    let intents =
        json!({"callId": call, "slots": [{"mid": "9", "participant": server.ivan, "source": "camera", "height": 360}]});
    maria.done("intents", intents).await;
    server
        .media
        .was_told(|t| matches!(t, Told::Intents(seat, 1) if seat.participant == server.maria))
        .await;
    server
        .media
        .say(MediaEvent::Speakers(call.clone(), vec![server.maria.clone()]))
        .await;
    assert_eq!(ivan.event("speakers").await["users"], json!([server.maria]));
    maria.done("reaction", json!({"callId": call, "emoji": "👍"})).await;
    assert_eq!(ivan.event("reaction").await["emoji"], "👍");

    ivan.done("end_call", json!({"callId": call})).await;
    for tab in [&mut ivan, &mut maria] {
        let ended = tab.event("call_ended").await;
        assert_eq!(
            (&ended["status"], &ended["reason"]),
            (&json!("ended"), &json!("hangup")),
            "{ended}"
        );
    }
    server.media.was_told(|t| *t == Told::CloseRoom(call.clone())).await;
    let refused = maria.ask("intents", json!({"callId": call, "slots": []})).await;
    assert_eq!(refused["err"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn media_is_for_the_tab_that_holds_the_seat() {
    let server = Server::start().await;
    let (_ivan, _maria, call) = in_a_call(&server).await;
    let mut second = server.tab(&server.ivan, "ivan-2").await;
    let mut stranger = server.tab(&server.anna, "anna-1").await;
    for tab in [&mut second, &mut stranger] {
        for (op, d) in [
            ("media_offer", json!({"callId": call, "offerId": "1", "sdp": "v=0"})),
            ("intents", json!({"callId": call, "slots": []})),
            ("unmute", json!({"callId": call, "source": "mic"})),
            ("reaction", json!({"callId": call, "emoji": "👍"})),
        ] {
            let res = tab.ask(op, d).await;
            assert_eq!(res["err"]["code"], "FORBIDDEN", "{op}: {res}");
        }
    }
    assert!(server.media.all().is_empty(), "{:?}", server.media.all());
}

#[tokio::test]
async fn an_offer_that_cannot_be_answered_is_refused_and_the_call_goes_on() {
    let server = Server::start().await;
    let (mut ivan, _maria, call) = in_a_call(&server).await;
    let res = ivan
        .ask("media_offer", json!({"callId": call, "offerId": "1", "sdp": "hello"}))
        .await;
    assert_eq!(res["err"]["code"], "SDP_REJECTED", "{res}");
    let neither = ivan.ask("media_offer", json!({"callId": call, "offerId": "2"})).await;
    assert_eq!(neither["err"]["code"], "BAD_REQUEST");
    ivan.done("media_offer", json!({"callId": call, "offerId": "3", "sdp": "v=0"}))
        .await;
    assert_eq!(ivan.event("media_answer").await["offerId"], "3");
    ivan.done(
        "media_offer",
        json!({"callId": call, "offerId": "4", "ufrag": "mine", "pwd": "secret"}),
    )
    .await;
    let restarted = ivan.event("media_answer").await;
    assert_eq!(
        (&restarted["ufrag"], &restarted["sdp"]),
        (&json!("second"), &Value::Null),
        "{restarted}"
    );
}

#[tokio::test]
async fn a_tab_that_reconnects_is_back_in_its_call_with_roster_and_bindings() {
    let server = Server::start().await;
    let (mut ivan, maria, call) = in_a_call(&server).await;
    ivan.done("unmute", json!({"callId": call, "source": "camera"})).await;
    let seat = MediaSeat {
        room: call.clone(),
        participant: server.maria.clone(),
    };
    let mut maria = maria;
    server.media.say(MediaEvent::Bindings(seat, Vec::new())).await;
    maria.event("bindings").await;
    maria.cut();
    let mut back = Socket::open(server.address).await;
    back.hello(&server.token(&server.maria), "maria-1", Value::Null).await;
    let roster = back.event("roster").await;
    let shown = roster["participants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["id"] == json!(server.ivan))
        .unwrap();
    assert_eq!(shown["sources"]["camera"], true, "{roster}");
    back.event("bindings").await;
    back.done("intents", json!({"callId": call, "slots": []})).await;
}

#[tokio::test]
async fn a_tab_that_stays_away_loses_its_link_to_the_seat_and_others_see_it() {
    let sockets = SocketConfig {
        seat_lost_ms: 100,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    let (mut ivan, maria, call) = in_a_call(&server).await;
    maria.cut();
    server
        .media
        .say(MediaEvent::Lost(MediaSeat {
            room: call,
            participant: server.maria.clone(),
        }))
        .await;
    let reconnecting =
        |f: &Value| f["op"] == "participant_updated" && f["d"]["participant"]["status"] == "reconnecting";
    let seen = ivan.wait("maria reconnecting", reconnecting).await;
    assert_eq!(seen["d"]["userId"], json!(server.maria));
}

#[tokio::test]
async fn another_tab_of_the_callee_stops_ringing_when_one_answers_and_may_take_over() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut first = server.tab(&server.maria, "maria-1").await;
    let mut second = server.tab(&server.maria, "maria-2").await;
    let call = call_id(
        &ivan
            .done("start_call", json!({"chatId": server.direct, "type": "audio"}))
            .await,
    );
    first.event("incoming_call").await;
    second.event("incoming_call").await;
    first.done("accept_call", json!({"callId": call})).await;
    assert_eq!(second.event("call_answered_elsewhere").await["device"], "maria-1");
    let refused = second.ask("join_call", json!({"callId": call})).await;
    assert_eq!(refused["err"]["code"], "ANSWERED_ELSEWHERE", "{refused}");
    second
        .done("join_call", json!({"callId": call, "takeover": true}))
        .await;
    assert_eq!(first.event("seat_moved").await["device"], "maria-2");
    second
        .done("media_offer", json!({"callId": call, "offerId": "1", "sdp": "v=0"}))
        .await;
    let late = first
        .ask("media_offer", json!({"callId": call, "offerId": "1", "sdp": "v=0"}))
        .await;
    assert_eq!(late["err"]["code"], "FORBIDDEN", "{late}");
}

#[tokio::test]
async fn a_moderators_mute_reaches_the_media_plane_and_its_victim() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut anna = server.tab(&server.anna, "anna-1").await;
    let call = call_id(
        &ivan
            .done("start_call", json!({"chatId": server.group, "type": "audio"}))
            .await,
    );
    anna.event("incoming_call").await;
    anna.done("accept_call", json!({"callId": call})).await;
    anna.done("unmute", json!({"callId": call, "source": "mic"})).await;
    ivan.done("mute", json!({"callId": call, "userId": server.anna, "source": "mic"}))
        .await;
    assert_eq!(anna.event("muted").await["by"]["name"], "Иван");
    let seat = MediaSeat {
        room: call.clone(),
        participant: server.anna.clone(),
    };
    server
        .media
        .was_told(|t| matches!(t, Told::Blocked(s, _, true) if *s == seat))
        .await;
    let refused = anna.ask("unmute", json!({"callId": call, "source": "mic"})).await;
    assert_eq!(refused["err"]["code"], "FORBIDDEN", "{refused}");
}

#[tokio::test]
async fn a_leaver_takes_their_transport_along_and_people_outside_see_the_count() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut maria = server.tab(&server.maria, "maria-1").await;
    let mut anna = server.tab(&server.anna, "anna-1").await;
    let call = call_id(
        &ivan
            .done("start_call", json!({"chatId": server.group, "type": "audio"}))
            .await,
    );
    for tab in [&mut maria, &mut anna] {
        tab.event("incoming_call").await;
        tab.done("accept_call", json!({"callId": call})).await;
    }
    anna.done("leave_call", json!({"callId": call})).await;
    let seat = MediaSeat {
        room: call.clone(),
        participant: server.anna.clone(),
    };
    server.media.was_told(|t| *t == Told::Leave(seat.clone())).await;
    assert_eq!(ivan.event("call_participant_left").await["userId"], json!(server.anna));
    let counted = |f: &Value| f["op"] == "call_updated" && f["d"]["activeCall"]["count"] == 2;
    anna.wait("a count of 2", counted).await;
    let details = server
        .request(
            "GET",
            &format!("/api/v1/calls/{call}"),
            &[("authorization", &format!("Bearer {}", server.token(&server.anna)))],
            "",
        )
        .await;
    assert_eq!(details.status, 200, "{}", details.body);
    assert_eq!(details.json()["participants"].as_array().unwrap().len(), 3);
}
