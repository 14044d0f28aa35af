//! The service on a real database: every command by its door, and every one of them sent twice.

use serde_json::Value as Json;

use super::reference::{Path, Who};
use super::*;
use crate::service::{Link, ServiceError};
use crate::store::calls::look;
use crate::store::db::args;

/// A database, and what runs its futures; shared by all cases.
pub(super) struct Town {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) house: House,
}

/// One case: people and chats of its own.
pub(super) struct Database<'a> {
    town: &'a Town,
    case: i64,
    chats: Vec<ChatId>,
    calls: Vec<CallId>,
    read: Vec<u64>,
    /// Missed calls that each has not seen, as a tab counts them.
    missed: Vec<u32>,
}

impl<'a> Database<'a> {
    pub(super) fn new(town: &'a Town, case: i64, now: i64) -> Self {
        town.house.freeze_clock(now);
        let mut world = Self {
            town,
            case,
            chats: Vec::new(),
            calls: Vec::new(),
            read: vec![0; PEOPLE],
            missed: vec![0; PEOPLE],
        };
        town.runtime.block_on(world.settle_in()).unwrap();
        world
    }

    async fn settle_in(&mut self) -> Result<(), ServiceError> {
        let store = self.town.house.store();
        for who in 0..PEOPLE {
            self.town.house.person(self.user(who).as_str()).await;
        }
        let guest = self.user(reference::GUEST);
        let sql = "UPDATE users SET guest = true WHERE id = $1";
        let mut tx = store.db.begin().await?;
        tx.execute(sql, args![guest.as_str()]).await?;
        tx.commit().await?;
        for (n, place) in places().iter().enumerate() {
            let members: Vec<UserId> = place.members.keys().map(|who| self.user(*who)).collect();
            let owner = place
                .members
                .iter()
                .find(|(_, runs)| **runs)
                .map(|(who, _)| self.user(*who));
            let chat = match (place.kind, owner) {
                (ChatType::Direct, _) => store.create_direct(&members[0], &members[1]).await?,
                (ChatType::Group, Some(owner)) => store.create_group(&owner, "team", &members).await?,
                (ChatType::Room, Some(owner)) => {
                    let room = store
                        .create_room(&owner, &format!("room-{}-{n}", self.case), place.lobby)
                        .await?;
                    for member in members.iter().filter(|member| **member != owner) {
                        store.add_member(&room, member, ChatRole::Member).await?;
                    }
                    room
                }
                other => panic!("{other:?}"),
            };
            self.chats.push(chat);
        }
        Ok(())
    }

    /// Ends what is left, so that the next case has the clock for itself.
    pub(super) fn finish(&mut self) {
        for call in self.calls.clone() {
            self.observe(&Observed::Terminated(call));
        }
    }

    async fn events(&mut self) -> Result<Vec<(Who, String)>, ServiceError> {
        let mut told = Vec::new();
        for who in 0..PEOPLE {
            let events = self
                .town
                .house
                .service
                .events_after(&self.user(who), self.read[who], 10_000)
                .await?;
            for event in events {
                assert_eq!(event.seq, self.read[who] + 1, "the outbox is gapless");
                self.read[who] = event.seq;
                if event.op == "calls_seen" {
                    // The reference has no count; what a tab would show is held against the store's below.
                    self.missed[who] = serde_json::from_value(event.d["unseen"].clone()).unwrap();
                    continue;
                }
                self.missed[who] += u32::from(event.op == "call_missed");
                told.push((who, self.words(&event)));
            }
            let counted = self.town.house.service.unseen_calls(&self.user(who)).await?;
            assert_eq!(
                self.missed[who], counted,
                "the count of missed calls that u{who} was told"
            );
        }
        Ok(told)
    }

