//! Rooms by link, their waiting list, and who moderates them, over REST and sockets.

use serde_json::{Value, json};
use signaling::auth::Grant;

use crate::common::{Answer, Server, Socket, Told};

pub(crate) async fn send(server: &Server, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    server.request(method, path, &headers, &body.to_string()).await
}

pub(crate) async fn ok(server: &Server, method: &str, path: &str, token: Option<&str>, body: Value) -> Value {
    let answer = send(server, method, path, token, &body).await;
    assert!(
        answer.status < 300,
        "{method} {path}: {} {}",
        answer.status,
        answer.body
    );
    if answer.body.is_empty() {
        Value::Null
    } else {
        answer.json()
    }
}

pub(crate) async fn refused(
    server: &Server,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Value,
) -> (u16, String) {
    let answer = send(server, method, path, token, &body).await;
    assert!(
        answer.status >= 400,
        "{method} {path}: {} {}",
        answer.status,
        answer.body
    );
    (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
}

/// A room of ivan's with a waiting list, in which he sits; its name, its chat, its call.
pub(crate) async fn meeting(server: &Server, ivan: &mut Socket) -> (String, String, String) {
    let token = server.token(&server.ivan);
    let room = ok(server, "POST", "/api/v1/rooms", Some(&token), json!({"lobby": true})).await;
    let (name, chat) = (text(&room["name"]), text(&room["chat"]["id"]));
    assert_eq!(room["url"], format!("/r/{name}"));
    assert_eq!(
        (&room["chat"]["type"], &room["chat"]["lobby"]),
        (&json!("room"), &json!(true))
    );
    let created = ivan.done("start_call", json!({"chatId": chat, "type": "video"})).await;
    (name, chat, text(&created["callId"]))
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

pub(crate) async fn guest(server: &Server, token: &str, device: &str) -> Socket {
    let mut socket = Socket::open(server.address).await;
    socket.hello(token, device, Value::Null).await;
    socket.event("snapshot").await;
    socket
}

#[tokio::test]
async fn a_room_is_entered_by_its_link_and_its_lobby_can_be_opened() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut maria = server.tab(&server.maria, "maria-1").await;
    let (name, chat, call) = meeting(&server, &mut ivan).await;
    assert_eq!(
        maria.ask("join_call", json!({"callId": call})).await["err"]["code"],
        "NOT_FOUND",
        "who has no link knows of nothing"
    );
    let token = server.token(&server.maria);
    let enter = format!("/api/v1/rooms/{name}/enter");
    let entered = ok(&server, "POST", &enter, Some(&token), Value::Null).await;
    let told = maria.event("chat_updated").await;
    assert_eq!(told["id"], chat, "her pages are open already");
    assert_eq!(
        (
            &entered["chat"]["activeCall"]["count"],
            &entered["chat"]["activeCall"]["callId"]
        ),
        (&json!(1), &json!(call))
    );
    assert_eq!(
        maria.ask("join_call", json!({"callId": call})).await["err"]["code"],
        "ROOM_LOCKED"
    );
    maria.done("join_call", json!({"callId": call, "wait": true})).await;
    ivan.event("waiting_list").await;
    let whom = json!({"callId": call, "userId": server.maria});
    ivan.done("deny", whom).await;
    maria.wait("the refusal", |f| f["d"]["status"] == "denied").await;

    let ivans = server.token(&server.ivan);
    let path = format!("/api/v1/rooms/{name}");
    ok(&server, "PATCH", &path, Some(&ivans), json!({"lobby": false})).await;
    assert_eq!(
        maria.done("join_call", json!({"callId": call})).await["outcome"],
        "joined"
    );
    ivan.done("lock", json!({"callId": call})).await;
    let locked = maria.event("call_locked").await;
    assert_eq!(
        (&locked["locked"], &locked["by"]["name"]),
        (&json!(true), &json!("Иван"))
    );
    assert_eq!(
        refused(
            &server,
            "POST",
            "/api/v1/rooms/no-such-room/enter",
            Some(&token),
            Value::Null
        )
        .await
        .0,
        404
    );
    let _ = chat;
}

#[tokio::test]
async fn a_kick_ends_what_somebody_publishes_without_a_seat_and_keeps_them_out() {
    let server = Server::start().await;
    let owner = server.room_token("studio", "boss", &[Grant::Publish, Grant::Subscribe, Grant::Moderate]);
    let mut boss = guest(&server, &owner, "boss-1").await;
    let chat = server.app_room("studio").await;
    let created = boss.done("start_call", json!({"chatId": chat, "type": "video"})).await;
    let camera = server.room_token("studio", "cam", &[Grant::Publish]);
    let bearer = format!("Bearer {camera}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
    assert_eq!(
        server.request("POST", "/whip/studio", &headers, "v=0\r\n").await.status,
        201
    );
    boss.event("call_participant_joined").await;
    boss.done("kick", json!({"callId": created["callId"], "userId": "cam"}))
        .await;
    server
        .media
        .was_told(|t| matches!(t, Told::Leave(s) if s.participant == "cam".into()))
        .await;
    let left = boss.event("call_participant_left").await;
    assert_eq!(left["userId"], "cam");
    let again = server.request("POST", "/whip/studio", &headers, "v=0\r\n").await;
    assert_eq!((again.status, again.json()["code"].clone()), (403, json!("KICKED")));
}

#[tokio::test]
async fn a_locked_call_takes_no_publisher_and_no_viewer_either() {
    let server = Server::start().await;
    let owner = server.room_token("studio", "boss", &[Grant::Publish, Grant::Subscribe, Grant::Moderate]);
    let mut boss = guest(&server, &owner, "boss-1").await;
    let chat = server.app_room("studio").await;
    let created = boss.done("start_call", json!({"chatId": chat, "type": "video"})).await;
    boss.done("lock", json!({"callId": created["callId"]})).await;
    let token = server.room_token("studio", "cam", &[Grant::Publish, Grant::Subscribe]);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/sdp")];
    for path in ["/whip/studio", "/whep/studio"] {
        let answer = server.request("POST", path, &headers, "v=0\r\n").await;
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (403, json!("ROOM_LOCKED")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_tab_that_goes_away_waits_no_longer() {
    let sockets = signaling::ws::SocketConfig {
        seat_lost_ms: 100,
        ..Default::default()
    };
    let server = Server::with(crate::common::Options {
        sockets,
        ..Default::default()
    })
    .await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut maria = server.tab(&server.maria, "maria-1").await;
    let (name, _, call) = meeting(&server, &mut ivan).await;
    let token = server.token(&server.maria);
    ok(
        &server,
        "POST",
        &format!("/api/v1/rooms/{name}/enter"),
        Some(&token),
        Value::Null,
    )
    .await;
    maria.done("join_call", json!({"callId": call, "wait": true})).await;
    assert_eq!(ivan.event("waiting_list").await["waiting"].as_array().unwrap().len(), 1);
    maria.cut();
    assert_eq!(ivan.event("waiting_list").await["waiting"], json!([]));
}

#[tokio::test]
async fn an_owner_makes_admins_who_moderate_and_nobody_else_does() {
    let server = Server::start().await;
    let (ivan, maria) = (server.token(&server.ivan), server.token(&server.maria));
    let mut anna = server.tab(&server.anna, "anna-1").await;
    let mut second = server.tab(&server.maria, "maria-1").await;
    let created = anna
        .done("start_call", json!({"chatId": server.group, "type": "audio"}))
        .await;
    let call = &created["callId"];
    second.done("accept_call", json!({"callId": call})).await;
    let mute = json!({"callId": call, "userId": server.anna, "source": "mic"});
    assert_eq!(second.ask("mute", mute.clone()).await["err"]["code"], "FORBIDDEN");

    let of = |user: &signaling::ids::UserId| format!("/api/v1/chats/{}/members/{user}", server.group);
    let (marias, annas, ivans) = (of(&server.maria), of(&server.anna), of(&server.ivan));
    for (token, path, role, status) in [
        (&maria, &annas, "admin", 403),
        (&ivan, &ivans, "member", 403),
        (&ivan, &marias, "owner", 403),
        (&ivan, &marias, "king", 400),
    ] {
        let refusal = refused(&server, "PUT", path, Some(token), json!({"role": role})).await;
        assert_eq!(refusal.0, status, "{path} {role}");
    }
    let stranger = format!("/api/v1/chats/{}/members/nobody", server.group);
    let refusal = refused(&server, "PUT", &stranger, Some(&ivan), json!({"role": "admin"})).await;
    assert_eq!(refusal, (404, "NOT_FOUND".into()));

    let chat = ok(&server, "PUT", &marias, Some(&ivan), json!({"role": "admin"})).await;
    let roles = chat["members"].as_array().unwrap();
    assert!(
        roles
            .iter()
            .any(|m| m["id"] == json!(server.maria) && m["role"] == "admin"),
        "{chat}"
    );
    second.event("chat_updated").await;
    second.done("mute", mute).await;
    assert_eq!(anna.event("muted").await["by"]["name"], "Мария");
}
