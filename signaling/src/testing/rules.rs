//! What must hold of the tables after anything, whoever did it: shared by the tests of races and of crashes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::store::Store;
use crate::store::calls::look;

/// Each finds what may not be there.
const RULES: [(&str, &str); 12] = [
    (
        "one live call in a chat",
        "SELECT chat_id AS what FROM calls WHERE status IN ('ringing', 'ongoing') \
      GROUP BY chat_id HAVING count(*) > 1",
    ),
    (
        "one seat for a person",
        "SELECT user_id AS what FROM call_participants \
      WHERE status IN ('joined', 'reconnecting') GROUP BY user_id HAVING count(*) > 1",
    ),
    (
        "nobody sits or rings in a finished call",
        "SELECT p.call_id AS what FROM call_participants p \
      JOIN calls c ON c.id = p.call_id WHERE c.status NOT IN ('ringing', 'ongoing') \
      AND p.status IN ('joined', 'reconnecting', 'invited', 'ringing')",
    ),
    (
        "somebody sits in a live call",
        "SELECT id AS what FROM calls c WHERE status IN ('ringing', 'ongoing') \
      AND NOT EXISTS (SELECT 1 FROM call_participants p WHERE p.call_id = c.id AND p.status IN ('joined', 'reconnecting'))",
    ),
    (
        "a ringing call rings somebody",
        "SELECT id AS what FROM calls c WHERE status = 'ringing' AND NOT EXISTS \
      (SELECT 1 FROM call_participants p WHERE p.call_id = c.id AND p.status IN ('invited', 'ringing'))",
    ),
    (
        "a live call has a deadline",
        "SELECT id AS what FROM calls WHERE status IN ('ringing', 'ongoing') \
      AND next_deadline IS NULL",
    ),
    (
        "the record has no gap",
        "SELECT call_id AS what FROM call_events GROUP BY call_id \
      HAVING MIN(seq) <> 1 OR MAX(seq) <> count(*)",
    ),
    (
        "exactly a finished call has a message",
        "SELECT c.id AS what FROM calls c \
      WHERE (c.status IN ('ringing', 'ongoing')) = EXISTS (SELECT 1 FROM messages m WHERE m.call_id = c.id)",
    ),
    (
        "messages have no gap",
        "SELECT c.id AS what FROM chats c LEFT JOIN (SELECT chat_id, count(*) AS n, MAX(seq) AS s \
      FROM messages GROUP BY chat_id) m ON m.chat_id = c.id \
      WHERE c.message_seq <> COALESCE(m.n, 0) OR c.message_seq <> COALESCE(m.s, 0)",
    ),
    (
        "an outbox has no gap",
        "SELECT k.user_id AS what FROM user_event_counters k LEFT JOIN (SELECT user_id, \
      count(*) AS n, MAX(seq) AS s FROM user_events GROUP BY user_id) e ON e.user_id = k.user_id \
      WHERE k.last_seq <> COALESCE(e.n, 0) OR k.last_seq <> COALESCE(e.s, 0)",
    ),
    (
        "every participant is told the end once",
        "SELECT p.call_id AS what FROM call_participants p \
      JOIN calls c ON c.id = p.call_id LEFT JOIN (SELECT user_id, call_id, count(*) AS n FROM user_events \
      WHERE op = 'call_ended' GROUP BY user_id, call_id) e ON e.user_id = p.user_id AND e.call_id = p.call_id \
      WHERE (c.status IN ('ringing', 'ongoing') AND e.n IS NOT NULL) \
      OR (c.status NOT IN ('ringing', 'ongoing') AND COALESCE(e.n, 0) <> 1)",
    ),
    (
        "every command that is on record has its answer",
        "SELECT command_id AS what FROM client_commands \
      WHERE result IS NULL AND refusal IS NULL",
    ),
];

/// Checks the rules over one consistent state, and the state machine's own over every live call.
///
/// # Errors
/// The rule that is broken, and where; or the failure of the database.
pub async fn tables(store: &Store) -> Result<(), String> {
    let failed = |error: crate::store::StoreError| error.to_string();
    let mut tx = store.db.begin_read().await.map_err(failed)?;
    for (rule, sql) in RULES {
        let broken = tx.fetch_all(sql, vec![]).await.map_err(failed)?;
        let what: Vec<_> = broken.iter().take(3).map(|row| row.text("what")).collect();
        if !what.is_empty() {
            return Err(format!("{rule}: broken {} times, {what:?}", broken.len()));
        }
    }
    let live = "SELECT id FROM calls WHERE status IN ('ringing', 'ongoing')";
    for row in tx.fetch_all(live, vec![]).await.map_err(failed)? {
        let id = row.text("id").map_err(failed)?.into();
        if let Some(call) = look(&mut tx, &id).await.map_err(failed)? {
            call.check().map_err(|rule| format!("{rule}: {call:#?}"))?;
        }
    }
    Ok(())
}

/// A second opinion on what a call is: read from its record alone, knowing nothing of the state machine.
#[derive(Debug, Default)]
struct Life {
    starter: String,
    sitting: BTreeMap<String, i64>,
    sums: BTreeMap<String, i64>,
    barred: BTreeSet<String>,
    answered: Option<i64>,
    over: bool,
    last: i64,
}

