//! Guests: links that expire and count their uses, the waiting list, and what a guest may not do.

use serde_json::{Value, json};

use crate::common::{Server, Socket};
use crate::rooms::{guest, meeting, ok, refused, send, text};

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
async fn the_token_of_an_erased_guest_opens_nothing_and_makes_no_new_account() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let (name, chat, _) = meeting(&server, &mut ivan).await;
    let token = server.token(&server.ivan);
    let path = format!("/api/v1/rooms/{name}/invites");
    let invite = ok(&server, "POST", &path, Some(&token), json!({})).await;
    let enter = json!({"code": invite["code"], "name": "Олена"});
    let entered = ok(&server, "POST", "/api/v1/invites/enter", None, enter).await;
    let theirs = text(&entered["token"]);
    let id = text(&entered["user"]["id"]).as_str().into();
    guest(&server, &theirs, "olena-1").await;
    let path = format!("/api/v1/rooms/{name}/enter");
    let opened = ok(&server, "POST", &path, Some(&theirs), Value::Null).await;
    assert_eq!(opened["chat"]["id"], chat);

    let store = server.service.store();
    store.erase_user(&id).await.unwrap().unwrap();
    let mut again = Socket::open(server.address).await;
    again
        .send(&json!({"t": "hello", "token": theirs, "device": "olena-2"}))
        .await;
    assert_eq!(again.close_code().await, Some(4401));
    let refusal = refused(&server, "POST", &path, Some(&theirs), Value::Null).await;
    assert_eq!(refusal, (401, "UNAUTHENTICATED".into()));
    assert!(store.user(&id).await.unwrap().is_none(), "nobody was made");
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
