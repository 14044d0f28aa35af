//! Events reach every tab, in order, once, whatever was lost on the way; and nobody waits for a slow reader.

use std::time::Duration;

use crate::common::{Options, Server, Socket};
use serde_json::{Value, json};
use signaling::calls::At;
use signaling::ids::UserId;
use signaling::protocol::{Command, RealtimeBody, SendMessage, Speakers};
use signaling::service::{Actor, Bus, BusMessage, Moment};
use signaling::store::RetentionConfig;
use signaling::ws::SocketConfig;

/// So long that no test sees it happen.
const NEVER_MS: u32 = 3_600_000;

/// A text of ivan in the direct chat, past any socket.
async fn write(server: &Server, text: &str) {
    let command = Command::SendMessage(SendMessage {
        chat_id: server.direct.clone(),
        content: text.into(),
        call_id: None,
    });
    let actor = Actor {
        user: server.ivan.clone(),
        device: "elsewhere".into(),
    };
    let id = format!("w{}", uuid());
    server
        .service
        .command(&actor, &id.as_str().into(), command)
        .await
        .unwrap();
}

fn uuid() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A tab that says where it left off; its welcome.
async fn resume(server: &Server, user: &UserId, welcome: &Value, seq: u64) -> (Socket, Value) {
    let mut tab = Socket::open(server.address).await;
    let left_off = json!({"session": welcome["session"], "seq": seq, "epoch": welcome["epoch"]});
    let welcome = tab.hello(&server.token(user), "m", left_off).await;
    (tab, welcome)
}

async fn first(server: &Server, user: &UserId) -> (Socket, Value) {
    let mut tab = Socket::open(server.address).await;
    let welcome = tab.hello(&server.token(user), "m", Value::Null).await;
    tab.event("snapshot").await;
    (tab, welcome)
}

#[tokio::test]
async fn a_thousand_missed_events_are_replayed_and_one_more_is_a_snapshot() {
    let server = Server::start().await;
    let (tab, welcome) = first(&server, &server.maria).await;
    tab.cut();
    let before = welcome["seq"].as_u64().unwrap();
    for n in 0..1_000 {
        write(&server, &format!("{n}")).await;
    }
    let begun = std::time::Instant::now();
    let (mut back, again) = resume(&server, &server.maria, &welcome, before).await;
    assert_eq!(again["replay"], 1_000);
    for n in 0..1_000 {
        assert_eq!(back.event("message").await["content"], json!(n.to_string()));
    }
    println!(
        "resume of 1,000 events: {:.1} ms from connect to the last",
        begun.elapsed().as_secs_f64() * 1e3
    );
    assert_eq!(back.seq, before + 1_000, "gapless");
    assert!(!back.has("snapshot"));
    back.cut();
    write(&server, "one more").await;
    let (mut back, again) = resume(&server, &server.maria, &welcome, before).await;
    assert_eq!(again["replay"], Value::Null);
    let snapshot = back.event("snapshot").await;
    assert_eq!(snapshot["chats"][0]["unread"], 1_001);
    write(&server, "live again").await;
    assert_eq!(back.event("message").await["content"], "live again");
    assert_eq!(back.seq, before + 1_002);
}

#[tokio::test]
async fn events_that_are_not_kept_any_more_are_a_snapshot() {
    let server = Server::start().await;
    let (tab, welcome) = first(&server, &server.maria).await;
    tab.cut();
    for n in 0..4 {
        write(&server, &format!("{n}")).await;
    }
    // Everything that is older than it is kept: nothing yet, so that the replay is whole.
    server.service.store().prune(&RetentionConfig::default()).await.unwrap();
    let (back, again) = resume(&server, &server.maria, &welcome, 0).await;
    assert_eq!(again["replay"], 4);
    back.cut();
    server.forget_events(&server.maria, 2).await;
    for (seq, replay) in [(0, Value::Null), (1, Value::Null), (2, json!(2)), (4, json!(0))] {
        let (back, again) = resume(&server, &server.maria, &welcome, seq).await;
        assert_eq!(again["replay"], replay, "left off at {seq}");
        back.cut();
    }
}

/// A server whose healing query runs this often; `deaf`: no hint reaches it.
async fn healed_every(heal_ms: u32, deaf: bool) -> Server {
    let sockets = SocketConfig {
        heal_ms,
        ..SocketConfig::default()
    };
    Server::with(Options {
        sockets,
        deaf,
        ..Options::default()
    })
    .await
}

/// Reads up to the newest event, or to the close, whose code it gives.
async fn up_to(maria: &mut Socket, newest: u64) -> Option<u16> {
    loop {
        match maria.next().await {
            Ok(frame) if frame["seq"] == newest => return None,
            Ok(_) => {}
            Err(code) => return code,
        }
    }
}

#[tokio::test]
async fn a_hole_in_the_outbox_ends_a_connection_which_comes_back_for_a_snapshot() {
    let server = healed_every(500, true).await;
    let (mut maria, welcome) = first(&server, &server.maria).await;
    let mut newest = welcome["seq"].as_u64().unwrap();
    let mut code = None;
    for _ in 0..5 {
        for n in 0..3 {
            write(&server, &format!("{n}")).await;
        }
        newest += 3;
        server.forget_events(&server.maria, newest as i64 - 1).await;
        // The query that heals may have come in between: then nothing is missing, and it is tried again.
        let read = up_to(&mut maria, newest);
        code = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
        if code.is_some() {
            break;
        }
    }
    assert_eq!(code, Some(4503));
    let (_, again) = resume(&server, &server.maria, &welcome, newest - 3).await;
    assert_eq!(again["replay"], Value::Null, "a snapshot");
}

