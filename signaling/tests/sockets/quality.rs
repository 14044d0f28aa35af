//! From the media plane's word about a connection to the call's record, over real sockets.

use std::time::{Duration, Instant};

use crate::common::{Server, Socket, Told};
use serde_json::{Value, json};
use signaling::ids::{CallId, UserId};
use signaling::media::{MediaEvent, MediaSeat};
use signaling::protocol::{MediaSource, QualityReason, StreamQuality};

/// Ivan calls Maria, whose phone rings.
async fn ringing(server: &Server) -> (Socket, Socket, CallId) {
    let mut ivan = server.tab(&server.ivan, "i").await;
    let maria = server.tab(&server.maria, "m").await;
    let made = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "video"}))
        .await;
    let call = CallId(made["callId"].as_str().unwrap().to_owned());
    (ivan, maria, call)
}

fn seat(call: &CallId, user: &UserId) -> MediaSeat {
    MediaSeat {
        room: call.clone(),
        participant: user.clone(),
    }
}

#[tokio::test]
async fn a_sender_says_that_their_processor_limits_them_and_a_viewer_is_told_which_stream_it_is() {
    let server = Server::start().await;
    let (mut ivan, mut maria, call) = ringing(&server).await;
    let limited = json!({"callId": call, "source": "camera", "cpu": true});
    let refused = maria.ask("limited", limited.clone()).await;
    assert_eq!(refused["err"]["code"], "FORBIDDEN", "no seat yet");
    maria.done("accept_call", json!({"callId": call})).await;
    maria.done("limited", limited).await;
    let seat = |user| seat(&call, user);
    let said = Told::Limited(seat(&server.maria), MediaSource::Camera, true);
    server.media.was_told(|told| *told == said).await;

    let stream = StreamQuality {
        mid: "9".to_owned(),
        user_id: server.maria.clone(),
        source: MediaSource::Camera,
        score: 3,
        reason: QualityReason::Cpu,
    };
    let good = MediaEvent::Quality(seat(&server.ivan), 4, None, vec![stream]);
    server.media.say(good).await;
    let told = ivan.event("quality").await;
    assert_eq!((&told["score"], &told["reason"]), (&json!(4), &Value::Null));
    let expected = json!([{"mid": "9", "userId": server.maria, "source": "camera", "score": 3, "reason": "cpu"}]);
    assert_eq!(told["streams"], expected);
}

#[tokio::test]
async fn the_details_of_a_call_say_whose_connection_was_poor_and_why() {
    let server = Server::start().await;
    let (mut ivan, mut maria, call) = ringing(&server).await;
    maria.done("accept_call", json!({"callId": call})).await;
    let seat = |user| seat(&call, user);
    for user in [&server.ivan, &server.maria] {
        server.media.say(MediaEvent::Connected(seat(user))).await;
    }
    let poor = MediaEvent::Quality(seat(&server.ivan), 2, Some(QualityReason::Loss), Vec::new());
    server.media.say(poor).await;
    assert_eq!(ivan.event("quality").await["reason"], "loss");
    ivan.done("end_call", json!({"callId": call})).await;

    let bearer = format!("Bearer {}", server.token(&server.maria));
    let path = format!("/api/v1/calls/{call}");
    let deadline = Instant::now() + Duration::from_secs(40);
    let minutes = loop {
        let details = server
            .request("GET", &path, &[("authorization", &bearer)], "")
            .await
            .json();
        let of = |user: &UserId| -> Vec<Value> {
            let people = details["participants"].as_array().unwrap();
            let found = people
                .iter()
                .find(|person| person["user"]["id"] == json!(user))
                .unwrap();
            found["quality"].as_array().unwrap().clone()
        };
        let (ivan, maria) = (of(&server.ivan), of(&server.maria));
        if !ivan.is_empty() && !maria.is_empty() {
            break [ivan, maria];
        }
        assert!(Instant::now() < deadline, "nothing was written: {details}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let [ivan, maria] = &minutes;
    assert!(
        ivan.iter()
            .any(|minute| minute["poorMs"].as_u64() > Some(0) && minute["reason"] == "loss"),
        "{ivan:?}"
    );
    assert!(
        maria
            .iter()
            .all(|minute| minute["reason"].is_null() && minute["poorMs"] == 0),
        "{maria:?}"
    );
}
