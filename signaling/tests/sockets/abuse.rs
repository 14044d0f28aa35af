//! What a client must not do: it is answered with a code, changes nothing, and leaves a line in the audit log.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use signaling::auth::Claims;
use signaling::ids::CallId;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::common::{Server, Socket};

/// What the audit log of this test process says.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() != "audit" {
            return;
        }
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
}

/// The lines about one user: other tests of this process write theirs.
fn audit(user: &str) -> Vec<String> {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let lines = LINES.get_or_init(|| {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        lines
    });
    let all = lines.0.lock().unwrap();
    all.iter().filter(|line| line.contains(user)).cloned().collect()
}

/// Ivan and maria talk; anna, who is in no chat with them alone, is the stranger.
async fn talk(server: &Server) -> (Socket, Socket, CallId) {
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    let mut maria = server.tab(&server.maria, "maria-1").await;
    let created = ivan
        .done("start_call", json!({"chatId": server.direct, "type": "video"}))
        .await;
    let call = CallId(created["callId"].as_str().unwrap().to_owned());
    maria.done("accept_call", json!({"callId": call})).await;
    (ivan, maria, call)
}

/// Everything on record about a call.
async fn record(server: &Server, call: &CallId) -> String {
    format!("{:?}", server.service.call_details(call).await.unwrap())
}

