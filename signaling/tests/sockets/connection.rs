//! Hello, resume, limits and the end of a connection, over real sockets.

use std::time::Duration;

use crate::common::{Options, Server, Socket};
use serde_json::{Value, json};
use signaling::auth::unix_now;
use signaling::ws::SocketConfig;

#[tokio::test]
async fn hello_is_answered_with_welcome_and_a_snapshot() {
    let server = Server::start().await;
    let mut tab = Socket::open(server.address).await;
    let welcome = tab.hello(&server.token(&server.ivan), "tab-1", Value::Null).await;
    assert_eq!(welcome["user"]["name"], "Иван");
    assert_eq!(welcome["replay"], Value::Null);
    assert_eq!(welcome["limits"]["maxParticipants"], 100);
    let snapshot = tab.event("snapshot").await;
    assert_eq!(snapshot["chats"].as_array().unwrap().len(), 2, "{snapshot}");
}

#[tokio::test]
async fn a_token_that_is_expired_forged_or_of_nobody_closes_with_4401() {
    let server = Server::start().await;
    let good = server.token(&server.ivan);
    let (body, _) = good.rsplit_once('.').unwrap();
    for token in [
        Server::host_token(&json!({"sub": "x", "iss": "host", "exp": unix_now() - 3600})),
        Server::host_token(&json!({"sub": "x", "iss": "somebody", "exp": unix_now() + 3600})),
        server.token(&"nobody".into()),
        format!("{body}.AAAA"),
        String::new(),
    ] {
        let mut tab = Socket::open(server.address).await;
        tab.send(&json!({"t": "hello", "token": token, "device": "d"})).await;
        assert_eq!(tab.close_code().await, Some(4401), "{token}");
    }
}

#[tokio::test]
async fn a_host_signed_token_makes_its_user_at_the_first_hello() {
    let server = Server::start().await;
    let claims = json!({"sub": "42", "iss": "host", "name": "Guest of the host", "exp": unix_now() + 60});
    let mut tab = Socket::open(server.address).await;
    let welcome = tab.hello(&Server::host_token(&claims), "d", Value::Null).await;
    assert_eq!(welcome["user"]["name"], "Guest of the host");
    let mut again = Socket::open(server.address).await;
    let second = again.hello(&Server::host_token(&claims), "e", Value::Null).await;
    assert_eq!(second["user"]["id"], welcome["user"]["id"]);
}

