//! From the media plane's word about a connection to the call's record, over real sockets.

use std::time::{Duration, Instant};

use crate::common::Server;
use serde_json::{Value, json};
use signaling::ids::CallId;
use signaling::media::{MediaEvent, MediaSeat};
use signaling::protocol::QualityReason;

#[tokio::test]
async fn the_details_of_a_call_say_whose_connection_was_poor_and_why() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "i").await;
    let mut maria = server.tab(&server.maria, "m").await;
    let made = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "video"}))
        .await;
    maria.done("accept_call", json!({"callId": made["callId"]})).await;
    let call = CallId(made["callId"].as_str().unwrap().to_owned());
    let seat = |user: &signaling::ids::UserId| MediaSeat {
        room: call.clone(),
        participant: user.clone(),
    };
    for user in [&server.ivan, &server.maria] {
        server.media.say(MediaEvent::Connected(seat(user))).await;
    }
    let poor = MediaEvent::Quality(seat(&server.ivan), 2, Some(QualityReason::Loss));
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
        let of = |user: &signaling::ids::UserId| -> Vec<Value> {
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
