//! History over REST: chats, messages, calls, what is unread and unseen.

use crate::common::{Answer, Server, Socket};
use serde_json::{Value, json};
use signaling::ids::UserId;

const JSON: (&str, &str) = ("content-type", "application/json");

async fn get(server: &Server, user: &UserId, path: &str) -> Answer {
    let bearer = format!("Bearer {}", server.token(user));
    server.request("GET", path, &[("authorization", &bearer)], "").await
}

async fn post(server: &Server, user: &UserId, path: &str, key: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {}", server.token(user));
    let headers = [("authorization", bearer.as_str()), JSON, ("idempotency-key", key)];
    server.request("POST", path, &headers, &body.to_string()).await
}

/// ivan rings maria in their direct chat; she answers, and he ends it.
async fn talk(server: &Server, ivan: &mut Socket, maria: &mut Socket) -> String {
    let made = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "audio"}))
        .await;
    maria.done("accept_call", json!({"callId": made["callId"]})).await;
    ivan.done("end_call", json!({"callId": made["callId"]})).await;
    made["callId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_text_by_rest_is_one_text_however_often_it_is_sent() {
    let server = Server::start().await;
    let mut maria = server.tab(&server.maria, "m").await;
    let path = format!("/api/v1/chats/{}/messages", server.direct);
    let body = json!({"content": "Созвонимся?"});
    let first = post(&server, &server.ivan, &path, "key-1", body.clone()).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let again = post(&server, &server.ivan, &path, "key-1", body.clone()).await;
    assert_eq!((again.status, again.json()), (201, first.json()));
    assert_eq!(maria.event("message").await["id"], first.json()["id"]);
    let page = get(&server, &server.maria, &path).await.json();
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    let other = post(
        &server,
        &server.ivan,
        &format!("/api/v1/chats/{}/read", server.direct),
        "key-1",
        json!({}),
    )
    .await;
    assert_eq!(other.status, 400, "the key was used for something else: {}", other.body);
    for (key, body) in [
        ("k 2", json!({"content": "x"})),
        ("k3", json!({"content": " "})),
        ("k4", json!({"content": 7})),
    ] {
        assert_eq!(post(&server, &server.ivan, &path, key, body).await.status, 400);
    }
    assert_eq!(
        post(&server, &server.anna, &path, "k5", json!({"content": "x"}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn chats_count_what_is_unread_until_it_is_marked() {
    let server = Server::start().await;
    let mut maria = server.tab(&server.maria, "m").await;
    let path = format!("/api/v1/chats/{}", server.direct);
    for n in 0..3 {
        let body = json!({"content": format!("{n}")});
        post(
            &server,
            &server.ivan,
            &format!("{path}/messages"),
            &format!("k{n}"),
            body,
        )
        .await;
    }
    let chats = get(&server, &server.maria, "/api/v1/chats").await.json();
    assert_eq!(chats["chats"][0]["id"], json!(server.direct), "newest first");
    assert_eq!(chats["chats"][0]["unread"], 3);
    let second = maria
        .wait("the second text", |f| f["op"] == "message" && f["d"]["content"] == "1")
        .await;
    let upto = json!({"upTo": second["d"]["id"]});
    let marked = post(&server, &server.maria, &format!("{path}/read"), "r1", upto).await;
    assert_eq!(marked.json(), json!({"unread": 1}), "{}", marked.body);
    assert_eq!(maria.event("chat_updated").await["unread"], 1, "her tabs are told");
    assert_eq!(get(&server, &server.maria, &path).await.json()["unread"], 1);
    assert_eq!(get(&server, &server.anna, &path).await.status, 404);
}

#[tokio::test]
async fn the_history_of_calls_has_pages_filters_and_missed_calls() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "i").await;
    let mut maria = server.tab(&server.maria, "m").await;
    let talked = talk(&server, &mut ivan, &mut maria).await;
    let made = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "video"}))
        .await;
    ivan.done("end_call", json!({"callId": made["callId"]})).await;
    let missed = made["callId"].as_str().unwrap();

    let page = get(&server, &server.maria, "/api/v1/calls?limit=1").await.json();
    assert_eq!(page["unseen"], 1, "{page}");
    let first = &page["calls"][0];
    assert_eq!(
        (
            &first["callId"],
            &first["mine"],
            &first["seen"],
            &first["type"],
            &first["endReason"]
        ),
        (
            &json!(missed),
            &json!("missed"),
            &json!(false),
            &json!("video"),
            &json!("caller_cancelled")
        )
    );
    assert_eq!(first["initiator"]["name"], "Иван");
    let rest = get(
        &server,
        &server.maria,
        &format!("/api/v1/calls?cursor={}", page["next"].as_str().unwrap()),
    )
    .await;
    let rest = rest.json();
    assert_eq!(
        (&rest["calls"][0]["callId"], &rest["next"]),
        (&json!(talked), &Value::Null)
    );
    for (query, found) in [
        ("missed=true", 1),
        ("direction=incoming", 2),
        ("direction=outgoing", 0),
        ("type=audio", 1),
        ("status=ended", 1),
        ("since=2020-01-01T00:00:00Z", 2),
        ("until=2020-01-01T00:00:00Z", 0),
        (&format!("chatId={}", server.group), 0),
    ] {
        let page = get(&server, &server.maria, &format!("/api/v1/calls?{query}"))
            .await
            .json();
        assert_eq!(page["calls"].as_array().map(Vec::len), Some(found), "{query}: {page}");
    }
    for wrong in ["limit=x", "status=over", "cursor=!", "since=yesterday", "unknown=1"] {
        let answer = get(&server, &server.maria, &format!("/api/v1/calls?{wrong}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, "application/problem+json"),
            "{wrong}"
        );
    }
    let marked = post(&server, &server.maria, "/api/v1/calls/seen", "s1", json!({})).await;
    assert_eq!(marked.json(), json!({"unseen": 0}), "{}", marked.body);
    assert_eq!(maria.event("calls_seen").await["unseen"], 0);
}

