//! What each tab gets, row by row of the table in the design: the acting tab, the same person's other tabs, everybody else.

use serde_json::{Value, json};
use signaling::calls::CallConfig;

use crate::common::{Options, Server, Socket};

/// Ivan, maria and anna in the group, two tabs each.
struct Tabs {
    server: Server,
    ivan: [Socket; 2],
    maria: [Socket; 2],
    anna: [Socket; 2],
}

impl Tabs {
    async fn open(calls: CallConfig) -> Self {
        let server = Server::with(Options {
            calls,
            ..Options::default()
        })
        .await;
        let (a, b, c) = (&server.ivan, &server.maria, &server.anna);
        let ivan = [server.tab(a, "ivan-1").await, server.tab(a, "ivan-2").await];
        let maria = [server.tab(b, "maria-1").await, server.tab(b, "maria-2").await];
        let anna = [server.tab(c, "anna-1").await, server.tab(c, "anna-2").await];
        Self {
            server,
            ivan,
            maria,
            anna,
        }
    }

    /// Ivan's first tab rings the group, and everybody's tabs have been told.
    async fn ring(&mut self) -> Value {
        let start = json!({"chatId": self.server.group, "type": "video"});
        let created = self.ivan[0].done("start_call", start).await;
        for tab in self.maria.iter_mut().chain(&mut self.anna) {
            assert_eq!(tab.event("incoming_call").await["callId"], created["callId"]);
        }
        json!({"callId": created["callId"]})
    }
}

/// A command's answer is a barrier: whatever was committed before it has been sent.
async fn barrier(tab: &mut Socket, server: &Server) {
    // Events of the outbox are read after a hint; a text of one's own comes behind all of them.
    let text = json!({"chatId": server.group, "content": "barrier"});
    let sent = tab.done("send_message", text).await;
    tab.wait("the barrier", |f| f["op"] == "message" && f["d"]["id"] == sent["id"])
        .await;
}

#[tokio::test]
async fn a_start_is_created_here_in_another_tab_there_and_rings_everybody_else() {
    let mut tabs = Tabs::open(CallConfig::default()).await;
    let call = tabs.ring().await;
    assert_eq!(tabs.ivan[0].event("call_created").await["callId"], call["callId"]);
    // The other tab is told which device holds the seat: "in a call in another tab".
    let other = tabs.ivan[1].event("call_updated").await;
    assert_eq!(other["activeCall"]["mine"], "joined");
    assert_eq!(other["activeCall"]["myDevice"], "ivan-1");
    assert!(!tabs.ivan[1].has("incoming_call"), "nobody rings themselves");
}

#[tokio::test]
async fn an_answer_stops_the_other_tabs_and_a_join_is_no_answer() {
    let mut tabs = Tabs::open(CallConfig::default()).await;
    let call = tabs.ring().await;
    assert_eq!(
        tabs.maria[0].done("accept_call", call.clone()).await["outcome"],
        "joined"
    );
    assert_eq!(
        tabs.maria[1].event("call_answered_elsewhere").await["device"],
        "maria-1"
    );
    let maria = tabs.server.maria.as_str();
    for tab in &mut tabs.ivan {
        assert_eq!(tab.event("call_accepted").await["userId"], maria);
    }
    assert_eq!(tabs.ivan[0].event("call_participant_joined").await["userId"], maria);

    assert_eq!(tabs.anna[1].done("join_call", call).await["outcome"], "joined");
    assert_eq!(tabs.anna[0].event("call_answered_elsewhere").await["device"], "anna-2");
    let anna = tabs.server.anna.as_str();
    assert_eq!(tabs.ivan[0].event("call_participant_joined").await["userId"], anna);
    barrier(&mut tabs.ivan[0], &tabs.server).await;
    assert!(!tabs.ivan[0].has("call_accepted"), "a join is told by the roster alone");
}

#[tokio::test]
async fn a_decline_closes_the_dialog_in_all_tabs_and_names_who_and_why_to_the_caller_alone() {
    let mut tabs = Tabs::open(CallConfig::default()).await;
    let call = tabs.ring().await;
    let busy = json!({"callId": call["callId"], "reason": "busy"});
    assert_eq!(tabs.maria[0].done("reject_call", busy).await["outcome"], "done");
    let maria = tabs.server.maria.clone();
    for tab in tabs.maria.iter_mut().chain(&mut tabs.ivan) {
        let rejected = tab.event("call_rejected").await;
        assert_eq!(rejected["userId"], maria.as_str());
        assert_eq!(
            (&rejected["userName"], &rejected["reason"]),
            (&json!("Мария"), &json!("busy"))
        );
    }
    barrier(&mut tabs.anna[0], &tabs.server).await;
    assert!(!tabs.anna[0].has("call_rejected"), "it is no business of the others");
}