#[tokio::test]
async fn a_lost_hint_is_healed_by_the_query() {
    let server = healed_every(200, true).await;
    let (mut maria, _) = first(&server, &server.maria).await;
    write(&server, "nobody was told").await;
    assert_eq!(maria.event("message").await["content"], "nobody was told");
}

#[tokio::test]
async fn who_is_erased_is_told_to_stay_away_and_nobody_else_is() {
    let server = healed_every(200, false).await;
    let (mut ivan, _) = first(&server, &server.ivan).await;
    let (mut maria, _) = first(&server, &server.maria).await;
    // As `ringhall user erase` does, beside the server.
    server.service.store().erase_user(&server.ivan).await.unwrap();
    assert_eq!(ivan.close_code().await, Some(4403));
    let mut again = Socket::open(server.address).await;
    let hello = json!({"t": "hello", "token": server.token(&server.ivan), "device": "i"});
    again.send(&hello).await;
    assert_eq!(again.close_code().await, Some(4401), "the old token opens nothing");
    maria.done("mark_calls_seen", json!({})).await;
}

#[tokio::test]
async fn without_hint_and_healing_nothing_would_come() {
    let server = healed_every(NEVER_MS, true).await;
    let (mut maria, _) = first(&server, &server.maria).await;
    write(&server, "nobody was told").await;
    maria.quiet(Duration::from_millis(700), |f| f["op"] == "message").await;
}

#[tokio::test]
async fn a_bus_that_lagged_is_made_up_for_by_reading_every_outbox() {
    let server = healed_every(NEVER_MS, false).await;
    let (mut maria, _) = first(&server, &server.maria).await;
    write(&server, "its hint is the first to be lost").await;
    // Nothing runs beside this loop, so the reader of the bus is behind by more than the bus holds.
    for _ in 0..10_000 {
        server.bus.publish(BusMessage::Outbox {
            users: vec!["nobody".into()],
        });
    }
    assert_eq!(
        maria.event("message").await["content"],
        "its hint is the first to be lost"
    );
}

#[tokio::test]
async fn a_full_queue_is_closed_with_4429_and_its_tab_resumes() {
    let sockets = SocketConfig {
        queue_frames: 16,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    let (mut maria, welcome) = first(&server, &server.maria).await;
    let body = RealtimeBody::Speakers(Speakers {
        call_id: "c".into(),
        users: vec![],
    });
    let at = Moment {
        call: "c".into(),
        created_at: At(0),
        rev: 0,
    };
    for _ in 0..200 {
        server.bus.publish(BusMessage::ToUsers {
            at: at.clone(),
            users: vec![server.maria.clone()],
            body: body.clone(),
        });
    }
    assert_eq!(maria.close_code().await, Some(4429));
    write(&server, "meanwhile").await;
    let (mut back, again) = resume(&server, &server.maria, &welcome, welcome["seq"].as_u64().unwrap()).await;
    assert_eq!(again["replay"], 1);
    assert_eq!(back.event("message").await["content"], "meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_cut_and_resumes_while_nobody_waits_for_it() {
    let sockets = SocketConfig {
        slow_reader_ms: 300,
        presence_ms: 50,
        ..SocketConfig::default()
    };
    let server = Server::with(Options {
        sockets,
        ..Options::default()
    })
    .await;
    let mut ivan = server.tab(&server.ivan, "i").await;
    let (mut slow, welcome) = first(&server, &server.maria).await;
    // Far more than the kernel keeps for a connection that nobody reads.
    const TEXTS: usize = 900;
    let text = "x".repeat(15_000);
    let mut sent = 0;
    let mut waited = Duration::ZERO;
    while sent < TEXTS {
        let begun = std::time::Instant::now();
        write(&server, &format!("{sent} {text}")).await;
        let own = ivan
            .wait("the text in the sender's own tab", |f| f["op"] == "message")
            .await;
        assert!(own["d"]["content"].as_str().unwrap().starts_with(&format!("{sent} ")));
        waited = waited.max(begun.elapsed());
        sent += 1;
    }
    assert!(
        waited < Duration::from_secs(5),
        "somebody waited {waited:?} for the slow one"
    );
    ivan.wait("maria offline", |f| {
        f["op"] == "presence" && f["d"]["presence"] == "offline"
    })
    .await;
    // What was in the kernel's buffers is whole and in order; the rest is replayed.
    let mut seen = 0;
    while let Ok(frame) = slow.next().await {
        if frame["op"] == "message" {
            assert!(frame["d"]["content"].as_str().unwrap().starts_with(&format!("{seen} ")));
            seen += 1;
        }
    }
    assert!(seen < TEXTS, "the connection was never slow");
    let (mut back, again) = resume(&server, &server.maria, &welcome, slow.seq).await;
    assert_eq!(again["replay"], json!(TEXTS - seen));
    while seen < TEXTS {
        let next = back.event("message").await;
        assert!(
            next["content"].as_str().unwrap().starts_with(&format!("{seen} ")),
            "in order, none twice"
        );
        seen += 1;
    }
}