    fn words(&self, event: &Event) -> String {
        let d = &event.d;
        let call = event.call_id.as_ref().map(CallId::as_str).or(d["callId"].as_str());
        let call = call.or(d["call"]["callId"].as_str());
        let at = self.calls.iter().position(|id| Some(id.as_str()) == call);
        let at = at.unwrap_or_else(|| panic!("of which call is {event:?}"));
        let text = |value: &Json| value.as_str().unwrap_or_else(|| panic!("{event:?}")).to_owned();
        let who = |value: &Json| number(&text(value));
        let tab = |value: &Json| number(&text(value));
        let rest = match event.op.as_str() {
            "incoming_call" => format!(" silent={}", d["silent"]),
            "call_accepted" => format!(" u{}", who(&d["userId"])),
            "call_rejected" => format!(" u{} {}", who(&d["userId"]), text(&d["reason"])),
            "call_answered_elsewhere" | "seat_moved" => format!(" t{}", tab(&d["device"])),
            "kicked" => format!(" u{}", who(&d["by"]["id"])),
            "waiting_status" => format!(" {} t{}", text(&d["status"]), tab(&d["device"])),
            "call_ended" => format!(" [{},{}] {}", d["status"], d["reason"], d["duration"]),
            _ => String::new(),
        };
        format!("{} {at}{rest}", event.op)
    }
}

impl World for Database<'_> {
    fn user(&self, who: Who) -> UserId {
        format!("case-{}-u{who}", self.case).into()
    }

    fn chat(&self, chat: usize) -> ChatId {
        self.chats[chat].clone()
    }

    fn call(&self, call: usize) -> CallId {
        self.calls[call].clone()
    }

    fn count(&self) -> usize {
        self.calls.len()
    }

    fn set_clock(&mut self, now: i64) {
        self.town.house.freeze_clock(now);
    }

    fn next_due(&mut self) -> Option<i64> {
        self.town.runtime.block_on(async {
            let mut tx = self.town.house.store().db.begin_read().await.unwrap();
            let sql = "SELECT MIN(ms(next_deadline)) AS at FROM calls WHERE next_deadline IS NOT NULL";
            let row = tx.fetch_optional(sql, vec![]).await.unwrap().unwrap();
            row.opt_int("at").unwrap()
        })
    }

    fn sweep(&mut self) {
        self.town.runtime.block_on(self.town.house.service.sweep()).unwrap();
    }

    fn command(&mut self, actor: &Actor, command: Command) -> Result<String, ErrorCode> {
        let n = self.town.house.commands.fetch_add(1, Ordering::Relaxed);
        let id = format!("step-{n}").into();
        let service = &self.town.house.service;
        let first = self.town.runtime.block_on(service.command(actor, &id, command.clone()));
        let again = self.town.runtime.block_on(service.command(actor, &id, command));
        assert_eq!(first, again, "a repeat is answered from the store");
        let done = first.map_err(|error| error.code)?;
        let outcome = done["outcome"].as_str().unwrap().to_owned();
        if outcome == "created" {
            self.calls.push(done["callId"].as_str().unwrap().into());
        }
        Ok(outcome)
    }

    fn observe(&mut self, seen: &Observed) {
        let service = &self.town.house.service;
        let seen = async {
            match seen {
                Observed::Socket { who, lost: true } => service.seat_lost(who, Link::Socket).await,
                Observed::Socket { who, lost: false } => service.seat_back(who, Link::Socket).await,
                Observed::Media { call, who, path } => match path {
                    Path::Flows => service.media_connected(call, who).await,
                    Path::Silent => service.media_lost(call, who).await,
                    Path::Never => service.media_failed(call, who).await,
                },
                Observed::Terminated(call) => service.terminate(call).await,
                Observed::RoomFailed(call) => service.room_failed(call).await,
            }
        };
        self.town.runtime.block_on(seen).unwrap();
    }

    fn restart(&mut self) {
        self.town.runtime.block_on(self.town.house.service.start_up()).unwrap();
    }

    fn calls(&mut self) -> Vec<Call> {
        self.town.runtime.block_on(async {
            let mut tx = self.town.house.store().db.begin_read().await.unwrap();
            let mut calls = Vec::new();
            for id in &self.calls {
                calls.push(look(&mut tx, id).await.unwrap().unwrap());
            }
            calls
        })
    }

    fn told(&mut self) -> Vec<(Who, String)> {
        let runtime = &self.town.runtime;
        runtime.block_on(self.events()).unwrap()
    }
}
