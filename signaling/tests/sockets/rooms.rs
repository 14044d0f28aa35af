//! Rooms by link, the waiting list and guests, over REST and sockets.

use serde_json::{Value, json};
use signaling::auth::Grant;

use crate::common::{Answer, Server, Socket, Told};

async fn send(server: &Server, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    server.request(method, path, &headers, &body.to_string()).await
}

async fn ok(server: &Server, method: &str, path: &str, token: Option<&str>, body: Value) -> Value {
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

async fn refused(server: &Server, method: &str, path: &str, token: Option<&str>, body: Value) -> (u16, String) {
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
async fn meeting(server: &Server, ivan: &mut Socket) -> (String, String, String) {
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

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

async fn guest(server: &Server, token: &str, device: &str) -> Socket {
    let mut socket = Socket::open(server.address).await;
    socket.hello(token, device, Value::Null).await;
    socket.event("snapshot").await;
    socket
}

#[tokio::test]
async fn a_guest_comes_by_a_link_waits_is_let_in_and_moderates_nobody() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let (name, chat, call) = meeting(&server, &mut ivan).await;
    let token = server.token(&server.ivan);
    let path = format!("/api/v1/rooms/{name}/invites");
    let invite = ok(
        &server,
        "POST",
        &path,
        Some(&token),
        json!({"maxUses": 2, "password": "swordfish"}),
    )
    .await;
    let code = text(&invite["code"]);
    assert_eq!(invite["url"], format!("/r/{name}#{code}"));

    let look = ok(&server, "POST", "/api/v1/invites/look", None, json!({"code": code})).await;
    assert_eq!(
        (&look["room"], &look["passwordNeeded"], &look["lobby"]),
        (&json!(name), &json!(true), &json!(true))
    );
    let enter = |password: &str| json!({"code": code, "name": " Олена ", "password": password});
    for wrong in ["", "Swordfish"] {
        let refusal = refused(&server, "POST", "/api/v1/invites/enter", None, enter(wrong)).await;
        assert_eq!(refusal, (401, "UNAUTHENTICATED".into()));
    }
    let entered = ok(&server, "POST", "/api/v1/invites/enter", None, enter("swordfish")).await;
    assert_eq!(
        (&entered["user"]["name"], &entered["chat"]),
        (&json!("Олена"), &json!(chat))
    );

    let mut olena = guest(&server, &text(&entered["token"]), "olena-1").await;
    let refusal = olena.ask("join_call", json!({"callId": call})).await;
    assert_eq!(refusal["err"]["code"], "ROOM_LOCKED");
    let waits = olena.done("join_call", json!({"callId": call, "wait": true})).await;
    assert_eq!(waits["outcome"], "waiting");
    assert_eq!(olena.event("waiting_status").await["status"], "waiting");
    let list = ivan.event("waiting_list").await;
    assert_eq!(
        (&list["waiting"][0]["name"], &list["waiting"][0]["guest"]),
        (&json!("Олена"), &json!(true))
    );
    let whom = json!({"callId": call, "userId": entered["user"]["id"]});
    assert_eq!(
        olena.ask("admit", whom.clone()).await["err"]["code"],
        "FORBIDDEN",
        "nobody lets themselves in"
    );
    ivan.done("admit", whom.clone()).await;
    let admitted = olena.wait("the admission", |f| f["d"]["status"] == "admitted").await;
    assert_eq!(admitted["d"]["by"]["name"], "Иван");
    assert_eq!(
        olena.done("join_call", json!({"callId": call})).await["outcome"],
        "joined"
    );
    assert_eq!(olena.event("roster").await["participants"].as_array().unwrap().len(), 2);

    let invites = olena
        .ask("invite", json!({"callId": call, "userId": server.maria}))
        .await;
    assert_eq!(invites["err"]["code"], "FORBIDDEN");
    let kicks = olena.ask("kick", json!({"callId": call, "userId": server.ivan})).await;
    assert_eq!(kicks["err"]["code"], "FORBIDDEN");
    assert_eq!(
        olena
            .ask("start_call", json!({"chatId": server.direct, "type": "audio"}))
            .await["err"]["code"],
        "FORBIDDEN",
        "a guest's token reaches one room"
    );

    ivan.done("kick", whom).await;
    assert_eq!(olena.event("kicked").await["by"]["name"], "Иван");
    for wait in [false, true] {
        let back = olena.ask("join_call", json!({"callId": call, "wait": wait})).await;
        assert_eq!(back["err"]["code"], "KICKED");
    }
}

#[tokio::test]
async fn a_guest_link_ends_with_its_uses_its_time_or_its_owners_word() {
    let server = Server::start().await;
    let token = server.token(&server.ivan);
    let room = ok(
        &server,
        "POST",
        "/api/v1/rooms",
        Some(&token),
        json!({"name": "planning"}),
    )
    .await;
    assert_eq!(
        room["chat"]["lobby"], true,
        "a name that can be guessed has a waiting list"
    );
    let taken = refused(
        &server,
        "POST",
        "/api/v1/rooms",
        Some(&token),
        json!({"name": "planning"}),
    )
    .await;
    assert_eq!(taken, (409, "EXISTS".into()));
    let path = "/api/v1/rooms/planning/invites";
    let code = |invite: &Value| text(&invite["code"]);
    let enter = |code: String| json!({"code": code, "name": "Guest"});

    let once = code(&ok(&server, "POST", path, Some(&token), json!({"maxUses": 1})).await);
    let body = enter(once);
    let both = tokio::join!(
        send(&server, "POST", "/api/v1/invites/enter", None, &body),
        send(&server, "POST", "/api/v1/invites/enter", None, &body),
    );
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410], "one use is one guest");

    let brief = code(&ok(&server, "POST", path, Some(&token), json!({"expiresInSeconds": 1})).await);
    let gone = async {
        loop {
            let answer = send(&server, "POST", "/api/v1/invites/look", None, &json!({"code": brief})).await;
            if answer.status == 410 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(crate::common::SOON, gone)
        .await
        .expect("the link does not expire");

    let third = ok(&server, "POST", path, Some(&token), json!({})).await;
    let listed = ok(&server, "GET", path, Some(&token), Value::Null).await;
    assert_eq!(listed["invites"].as_array().unwrap().len(), 3);
    assert!(listed["invites"][0].get("code").is_none(), "{listed}");
    let one = format!("{path}/{}", text(&third["id"]));
    ok(&server, "DELETE", &one, Some(&token), Value::Null).await;
    let refusal = refused(&server, "POST", "/api/v1/invites/enter", None, enter(code(&third))).await;
    assert_eq!(refusal, (410, "GONE".into()));
    assert_eq!(refused(&server, "DELETE", &one, Some(&token), Value::Null).await.0, 404);

    let maria = server.token(&server.maria);
    for (method, path, body) in [
        ("POST", path, json!({})),
        ("GET", path, Value::Null),
        ("PATCH", "/api/v1/rooms/planning", json!({"lobby": false})),
    ] {
        assert_eq!(
            refused(&server, method, path, Some(&maria), body).await.0,
            403,
            "{method} {path}"
        );
    }
    for body in [
        json!({"maxUses": 0}),
        json!({"expiresInSeconds": 0}),
        json!({"expiresInSeconds": 1_000_000_000_000_u64}),
        json!({"maxUses": "many"}),
    ] {
        assert_eq!(refused(&server, "POST", path, Some(&token), body).await.0, 400);
    }
    for (path, body, status) in [
        ("/api/v1/invites/look", json!({"code": "no such code"}), 404),
        ("/api/v1/invites/enter", json!({"code": "no", "name": ""}), 400),
        ("/api/v1/rooms", json!({"name": "Not A Name"}), 401),
    ] {
        assert_eq!(refused(&server, "POST", path, None, body).await.0, status, "{path}");
    }
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
