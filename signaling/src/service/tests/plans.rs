//! Every statement that runs per command, per connection, per sweep or per lease finds its rows by an index, on tables of
//! 10^5 calls.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};
use tokio::sync::watch;

use super::*;
use crate::service::{Link, ResourceKind};
use crate::store::db::{Db, Value, seen};
use crate::store::dialect::for_sqlite;
use crate::store::{CallFilter, RetentionConfig};

/// Tables that grow with use.
const LARGE: [&str; 9] = [
    "users",
    "chats",
    "chat_participants",
    "calls",
    "call_participants",
    "call_events",
    "messages",
    "user_events",
    "client_commands",
];

/// Runs whatever a server in use runs.
async fn use_everything(house: &House) {
    let people = [
        house.person("anna").await,
        house.person("boris").await,
        house.person("clara").await,
    ];
    let [anna, boris, clara] = &people;
    let chat = house.group(&[anna, boris, clara]).await;
    let direct = house.direct(anna, boris).await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(house.service.clone().run(stopped));
    let call = house.start(anna, &chat).await;
    house.ok(boris, ring_ack(&call)).await;
    house.ok(boris, accept(&call)).await;
    house.service.media_connected(&call, &boris.user).await.unwrap();
    house.service.seat_lost(boris, Link::Socket).await.unwrap();
    house.service.seat_back(boris, Link::Socket).await.unwrap();
    house.ok(clara, reject(&call, RejectReason::Declined)).await;
    let user = |user: &Actor| CallUser {
        call_id: call.clone(),
        user_id: user.user.clone(),
    };
    let this = || CallRef { call_id: call.clone() };
    house.ok(anna, Command::Invite(user(clara))).await;
    house.ok(anna, Command::Lock(this())).await;
    house.ok(anna, Command::Unlock(this())).await;
    house.ok(anna, Command::RaiseHand(this())).await;
    let text = SendMessage {
        chat_id: chat.clone(),
        content: "x".into(),
        call_id: Some(call.clone()),
    };
    let sent = house.ok(anna, Command::SendMessage(text)).await;
    let up_to = sent["id"].as_str().map(Into::into);
    house
        .ok(
            boris,
            Command::MarkRead(MarkRead {
                chat_id: chat.clone(),
                up_to,
            }),
        )
        .await;
    house
        .ok(
            boris,
            Command::MarkRead(MarkRead {
                chat_id: direct.clone(),
                up_to: None,
            }),
        )
        .await;
    house.ok(anna, Command::Kick(user(clara))).await;
    house.run(anna, start(&direct)).await.unwrap_err();
    house.service.snapshot(&boris.user, &|_| Vec::new()).await.unwrap();
    house.service.roster(&call).await.unwrap();
    house.service.muted_sources(&call, &boris.user).await.unwrap();
    house.service.start_up().await.unwrap();
    house.ok(boris, leave(&call)).await;
    house.ok(anna, end(&call)).await;
    let second = house.start(anna, &direct).await;
    house.ok(anna, end(&second)).await;
    let seen = |up_to| Command::MarkCallsSeen(MarkCallsSeen { up_to });
    house.ok(boris, seen(Some(second))).await;
    house.ok(boris, seen(None)).await;
    house.service.sweep().await.unwrap();
    house.service.events_after(&anna.user, 1, 10).await.unwrap();
    house.service.last_seq(&anna.user).await.unwrap();
    house.service.kept_after(&anna.user, 1).await.unwrap();
    house.service.epoch().await.unwrap();
    house.service.active_call(&anna.user, &chat).await.unwrap();
    house.service.call_details(&call).await.unwrap();
    let store = house.store();
    store.call_list(&anna.user, &CallFilter::default(), 20).await.unwrap();
    store.messages(&anna.user, &chat, None, 20).await.unwrap();
    store.call_messages(&call, None, 20).await.unwrap();
    store.chats_of(&anna.user).await.unwrap();
    store.chat_for(&anna.user, &chat).await.unwrap();
    store.is_member(&chat, &anna.user).await.unwrap();
    store.contacts(&anna.user).await.unwrap();
    store.touch_seen(&anna.user).await.unwrap();
    store.last_seen(std::slice::from_ref(&anna.user)).await.unwrap();
    store.users_named(std::slice::from_ref(&anna.user)).await.unwrap();
    store.user(&anna.user).await.unwrap();
    store.user_by_login("anna").await.unwrap();
    let room = store.ensure_room("plans").await.unwrap();
    store.add_member(&room, &anna.user, ChatRole::Admin).await.unwrap();
    let opened = house
        .service
        .open_resource(&anna.user, &room, ResourceKind::Publisher)
        .await
        .unwrap();
    house.service.close_resource(&opened.1).await.unwrap();
    let config = RetentionConfig {
        call_events_days: 1,
        ..RetentionConfig::default()
    };
    store.prune(&config).await.unwrap();
    // The first round of `run` has renewed its leases and looked when it is needed next.
    let asked = |begins: &str| seen::statements().iter().any(|(sql, _)| sql.starts_with(begins));
    let begun = std::time::Instant::now();
    while !(asked("UPDATE call_resources SET lease_until") && asked("SELECT MIN(ms(next_deadline))")) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the service does not run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send_replace(true);
    running.await.unwrap();
}

