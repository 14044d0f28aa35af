//! WHIP and WHEP over real HTTP, with the media plane's part written down.

use crate::common::{Answer, Server, Told};
use serde_json::json;
use signaling::auth::Grant;
use signaling::media::{MediaEvent, MediaSeat, SlotPolicy};

const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

async fn post(server: &Server, path: &str, token: &str, sdp: &str) -> Answer {
    server
        .request("POST", path, &[SDP, ("authorization", &format!("Bearer {token}"))], sdp)
        .await
}

async fn published(server: &Server) -> (String, String, MediaSeat) {
    let token = server.room_token("demo", "cam", &[Grant::Publish]);
    let answer = post(server, "/whip/demo", &token, "v=0\r\n").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let told = server
        .media
        .was_told(|t| matches!(t, Told::Offer(s, ..) if s.participant == "cam".into()))
        .await;
    let Told::Offer(seat, _, true, false) = told else {
        panic!("{told:?}")
    };
    (token, answer.header("location").to_owned(), seat)
}

#[tokio::test]
async fn a_publisher_gets_an_answer_a_location_and_an_etag_and_ends_with_delete() {
    let server = Server::start().await;
    let token = server.room_token("demo", "cam", &[Grant::Publish]);
    let answer = post(&server, "/whip/demo", &token, "v=0\r\n").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (201, "application/sdp"),
        "{}",
        answer.body
    );
    assert!(answer.body.starts_with("v=0"));
    assert_eq!(answer.header("etag"), "\"first\"");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let location = answer.header("location").to_owned();
    assert!(location.starts_with("/whip/demo/"), "{location}");
    let again = post(&server, "/whip/demo", &token, "v=0\r\n").await;
    assert_eq!(again.status, 409, "one session for one name");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(server.request("DELETE", &location, &headers, "").await.status, 200);
    server
        .media
        .was_told(|t| matches!(t, Told::Leave(s) if s.participant == "cam".into()))
        .await;
    assert_eq!(server.request("DELETE", &location, &headers, "").await.status, 404);
    assert_eq!(
        post(&server, "/whip/demo", &token, "v=0\r\n").await.status,
        201,
        "the name is free again"
    );
}

#[tokio::test]
async fn a_viewer_fills_its_slots_or_names_whom_it_wants() {
    let server = Server::start().await;
    let (_, _, seat) = published(&server).await;
    let token = server.room_token("demo", "cam", &[Grant::Subscribe]);
    for (path, slots) in [
        ("/whep/demo", SlotPolicy::Fill),
        (
            "/whep/demo?publishers=cam,b",
            SlotPolicy::Publishers(vec!["cam".into(), "b".into()]),
        ),
    ] {
        assert_eq!(post(&server, path, &token, "v=0\r\n").await.status, 201);
        let fits = |t: &Told| matches!(t, Told::Offer(s, p, false, true) if s.room == seat.room && *p == slots);
        server.media.was_told(fits).await;
    }
    assert_eq!(
        post(&server, "/whep/demo?publishers=", &token, "v=0\r\n").await.status,
        400
    );
}

#[tokio::test]
async fn without_the_right_nothing_is_opened() {
    let server = Server::start().await;
    let publish = server.room_token("demo", "cam", &[Grant::Publish]);
    let watch = server.room_token("demo", "cam", &[Grant::Subscribe]);
    let other = server.room_token("other", "cam", &[Grant::Publish]);
    let user = server.token(&server.ivan);
    for (path, token, status) in [
        ("/whip/demo", "nonsense", 401),
        ("/whip/demo", &watch, 403),
        ("/whep/demo", &publish, 403),
        ("/whip/demo", &other, 403),
        ("/whip/demo", &user, 403),
    ] {
        assert_eq!(post(&server, path, token, "v=0\r\n").await.status, status, "{path}");
    }
    assert_eq!(
        server.request("POST", "/whip/demo", &[SDP], "v=0\r\n").await.status,
        401
    );
    let bearer = format!("Bearer {publish}");
    let plain = [("content-type", "text/plain"), ("authorization", bearer.as_str())];
    assert_eq!(
        server.request("POST", "/whip/demo", &plain, "v=0\r\n").await.status,
        415
    );
    let huge = "v=0".repeat(200_000);
    assert_eq!(post(&server, "/whip/demo", &publish, &huge).await.status, 413);
    let refused = post(&server, "/whip/demo", &publish, "hello").await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("SDP_REJECTED")));
    assert!(!server.media.all().iter().any(|t| matches!(t, Told::Offer(..))));
    assert_eq!(
        post(&server, "/whip/demo", &publish, "v=0\r\n").await.status,
        201,
        "a refusal holds no name"
    );
    let options = server.request("OPTIONS", "/whip/demo", &[], "").await;
    assert_eq!(
        (options.status, options.header("accept-post")),
        (204, "application/sdp")
    );
    assert_eq!(server.request("GET", "/whip/demo", &[], "").await.status, 405);
}

#[tokio::test]
async fn ice_is_restarted_by_patch_and_candidates_are_taken_politely() {
    let server = Server::start().await;
    let (token, location, _) = published(&server).await;
    let bearer = format!("Bearer {token}");
    let patch = async |etag: Option<&str>, body: &str| {
        let mut headers = vec![FRAGMENT, ("authorization", bearer.as_str())];
        headers.extend(etag.map(|e| ("if-match", e)));
        server.request("PATCH", &location, &headers, body).await
    };
    assert_eq!(patch(None, "a=candidate:1\r\n").await.status, 428);
    assert_eq!(patch(Some("\"first\""), "a=candidate:1\r\n").await.status, 204);
    assert_eq!(patch(Some("\"stale\""), "a=candidate:1\r\n").await.status, 412);
    let fragment = "a=ice-ufrag:mine\r\na=ice-pwd:secret\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
    let restarted = patch(Some("*"), fragment).await;
    assert_eq!(
        (restarted.status, restarted.header("etag")),
        (200, "\"second\""),
        "{}",
        restarted.body
    );
    assert_eq!(restarted.header("content-type"), "application/trickle-ice-sdpfrag");
    for line in [
        "a=ice-ufrag:second",
        "a=ice-pwd:again",
        "a=mid:0",
        "a=candidate:1 1 udp 1 192.0.2.1 7882 typ host",
    ] {
        assert!(restarted.body.contains(line), "{line} is missing: {}", restarted.body);
    }
    assert_eq!(
        patch(Some("\"first\""), "a=candidate:1\r\n").await.status,
        412,
        "the old ICE session is over"
    );
    assert_eq!(patch(Some("*"), "nothing\r\n").await.status, 400);
    let thief = format!("Bearer {}", server.room_token("demo", "thief", &[Grant::Publish]));
    assert_eq!(
        server
            .request("DELETE", &location, &[("authorization", &thief)], "")
            .await
            .status,
        403
    );
    assert_eq!(server.request("DELETE", &location, &[], "").await.status, 401);
    assert_eq!(server.request("PUT", &location, &[], "").await.status, 405);
}

#[tokio::test]
async fn a_session_ends_with_its_media() {
    let server = Server::start().await;
    let (token, location, seat) = published(&server).await;
    server.media.say(MediaEvent::Connected(seat.clone())).await;
    server.media.say(MediaEvent::Closed(seat.clone())).await;
    server.media.was_told(|t| *t == Told::Leave(seat.clone())).await;
    let bearer = format!("Bearer {token}");
    assert_eq!(
        server
            .request("DELETE", &location, &[("authorization", &bearer)], "")
            .await
            .status,
        404
    );
}