#[tokio::test]
async fn a_ring_that_runs_out_is_missed_in_all_tabs_and_told_to_the_caller() {
    let mut tabs = Tabs::open(CallConfig {
        ring_ms: 400,
        ..CallConfig::default()
    })
    .await;
    let call = tabs.ring().await;
    for tab in tabs.maria.iter_mut().chain(&mut tabs.anna) {
        assert_eq!(tab.event("call_missed").await["callId"], call["callId"]);
    }
    for _ in 0..2 {
        assert_eq!(tabs.ivan[0].event("call_rejected").await["reason"], "timeout");
    }
    let ended = tabs.ivan[1].event("call_ended").await;
    assert_eq!(
        (&ended["status"], &ended["reason"], &ended["duration"]),
        (&json!("rejected"), &json!("timeout"), &json!(0))
    );
}

#[tokio::test]
async fn a_cancelled_call_is_missed_and_ends_once_in_every_tab() {
    let mut tabs = Tabs::open(CallConfig::default()).await;
    let call = tabs.ring().await;
    tabs.ivan[0].done("end_call", call).await;
    for tab in tabs.maria.iter_mut().chain(&mut tabs.anna) {
        tab.event("call_missed").await;
        let ended = tab.event("call_ended").await;
        assert_eq!(
            (&ended["status"], &ended["reason"], &ended["duration"]),
            (&json!("cancelled"), &json!("caller_cancelled"), &json!(0))
        );
        assert_eq!(tab.event("message").await["kind"], "call", "it is in the history");
        barrier(tab, &tabs.server).await;
        assert!(!tab.has("call_ended") && !tab.has("call_answered_elsewhere"));
    }
}

#[tokio::test]
async fn a_chat_opened_while_a_call_lives_shows_how_many_and_ones_own_part() {
    let mut tabs = Tabs::open(CallConfig::default()).await;
    let call = tabs.ring().await;
    tabs.maria[0].done("accept_call", call.clone()).await;
    let mut late = Socket::open(tabs.server.address).await;
    late.hello(&tabs.server.token(&tabs.server.anna), "anna-3", Value::Null)
        .await;
    let snapshot = late.event("snapshot").await;
    let active = &snapshot["chats"][0]["activeCall"];
    assert_eq!(active["callId"], call["callId"]);
    assert_eq!((&active["count"], &active["mine"]), (&json!(2), &json!("invited")));
    assert_eq!(
        snapshot["incoming"][0]["callId"], call["callId"],
        "and rings within its period"
    );
}

#[tokio::test]
async fn a_tab_that_was_away_learns_of_a_call_that_no_event_told_of() {
    let mut tabs = Tabs::open(CallConfig::default()).await;
    let room = tabs.server.app_room("hall").await;
    let (ivan, anna) = (tabs.server.ivan.clone(), tabs.server.anna.clone());
    for user in [&ivan, &anna] {
        tabs.server.service.store().enter(&room, user).await.unwrap();
    }
    let mut tab = Socket::open(tabs.server.address).await;
    let welcome = tab.hello(&tabs.server.token(&anna), "anna-4", Value::Null).await;
    let snapshot = tab.event("snapshot").await;
    assert!(
        snapshot["chats"]
            .as_array()
            .unwrap()
            .iter()
            .all(|chat| chat["activeCall"].is_null())
    );
    let seq = tab.seq;
    tab.cut();
    // A room rings nobody: only what is ephemeral tells of its call.
    let start = json!({"chatId": room, "type": "audio"});
    let created = tabs.ivan[0].done("start_call", start).await;
    let mut back = Socket::open(tabs.server.address).await;
    let left_off = json!({"session": welcome["session"], "seq": seq, "epoch": welcome["epoch"]});
    let again = back.hello(&tabs.server.token(&anna), "anna-4", left_off).await;
    assert!(again["replay"].is_u64(), "{again}");
    let resumed = back.event("resumed").await;
    let calls = resumed["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 1, "{resumed}");
    assert_eq!(calls[0]["activeCall"]["callId"], created["callId"]);
    let there = resumed["presence"].as_array().unwrap().iter();
    let ivans = there.clone().find(|entry| entry["userId"] == ivan.as_str());
    assert_eq!(ivans.unwrap()["presence"], "in_call");
}
