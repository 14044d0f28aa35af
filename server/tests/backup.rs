//! `ringhall backup` of a database in use, `ringhall restore` into an empty place, on both databases.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use signaling::calls::CallConfig;
use signaling::ids::UserId;
use signaling::protocol::{CallStatus, CallType, Command as Op, StartCall};
use signaling::service::{Actor, LocalBus, Service};
use signaling::store::Store;
use signaling::testing::{Kind, TestDatabase};

fn ringhall(data: &Path, url: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringhall"));
    command
        .args(arguments)
        .env("RINGHALL_DATA_DIR", data)
        .env_remove("RINGHALL_CONFIG");
    match url {
        Some(url) => command.env("RINGHALL_DATABASE_URL", url),
        None => command.env_remove("RINGHALL_DATABASE_URL"),
    };
    command.output().unwrap()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output, word: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(word), "{text}");
}

async fn kept_and_put_back(kind: Kind) {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = TestDatabase::new(kind).await;
    let other = TestDatabase::new(kind).await;
    let (url, other_url) = match kind {
        Kind::Postgres => (Some(database.url()), Some(other.url())),
        Kind::Sqlite => (None, None),
    };
    // A token makes the secrets, and is good after the restore only if they came along.
    let token = |data: &Path, url| {
        let made = ringhall(data, url, &["token", "--room", "r", "--identity", "i", "--publish"]);
        done(&made);
    };
    token(old.path(), url);
    done(&ringhall(old.path(), url, &["migrate"]));
    let place = |folder: &Path, url: Option<&str>| {
        url.map_or_else(
            || format!("sqlite:{}", folder.join("ringhall.db").display()),
            str::to_owned,
        )
    };
    let store = Store::connect(&place(old.path(), url)).await.unwrap();
    let mut people: Vec<UserId> = Vec::new();
    for name in ["ivan", "maria"] {
        people.push(store.create_local_user(name, name, "hash").await.unwrap().id);
    }
    let chat = store.create_direct(&people[0], &people[1]).await.unwrap();
    let service = Service::new(store.clone(), Arc::new(LocalBus::new()), CallConfig::default(), "node");
    let start = Op::StartCall(StartCall {
        chat_id: chat.clone(),
        call_type: CallType::Audio,
        invitees: None,
        leave: None,
    });
    let actor = |user: &UserId| Actor {
        user: user.clone(),
        device: "tab".into(),
    };
    let says = |content: &str| -> Op {
        let text = serde_json::json!({ "op": "send_message", "d": { "chatId": chat, "content": content } });
        serde_json::from_value(text).unwrap()
    };
    let call = service.command(&actor(&people[0]), &"c1".into(), start).await.unwrap();
    let call = call["callId"].as_str().unwrap().to_owned();
    service
        .command(&actor(&people[0]), &"c2".into(), says("привіт"))
        .await
        .unwrap();
    let epoch = store.epoch().await.unwrap();

    // The store stays open, as a server's does.
    let folder = old.path().join("kept");
    let folder_text = folder.to_str().unwrap();
    done(&ringhall(old.path(), url, &["backup", folder_text]));
    refused(&ringhall(old.path(), url, &["backup", folder_text]), "is there already");
    // What comes later is not in it.
    service
        .command(&actor(&people[0]), &"c3".into(), says("later"))
        .await
        .unwrap();

    done(&ringhall(new.path(), other_url, &["restore", folder_text]));
    refused(
        &ringhall(new.path(), other_url, &["restore", folder_text]),
        "is there already",
    );
    let again = Store::connect(&place(new.path(), other_url)).await.unwrap();
    let found = again.call(&call.as_str().into()).await.unwrap().unwrap();
    assert_eq!(found.status, CallStatus::Ringing);
    assert_eq!(again.user_by_login("maria").await.unwrap().unwrap().user.id, people[1]);
    assert_eq!(
        again.epoch().await.unwrap(),
        epoch + 1,
        "pages must not go on from another past"
    );
    let data = again.export_user(&people[0]).await.unwrap().unwrap();
    let text = serde_json::to_string(&data).unwrap();
    assert!(text.contains("привіт") && !text.contains("later"), "{text}");
    for name in ["token-secret", "turn-secret", "node-id"] {
        let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        assert_eq!(read(old.path()), read(new.path()), "{name}");
    }
    // A folder that is no backup, and one of the other kind of database.
    let empty = tempfile::tempdir().unwrap();
    refused(
        &ringhall(empty.path(), other_url, &["restore", new.path().to_str().unwrap()]),
        "ringhall backup",
    );
    let wrong = match kind {
        Kind::Sqlite => Some("postgres://nobody@127.0.0.1:1/none"),
        Kind::Postgres => None,
    };
    refused(
        &ringhall(empty.path(), wrong, &["restore", folder_text]),
        "another kind",
    );
    store.close().await;
    again.close().await;
}

#[tokio::test]
async fn calls_texts_people_and_secrets_are_kept_and_put_back_on_sqlite() {
    kept_and_put_back(Kind::Sqlite).await;
}

#[tokio::test]
async fn calls_texts_people_and_secrets_are_kept_and_put_back_on_postgres() {
    kept_and_put_back(Kind::Postgres).await;
}