#[tokio::test]
async fn the_details_of_a_call_have_everybodys_stays() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "i").await;
    let mut maria = server.tab(&server.maria, "m").await;
    let made = ivan
        .done("start_call", json!({"chatId": server.group, "type": "video"}))
        .await;
    let call = json!({"callId": made["callId"]});
    maria.done("accept_call", call.clone()).await;
    maria.done("leave_call", call.clone()).await;
    maria.done("join_call", call.clone()).await;
    let text = json!({"chatId": server.group, "content": "in the call", "callId": made["callId"]});
    maria.done("send_message", text).await;
    ivan.done("end_call", call).await;
    let path = format!("/api/v1/calls/{}", made["callId"].as_str().unwrap());
    let details = get(&server, &server.anna, &path).await.json();
    let of = |user: &UserId| {
        let people = details["participants"].as_array().unwrap();
        people.iter().find(|p| p["user"]["id"] == json!(user)).unwrap().clone()
    };
    let stays = of(&server.maria)["stays"].clone();
    let reasons: Vec<&Value> = stays.as_array().unwrap().iter().map(|s| &s["reason"]).collect();
    assert_eq!(reasons, [&json!("left"), &json!("call_ended")], "{details}");
    assert!(stays[0]["leftAt"].as_str() <= stays[1]["joinedAt"].as_str());
    assert_eq!(
        (of(&server.anna)["status"].clone(), of(&server.anna)["stays"].clone()),
        (json!("missed"), json!([]))
    );
    let written = get(&server, &server.anna, &format!("{path}/messages")).await.json();
    assert_eq!(written["messages"][0]["content"], "in the call");
    let stranger = server
        .service
        .store()
        .create_local_user("eve", "Eve", "x")
        .await
        .unwrap()
        .id;
    assert_eq!(get(&server, &stranger, &path).await.status, 404);
    assert_eq!(get(&server, &stranger, &format!("{path}/messages")).await.status, 404);
}

#[tokio::test]
async fn a_token_for_one_room_reads_no_other_history() {
    let server = Server::start().await;
    let token = server.room_token("standup", "guest", &[signaling::auth::Grant::Subscribe]);
    let bearer = format!("Bearer {token}");
    let ask = async |path: &str| {
        server
            .request("GET", path, &[("authorization", bearer.as_str())], "")
            .await
    };
    assert_eq!(ask("/api/v1/calls").await.status, 403);
    assert_eq!(ask(&format!("/api/v1/calls?chatId={}", server.group)).await.status, 404);
    assert_eq!(ask("/api/v1/chats").await.json(), json!({"chats": []}));
}