/// 100,000 calls of 2,000 people in 20,000 groups, with what belongs to them. `AT(x)` is a stamp x seconds ago.
const FILL: [&str; 10] = [
    "INSERT INTO users (id, issuer, subject, name) SELECT 'u' || g, 'filled', 'u' || g, 'User ' || g FROM SERIES(100000)",
    "INSERT INTO chats (id, type, name, message_seq) SELECT 'g' || g, 'group', 'g' || g, 5 FROM SERIES(20000)",
    "INSERT INTO chat_participants (chat_id, user_id, role) SELECT 'g' || g, 'u' || ((g * 7 + k) % 2000 + 1), 'member' \
     FROM SERIES(20000) JOIN (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2) AS three ON 1 = 1",
    "INSERT INTO calls (id, chat_id, room_name, type, initiated_by, status, end_reason, created_at, started_at, ended_at, \
     group_rules, rev) SELECT 'k' || g, 'g' || (g % 20000 + 1), 'r' || g, 'audio', \
     'u' || ((g % 20000 + 1) * 7 % 2000 + 1), 'ended', 'hangup', AT(g * 60), AT(g * 60 - 5), AT(g * 60 - 50), TRUE, 9 \
     FROM SERIES(100000)",
    "INSERT INTO call_participants (call_id, user_id, status, role, joined_at, left_at, called_at) \
     SELECT 'k' || g, 'u' || (((g % 20000 + 1) * 7 + k) % 2000 + 1), CASE k WHEN 0 THEN 'left' ELSE 'missed' END, \
     'member', AT(g * 60), AT(g * 60 - 50), AT(g * 60) \
     FROM SERIES(100000) JOIN (SELECT 0 AS k UNION SELECT 1) AS two ON 1 = 1",
    "INSERT INTO call_events (call_id, seq, event_type, user_id, created_at) SELECT 'k' || g, k, 'call_ringing', \
     'u' || ((g % 20000 + 1) * 7 % 2000 + 1), AT(g * 60) \
     FROM SERIES(100000) JOIN (SELECT 1 AS k UNION SELECT 2 UNION SELECT 3) AS three ON 1 = 1",
    "INSERT INTO messages (id, chat_id, seq, sender_id, kind, call_id, content, created_at) SELECT 'm' || g, \
     'g' || (g % 20000 + 1), g / 20000 + 1, 'u' || ((g % 20000 + 1) * 7 % 2000 + 1), 'call', 'k' || g, '', AT(g * 60) \
     FROM SERIES(100000)",
    "INSERT INTO user_events (user_id, seq, op, payload, created_at) SELECT 'u' || (g % 2000 + 1), g / 2000 + 1, \
     'message', '{}', AT(100000 - g) FROM SERIES(100000)",
    "INSERT INTO user_event_counters (user_id, last_seq) SELECT 'u' || g, 51 FROM SERIES(2000)",
    "INSERT INTO client_commands (user_id, command_id, op, result, created_at) SELECT 'u' || (g % 2000 + 1), 'c' || g, \
     'send_message', '{}', AT(100000 - g) FROM SERIES(100000)",
];

fn filling(sql: &str, stamp: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("AT(") {
        let (argument, tail) = after.split_once(')').unwrap();
        out += before;
        out += &stamp(argument);
        rest = tail;
    }
    out += rest;
    let (before, after) = out.split_once("SERIES(").unwrap();
    let (count, tail) = after.split_once(')').unwrap();
    format!(
        "{before}(WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {count}) SELECT g FROM s) \
         AS series{tail}"
    )
}

async fn fill(db: &Db) {
    for sql in FILL {
        match db {
            Db::Postgres(pool) => {
                let sql = filling(sql, |x| format!("(now() - ({x}) * INTERVAL '1 second')"));
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
            }
            Db::Sqlite { writer, .. } => {
                let sql = filling(sql, |x| {
                    format!("(CAST(unixepoch('subsec') * 1000 AS INTEGER) - ({x}) * 1000)")
                });
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(writer).await.unwrap();
            }
        }
    }
    match db {
        Db::Postgres(pool) => drop(sqlx::raw_sql("ANALYZE").execute(pool).await.unwrap()),
        Db::Sqlite { writer, .. } => drop(sqlx::raw_sql("ANALYZE").execute(writer).await.unwrap()),
    }
}