#[tokio::test]
async fn what_is_no_hello_closes_with_4400_and_silence_too() {
    let sockets = SocketConfig {
        hello_timeout_ms: 300,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    for first in [
        "",
        "{",
        "[]",
        r#"{"t":"req"}"#,
        r#"{"t":"hello"}"#,
        r#"{"t":"hello","token":"t","device":"a b"}"#,
    ] {
        let mut tab = Socket::open(server.address).await;
        tab.send_text(first.into()).await;
        assert_eq!(tab.close_code().await, Some(4400), "{first}");
    }
    let mut silent = Socket::open(server.address).await;
    assert_eq!(silent.close_code().await, Some(4400));
}

#[tokio::test]
async fn the_subprotocol_must_be_asked_for() {
    let server = Server::start().await;
    assert!(Socket::open_with(server.address, None).await.is_err());
    assert!(Socket::open_with(server.address, Some("ringhall.v9")).await.is_err());
}

#[tokio::test]
async fn connections_without_hello_are_bounded() {
    let sockets = SocketConfig {
        max_unauthenticated: 2,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    let _one = Socket::open(server.address).await;
    let mut two = Socket::open(server.address).await;
    assert!(
        Socket::open_with(server.address, Some("ringhall.v1")).await.is_err(),
        "a third waits to say hello"
    );
    two.hello(&server.token(&server.ivan), "d", Value::Null).await;
    Socket::open(server.address)
        .await
        .hello(&server.token(&server.maria), "e", Value::Null)
        .await;
}

#[tokio::test]
async fn an_unknown_op_is_refused_and_the_connection_stays() {
    let server = Server::start().await;
    let mut tab = server.tab(&server.ivan, "d").await;
    for (op, d) in [
        ("make_coffee", json!({"strength": 9})),
        ("start_call", json!({"chatId": 7})),
        ("accept_call", Value::Null),
    ] {
        let res = tab.ask(op, d).await;
        assert_eq!(
            (&res["ok"], &res["err"]["code"]),
            (&json!(false), &json!("BAD_REQUEST")),
            "{res}"
        );
    }
    tab.send(&json!({"t": "from-the-future", "d": 1})).await;
    let sent = tab
        .done(
            "send_message",
            json!({"chatId": server.direct, "content": "still here"}),
        )
        .await;
    assert_eq!(sent["content"], "still here");
}

#[tokio::test]
async fn frames_above_their_limit_close_with_4400() {
    let server = Server::start().await;
    let big = |op: &str, size: usize| json!({"t": "req", "id": "1", "op": op, "d": {"sdp": "x".repeat(size)}});
    for frame in [
        big("send_message", 70_000),
        big("media_offer", 530_000),
        big("media_offer", 1_500_000),
    ] {
        let mut tab = server.tab(&server.ivan, "d").await;
        tab.send(&frame).await;
        assert_eq!(tab.close_code().await, Some(4400));
    }
    let mut tab = server.tab(&server.ivan, "d").await;
    tab.send(&big("media_offer", 300_000)).await;
    let res = tab.wait("res", |f| f["t"] == "res").await;
    assert_eq!(
        res["err"]["code"], "BAD_REQUEST",
        "large enough for SDP, and read: {res}"
    );
    tab.send_bytes(vec![0, 1]).await;
    assert_eq!(tab.close_code().await, Some(4400));
}

#[tokio::test]
async fn commands_above_the_rate_are_refused_and_a_flood_closes_with_4429() {
    let server = Server::start().await;
    let mut tab = server.tab(&server.ivan, "d").await;
    for n in 0..60 {
        tab.send(&json!({"t": "req", "id": format!("n{n}"), "op": "make_coffee", "d": {}}))
            .await;
    }
    let limited = tab.wait("a refusal", |f| f["err"]["code"] == "RATE_LIMITED").await;
    assert!(limited["err"]["retryAfterMs"].as_u64().unwrap() > 0, "{limited}");
    let mut flood = server.tab(&server.maria, "e").await;
    for n in 0..400 {
        flood
            .send(&json!({"t": "req", "id": format!("n{n}"), "op": "make_coffee", "d": {}}))
            .await;
    }
    assert_eq!(flood.close_code().await, Some(4429));
}

#[tokio::test]
async fn the_same_tab_again_closes_the_old_connection_with_4409() {
    let server = Server::start().await;
    let mut old = server.tab(&server.ivan, "d").await;
    let mut new = server.tab(&server.ivan, "d").await;
    assert_eq!(old.close_code().await, Some(4409));
    new.done("send_message", json!({"chatId": server.direct, "content": "alive"}))
        .await;
}

#[tokio::test]
async fn a_resumed_tab_gets_what_it_missed_and_nothing_twice() {
    let server = Server::start().await;
    let mut maria = Socket::open(server.address).await;
    let welcome = maria.hello(&server.token(&server.maria), "m", Value::Null).await;
    maria.event("snapshot").await;
    let mut ivan = server.tab(&server.ivan, "i").await;
    let write = async |ivan: &mut Socket, text: &str| {
        ivan.done("send_message", json!({"chatId": server.direct, "content": text}))
            .await;
    };
    write(&mut ivan, "seen").await;
    assert_eq!(maria.event("message").await["content"], "seen");
    let (seq, session, epoch) = (maria.seq, welcome["session"].clone(), welcome["epoch"].clone());
    maria.cut();
    for text in ["missed 1", "missed 2"] {
        write(&mut ivan, text).await;
    }
    let mut back = Socket::open(server.address).await;
    let resume = json!({"session": session, "seq": seq, "epoch": epoch});
    let welcome = back.hello(&server.token(&server.maria), "m", resume).await;
    assert_eq!(welcome["replay"], 2, "{welcome}");
    for text in ["missed 1", "missed 2"] {
        assert_eq!(back.event("message").await["content"], text);
    }
    write(&mut ivan, "live").await;
    assert_eq!(back.event("message").await["content"], "live");
    assert_eq!(back.seq, seq + 3, "gapless");
    assert!(!back.has("snapshot") && !back.has("message"));
}

#[tokio::test]
async fn a_resume_of_another_epoch_or_person_gets_a_snapshot() {
    let server = Server::start().await;
    let mut tab = Socket::open(server.address).await;
    let welcome = tab.hello(&server.token(&server.ivan), "d", Value::Null).await;
    let epoch = welcome["epoch"].as_u64().unwrap();
    for (user, epoch) in [(&server.ivan, epoch + 1), (&server.maria, epoch)] {
        let mut tab = Socket::open(server.address).await;
        let resume = json!({"session": welcome["session"], "seq": 0, "epoch": epoch});
        let welcome = tab.hello(&server.token(user), "d", resume).await;
        assert_eq!(welcome["replay"], Value::Null);
        tab.event("snapshot").await;
    }
}

#[tokio::test]
async fn a_connection_that_leaves_pings_unanswered_is_dead() {
    let sockets = SocketConfig {
        ping_call_ms: 400,
        ping_idle_ms: 400,
        presence_ms: 50,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    let mut maria = server.tab(&server.maria, "m").await;
    let mut rude = server.tab(&server.ivan, "d").await;
    rude.polite = false;
    let gone = |f: &Value| f["op"] == "presence" && f["d"]["presence"] == "offline";
    let (code, presence) = tokio::join!(rude.close_code(), maria.wait("ivan offline", gone));
    assert!(code.is_some());
    assert_eq!(presence["d"]["userId"], json!(server.ivan));
    assert!(presence["d"]["lastSeen"].is_string(), "{presence}");
}

#[tokio::test]
async fn presence_is_told_to_people_who_share_a_chat_and_not_for_a_reload() {
    let sockets = SocketConfig {
        presence_ms: 300,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    let mut maria = server.tab(&server.maria, "m").await;
    let about = |user: &signaling::ids::UserId| {
        let user = json!(user);
        move |f: &Value| f["op"] == "presence" && f["d"]["userId"] == user
    };
    let ivan = server.tab(&server.ivan, "d").await;
    let online = maria.wait("ivan online", about(&server.ivan)).await;
    assert_eq!(online["d"]["presence"], "online");
    ivan.cut();
    let ivan = server.tab(&server.ivan, "d").await;
    maria.quiet(Duration::from_millis(900), about(&server.ivan)).await;
    ivan.cut();
    let offline = maria.wait("ivan offline", about(&server.ivan)).await;
    assert_eq!(offline["d"]["presence"], "offline");
}

#[tokio::test]
async fn a_server_that_goes_down_says_so_and_closes_with_4503() {
    let server = Server::start().await;
    let mut tab = server.tab(&server.ivan, "d").await;
    server.app.drain();
    assert!(tab.event("server_draining").await["retryAfterMs"].as_u64().unwrap() > 0);
    assert_eq!(tab.close_code().await, Some(4503));
    assert_eq!(server.request("GET", "/readyz", &[], "").await.status, 503);
}