impl Life {
    fn event(&mut self, seq: i64, kind: &str, user: Option<String>, metadata: &Json, at: i64) -> Result<(), String> {
        let must = |holds: bool, what: &str| {
            if holds {
                Ok(())
            } else {
                Err(format!("{seq} {kind} {user:?}: {what}"))
            }
        };
        must(!self.over, "after the end")?;
        must(at >= self.last, "time runs back")?;
        must((seq == 1) == (kind == "call_initiated"), "a call begins once")?;
        self.last = at;
        let who = user.clone().unwrap_or_default();
        match kind {
            "call_initiated" => self.starter = who,
            "call_participant_joined" => {
                must(!self.sitting.contains_key(&who), "sits already")?;
                must(!self.barred.contains(&who), "was removed")?;
                if who != self.starter && self.answered.is_none() {
                    self.answered = Some(at);
                }
                self.sitting.insert(who, at);
            }
            "call_participant_left" => {
                let since = self.sitting.remove(&who);
                must(since.is_some(), "did not sit")?;
                let stay = at - since.unwrap_or(at);
                must(metadata["durationMs"] == stay, "the stay is not what it says")?;
                *self.sums.entry(who).or_default() += stay;
            }
            "call_participant_kicked" => drop(self.barred.insert(who)),
            "call_invited" => drop(self.barred.remove(&who)),
            "call_accepted" | "call_rejected" | "call_missed" | "call_ringing" => {
                must(!self.sitting.contains_key(&who), "sits")?;
                must(
                    who != self.starter || kind != "call_ringing" || self.answered.is_some(),
                    "rings itself",
                )?;
            }
            "call_ended" => {
                must(self.sitting.is_empty(), "somebody still sits")?;
                self.over = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads every call's record, which must be a life that a call can have, and compares what it tells with what the rows
/// say. Returns how many calls there are.
///
/// # Errors
/// What does not fit; or the failure of the database.
pub async fn records(store: &Store) -> Result<usize, String> {
    read(store).await.map_err(|error| error.to_string())?
}

async fn read(store: &Store) -> Result<Result<usize, String>, crate::store::StoreError> {
    let mut tx = store.db.begin_read().await?;
    let mut lives: BTreeMap<String, Life> = BTreeMap::new();
    let events = "SELECT call_id, seq, event_type, user_id, metadata::text AS metadata, ms(created_at) AS at \
                  FROM call_events ORDER BY call_id, seq";
    for row in tx.fetch_all(events, vec![]).await? {
        let call = row.text("call_id")?;
        let metadata = serde_json::from_str(&row.text("metadata")?).unwrap_or_default();
        let (kind, user) = (row.text("event_type")?, row.opt_text("user_id")?);
        let life = lives.entry(call.clone()).or_default();
        if let Err(why) = life.event(row.int("seq")?, &kind, user, &metadata, row.int("at")?) {
            return Ok(Err(format!("{call}: {why}")));
        }
    }
    let nobody = Life::default();
    let calls = "SELECT c.id, c.status, ms(c.started_at) AS started, ms(c.ended_at) AS ended, h.type \
                 FROM calls c JOIN chats h ON h.id = c.chat_id";
    for row in tx.fetch_all(calls, vec![]).await? {
        let (id, status) = (row.text("id")?, row.text("status")?);
        let life = lives.get(&id).unwrap_or(&nobody);
        let room = row.text("type")? == "room";
        let fits = life.over == !matches!(status.as_str(), "ringing" | "ongoing")
            && (room || row.opt_int("started")? == life.answered)
            && (!life.over || row.opt_int("ended")? == Some(life.last));
        if !fits {
            return Ok(Err(format!("{id} is {status}, its record says {life:?}")));
        }
    }
    let people = "SELECT call_id, user_id, status, duration_ms FROM call_participants";
    for row in tx.fetch_all(people, vec![]).await? {
        let (call, user, status) = (row.text("call_id")?, row.text("user_id")?, row.text("status")?);
        let life = lives.get(&call).unwrap_or(&nobody);
        let sits = matches!(status.as_str(), "joined" | "reconnecting");
        let sum = life.sums.get(&user).copied().unwrap_or(0);
        if sits != life.sitting.contains_key(&user) || row.int("duration_ms")? != sum {
            return Ok(Err(format!("{user} in {call} is {status}, the record says {life:?}")));
        }
    }
    Ok(Ok(lives.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_no_call_can_have_is_noticed() {
        let json = serde_json::json!({"durationMs": 5});
        let event =
            |life: &mut Life, seq, kind: &str, user: &str, at| life.event(seq, kind, Some(user.into()), &json, at);
        let begun = || {
            let mut life = Life::default();
            event(&mut life, 1, "call_initiated", "a", 0).unwrap();
            event(&mut life, 2, "call_participant_joined", "a", 0).unwrap();
            life
        };
        assert!(
            event(&mut begun(), 3, "call_participant_joined", "a", 1).is_err(),
            "two seats"
        );
        assert!(
            event(&mut begun(), 3, "call_participant_left", "b", 1).is_err(),
            "left without sitting"
        );
        assert!(
            event(&mut begun(), 3, "call_participant_left", "a", 4).is_err(),
            "a wrong duration"
        );
        assert!(event(&mut begun(), 3, "call_participant_left", "a", 5).is_ok());
        assert!(
            event(&mut begun(), 3, "call_ended", "a", 5).is_err(),
            "ended with somebody in it"
        );
        assert!(
            event(&mut begun(), 3, "call_ringing", "b", -1).is_err(),
            "time runs back"
        );
    }
}