fn literal(value: &Value) -> (&'static str, String) {
    match value {
        Value::Text(None) => ("text", "NULL".into()),
        Value::Text(Some(text)) => ("text", format!("'{}'", text.replace('\'', "''"))),
        Value::Int(value) => ("bigint", value.map_or("NULL".into(), |value| value.to_string())),
        Value::Bool(value) => ("boolean", value.to_string()),
    }
}

/// The lines of the plan that read a large table from end to end.
async fn scans(db: &Db, sql: &'static str, values: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    match db {
        Db::Postgres(pool) => {
            let mut connection = pool.acquire().await.unwrap();
            let (kinds, literals): (Vec<_>, Vec<_>) = values.iter().map(literal).unzip();
            let list = |items: &[String]| match items.is_empty() {
                true => String::new(),
                false => format!("({})", items.join(", ")),
            };
            let kinds: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
            let prepare = format!("PREPARE looked_at {} AS {sql}", list(&kinds));
            sqlx::raw_sql(AssertSqlSafe(prepare))
                .execute(&mut *connection)
                .await
                .unwrap();
            // What a server's cached statements use after a while, and what they use before.
            for mode in ["force_generic_plan", "force_custom_plan"] {
                let set = format!("SET plan_cache_mode = {mode}");
                sqlx::raw_sql(AssertSqlSafe(set))
                    .execute(&mut *connection)
                    .await
                    .unwrap();
                let explain = format!("EXPLAIN EXECUTE looked_at {}", list(&literals));
                let rows = sqlx::raw_sql(AssertSqlSafe(explain))
                    .fetch_all(&mut *connection)
                    .await
                    .unwrap();
                let lines = rows.iter().map(|row| row.get::<String, _>(0));
                found.extend(lines.filter(|line| {
                    let table = line
                        .split("Seq Scan on ")
                        .nth(1)
                        .and_then(|rest| rest.split(' ').next());
                    table.is_some_and(|table| LARGE.contains(&table))
                }));
            }
            sqlx::raw_sql("DEALLOCATE looked_at; RESET plan_cache_mode")
                .execute(&mut *connection)
                .await
                .unwrap();
        }
        Db::Sqlite { writer, .. } => {
            let mut text = for_sqlite(sql);
            for (n, value) in values.iter().enumerate().rev() {
                text = text.replace(&format!("${}", n + 1), &literal(value).1);
            }
            let explain = format!("EXPLAIN QUERY PLAN {text}");
            let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(writer).await.unwrap();
            let lines = rows.iter().map(|row| row.get::<String, _>("detail"));
            found.extend(lines.filter(|line| {
                // A partial index holds what is live or due only; `r` is call_resources.
                let partial = ["calls_next_deadline", "calls_one_live_per_chat", "call_resources"];
                let small = ["json_each", "CONSTANT ROW", "(subquery"];
                let small = line == "SCAN r" || small.iter().chain(&partial).any(|name| line.contains(name));
                line.starts_with("SCAN ") && !small
            }));
        }
    }
    found
}

/// The statements that were seen are those of the whole process, and `cargo test` runs other tests in it, on the other database
/// too: there this one is run again, in a process of its own. Whether that has been done.
fn done_in_a_process_of_its_own() -> bool {
    const ALONE: &str = "RINGHALL_TEST_ALONE";
    if std::env::var_os("NEXTEST").is_some() || std::env::var_os(ALONE).is_some() {
        return false;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &name]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {said}");
    true
}

both! {
    async fn every_statement_of_a_server_in_use_finds_its_rows_by_an_index(house: House) {
        if done_in_a_process_of_its_own() {
            return;
        }
        use_everything(&house).await;
        let statements = seen::statements();
        assert!(statements.len() > 60, "{} statements were looked at", statements.len());
        let db = &house.store().db;
        fill(db).await;
        let mut bad = Vec::new();
        for (sql, values) in &statements {
            let reads = ["SELECT", "UPDATE", "DELETE", "INSERT"].iter().any(|word| sql.starts_with(word));
            // Retention runs once an hour, in batches: for one, an end-to-end read may be the better plan.
            let hourly = sql.starts_with("DELETE") && sql.contains("LIMIT");
            if reads && !hourly && !sql.contains("set_config") && !sql.contains("erasure_pass") {
                let scans = scans(db, sql, values).await;
                if !scans.is_empty() {
                    bad.push(format!("{sql}\n    {scans:?}"));
                }
            }
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
        // The oracle sees a scan where there is one.
        let scan = "SELECT id FROM calls WHERE room_name LIKE '%7' OR end_reason = 'hangup'";
        assert!(!scans(db, scan, &[]).await.is_empty());
    }
}