#[tokio::test]
async fn no_command_about_a_call_one_has_no_part_in_changes_or_tells_anything() {
    let server = Server::start().await;
    audit("");
    let (_ivan, _maria, call) = talk(&server).await;
    let mut anna = server.tab(&server.anna, "anna-1").await;
    let before = record(&server, &call).await;
    let call_only = json!({"callId": call});
    let whom = json!({"callId": call, "userId": server.ivan});
    for (op, d) in [
        ("join_call", json!({"callId": call, "takeover": true, "wait": true})),
        ("accept_call", call_only.clone()),
        ("reject_call", call_only.clone()),
        ("end_call", call_only.clone()),
        ("leave_call", call_only.clone()),
        ("ring_ack", call_only.clone()),
        ("raise_hand", call_only.clone()),
        ("lower_hand", whom.clone()),
        ("lock", call_only.clone()),
        ("unlock", call_only.clone()),
        ("stay", call_only.clone()),
        ("kick", whom.clone()),
        ("admit", whom.clone()),
        ("deny", whom.clone()),
        ("invite", json!({"callId": call, "userId": server.anna})),
        ("mute", json!({"callId": call, "userId": server.ivan, "source": "mic"})),
        (
            "unmute",
            json!({"callId": call, "userId": server.ivan, "source": "mic"}),
        ),
        ("start_call", json!({"chatId": server.direct, "type": "audio"})),
    ] {
        let res = anna.ask(op, d).await;
        assert_eq!(res["err"]["code"], "NOT_FOUND", "{op}: {res}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    for (op, d) in [
        ("reaction", json!({"callId": call, "emoji": "👍"})),
        ("media_offer", json!({"callId": call, "offerId": "1", "sdp": "v=0"})),
        ("intents", json!({"callId": call, "slots": []})),
        ("mute", json!({"callId": call, "source": "mic"})),
    ] {
        assert_eq!(anna.ask(op, d).await["err"]["code"], "FORBIDDEN", "{op}");
    }
    assert_eq!(record(&server, &call).await, before);
    let lines = audit(server.anna.as_str());
    assert!(lines.len() >= 18, "{lines:#?}");
    assert!(
        lines[0].contains("refused") && lines[0].contains(call.as_str()),
        "{}",
        lines[0]
    );
}

#[tokio::test]
async fn a_finished_call_answers_noop_and_stays_as_it_is() {
    let server = Server::start().await;
    let (mut ivan, mut maria, call) = talk(&server).await;
    ivan.done("end_call", json!({"callId": call})).await;
    maria.event("call_ended").await;
    let before = record(&server, &call).await;
    let whom = json!({"callId": call, "userId": server.ivan});
    for (op, d) in [
        ("accept_call", json!({"callId": call})),
        ("join_call", json!({"callId": call, "wait": true})),
        ("reject_call", json!({"callId": call, "reason": "busy"})),
        ("end_call", json!({"callId": call})),
        ("leave_call", json!({"callId": call})),
        ("raise_hand", json!({"callId": call})),
        ("stay", json!({"callId": call})),
        ("lock", json!({"callId": call})),
        ("kick", whom.clone()),
        ("admit", whom),
        ("invite", json!({"callId": call, "userId": server.anna})),
    ] {
        assert_eq!(maria.done(op, d).await["outcome"], "noop", "{op}");
    }
    assert_eq!(record(&server, &call).await, before);
}

#[tokio::test]
async fn fields_that_are_huge_missing_or_of_another_kind_are_refused_and_the_connection_lives() {
    let server = Server::start().await;
    let (mut ivan, _maria, call) = talk(&server).await;
    let before = record(&server, &call).await;
    let long = "x".repeat(20_000);
    for (op, d) in [
        ("start_call", json!({})),
        ("start_call", json!({"chatId": server.direct, "type": "hologram"})),
        ("start_call", json!({"chatId": 7, "type": "audio"})),
        (
            "start_call",
            json!({"chatId": server.group, "type": "audio", "invitees": "all"}),
        ),
        ("join_call", json!({"callId": call, "takeover": "yes"})),
        ("reject_call", json!({"callId": call, "reason": "mood"})),
        ("kick", json!({"callId": call})),
        (
            "mute",
            json!({"callId": call, "userId": server.maria, "source": "nose"}),
        ),
        ("reaction", json!({"callId": call, "emoji": long})),
        ("no_such_op", json!({"callId": call})),
        ("lock", Value::Null),
        ("lock", json!([1, 2, 3])),
    ] {
        let res = ivan.ask(op, d).await;
        assert_eq!(res["err"]["code"], "BAD_REQUEST", "{op}: {res}");
        assert!(!res["err"]["message"].as_str().unwrap().is_empty());
    }
    for (op, d) in [
        ("join_call", json!({"callId": long})),
        ("end_call", json!({"callId": "\u{0}"})),
        ("start_call", json!({"chatId": "' OR 1=1 --", "type": "audio"})),
        ("kick", json!({"callId": call, "userId": long})),
    ] {
        let res = ivan.ask(op, d).await;
        let code = res["err"]["code"].as_str().unwrap_or("noop").to_owned();
        assert!(
            ["NOT_FOUND", "BAD_REQUEST", "noop"].contains(&code.as_str()),
            "{op}: {res}"
        );
    }
    assert_eq!(record(&server, &call).await, before);
}

#[tokio::test]
async fn a_hundred_commands_a_second_are_limited_with_a_time_and_one_line_not_a_hundred() {
    let server = Server::start().await;
    audit("");
    let (mut ivan, _maria, call) = talk(&server).await;
    let before = record(&server, &call).await;
    for n in 0..100 {
        ivan.send(&json!({"t": "req", "id": format!("flood-{n}"), "op": "unlock", "d": {"callId": call}}))
            .await;
    }
    let mut limited = 0;
    for n in 0..100 {
        let id = format!("flood-{n}");
        let res = ivan.wait("an answer", |f| f["id"] == id).await;
        if res["err"]["code"] == "RATE_LIMITED" {
            limited += 1;
            let wait = res["err"]["retryAfterMs"].as_u64().unwrap();
            assert!((1..=1_000).contains(&wait), "{res}");
        }
    }
    assert!((40..100).contains(&limited), "{limited} of 100 were limited");
    assert_eq!(record(&server, &call).await, before);
    let lines = audit(server.ivan.as_str());
    let refusals = lines.iter().filter(|line| line.contains("RateLimited")).count();
    assert!((1..=30).contains(&refusals), "{refusals}: {lines:#?}");
}

#[tokio::test]
async fn too_many_calls_in_a_minute_are_refused_with_the_time_to_wait() {
    let server = Server::start().await;
    let mut ivan = server.tab(&server.ivan, "ivan-1").await;
    for _ in 0..3 {
        let created = ivan
            .done("start_call", json!({"chatId": server.direct, "type": "audio"}))
            .await;
        ivan.done("end_call", json!({"callId": created["callId"]})).await;
    }
    let res = ivan
        .ask("start_call", json!({"chatId": server.direct, "type": "audio"}))
        .await;
    assert_eq!(res["err"]["code"], "RATE_LIMITED");
    assert!(
        (50_000..=60_000).contains(&res["err"]["retryAfterMs"].as_u64().unwrap()),
        "{res}"
    );
}

#[tokio::test]
async fn a_connection_ends_with_its_token_unless_the_token_is_renewed() {
    let server = Server::start().await;
    let brief = || server.token_for(&server.ivan, Duration::from_secs(2));
    let mut left = Socket::open(server.address).await;
    left.hello(&brief(), "left", Value::Null).await;
    let mut kept = Socket::open(server.address).await;
    kept.hello(&brief(), "kept", Value::Null).await;
    let mine = server.token(&server.ivan);
    kept.done("renew_token", json!({"token": mine})).await;
    let theirs = kept
        .ask("renew_token", json!({"token": server.token(&server.maria)}))
        .await;
    assert_eq!(theirs["err"]["code"], "FORBIDDEN");
    let nonsense = kept.ask("renew_token", json!({"token": "x.y.z"})).await;
    assert_eq!(nonsense["err"]["code"], "UNAUTHENTICATED");
    let wider = server.sign(&Claims {
        grants: Some(vec![signaling::auth::Grant::Moderate]),
        ..Claims::new(server.ivan.clone(), Duration::from_secs(600))
    });
    let wider = kept.ask("renew_token", json!({"token": wider})).await;
    assert_eq!(wider["err"]["code"], "FORBIDDEN", "more reach needs a new connection");
    assert_eq!(left.close_code().await, Some(4401));
    kept.done("mark_read", json!({"chatId": server.direct})).await;
}
