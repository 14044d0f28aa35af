//! The audit log (target `audit`): who moderated whom, and who was refused what.
//!
//! What a client sends decides how many refusals there are, so a connection has a budget of them; what exceeds it is
//! counted and said with the next line. What was done to others is always written.

use std::time::Instant;

use serde_json::Value;

use super::bucket::Bucket;
use super::session::Session;
use crate::protocol::{ErrorCode, Request, WireError};

/// Refusals a second of one connection, and at once.
const PER_SECOND: u32 = 1;
const BURST: u32 = 20;

/// Longest part of what a client sent that a line quotes, bytes.
const QUOTED: usize = 64;

/// The lines of one connection.
#[derive(Debug)]
pub(super) struct Audit {
    budget: Bucket,
    left_out: u64,
}

impl Audit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            budget: Bucket::new(PER_SECOND, BURST, now),
            left_out: 0,
        }
    }

    /// Notes a command and what became of it, where that is of interest later.
    pub(super) fn note(&mut self, session: &Session, request: &Request, result: &Result<Value, WireError>) {
        let code = match result {
            Ok(done) if moderates(request) && done.get("outcome") != Some(&Value::from("noop")) => None,
            Err(error) if refused(error.code) => Some(error.code),
            _ => return,
        };
        if code.is_some() && self.budget.take(Instant::now()).is_err() {
            self.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut self.left_out);
        let (user, device) = (&session.user, &session.device);
        let (op, call, whom) = (
            quote(&request.op),
            field(&request.d, "callId"),
            field(&request.d, "userId"),
        );
        match code {
            None => tracing::info!(target: "audit", %user, %device, op, call, whom, left_out, "moderated"),
            Some(code) => {
                tracing::warn!(target: "audit", %user, %device, op, call, whom, ?code, left_out, "refused");
            }
        }
    }
}

/// What one person does to others.
fn moderates(request: &Request) -> bool {
    match request.op.as_str() {
        "kick" | "lock" | "unlock" | "admit" | "deny" | "invite" | "end_call" => true,
        "mute" | "unmute" | "lower_hand" => request.d.get("userId").is_some_and(|user| !user.is_null()),
        _ => false,
    }
}

/// What an honest client seldom hears.
fn refused(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadRequest
            | ErrorCode::Unauthenticated
            | ErrorCode::Forbidden
            | ErrorCode::NotFound
            | ErrorCode::Kicked
            | ErrorCode::RateLimited
    )
}

fn field<'a>(d: &'a Value, name: &str) -> &'a str {
    quote(d.get(name).and_then(Value::as_str).unwrap_or_default())
}

fn quote(text: &str) -> &str {
    let mut end = text.len().min(QUOTED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::ws::session::tests::session;

    #[test]
    fn a_quote_is_short_and_whole() {
        assert_eq!(quote("kick"), "kick");
        let long = "я".repeat(100);
        assert_eq!(quote(&long), "я".repeat(32));
        assert_eq!(quote(&format!("x{long}")).len(), 63, "no half character");
    }

    /// What is written to it, line by line.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// Those of this log among everything that was written meanwhile, without their time.
        fn of<'a>(&self, does: impl FnOnce() + 'a) -> Vec<String> {
            let lines = self.clone();
            let writer = tracing_subscriber::fmt()
                .without_time()
                .with_ansi(false)
                .with_writer(move || lines.clone())
                .finish();
            tracing::subscriber::with_default(writer, does);
            let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
            let ours = text.lines().filter(|line| line.contains(" audit: "));
            ours.map(|line| line.trim().to_owned()).collect()
        }
    }

    fn request(op: &str, d: Value) -> Request {
        Request {
            id: "1".into(),
            op: op.into(),
            d,
        }
    }

    #[test]
    fn what_one_does_to_others_is_written_each_time_and_what_one_does_oneself_is_not() {
        let (session, _frames) = session("maria", "tab-1", 8);
        let done = || Ok(json!({ "outcome": "done" }));
        let lines = Lines::default().of(|| {
            let mut audit = Audit::new(Instant::now());
            for op in [
                "kick",
                "lock",
                "unlock",
                "admit",
                "deny",
                "invite",
                "end_call",
                "mute",
                "unmute",
                "lower_hand",
            ] {
                audit.note(
                    &session,
                    &request(op, json!({ "callId": "c", "userId": "ivan" })),
                    &done(),
                );
            }
            for op in [
                "mute",
                "unmute",
                "lower_hand",
                "leave_call",
                "accept_call",
                "send_message",
            ] {
                audit.note(&session, &request(op, json!({ "callId": "c" })), &done());
            }
            let nothing = Ok(json!({ "outcome": "noop" }));
            audit.note(
                &session,
                &request("kick", json!({ "callId": "c", "userId": "ivan" })),
                &nothing,
            );
        });
        assert_eq!(lines.len(), 10, "{lines:#?}");
        for part in [
            "moderated",
            "user=maria",
            "device=tab-1",
            "op=\"kick\"",
            "call=\"c\"",
            "whom=\"ivan\"",
        ] {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
    }

    #[test]
    fn refusals_are_written_within_a_budget_and_those_left_out_are_counted() {
        let (session, _frames) = session("maria", "tab-1", 8);
        let foreign = request("end_call", json!({ "callId": "someone-elses" }));
        let refused = |code| Err(WireError::new(code, "no"));
        let lines = Lines::default().of(|| {
            let mut audit = Audit::new(Instant::now());
            audit.note(&session, &foreign, &refused(ErrorCode::BusySelf)); // an honest client hears that
            for _ in 0..100 {
                audit.note(&session, &foreign, &refused(ErrorCode::NotFound));
            }
            audit.note(&session, &foreign, &Ok(json!({ "outcome": "done" })));
        });
        let budget = BURST as usize;
        assert!((budget + 1..budget + 10).contains(&lines.len()), "{}", lines.len());
        let (last, refusals) = lines.split_last().unwrap();
        assert!(
            refusals.iter().all(|line| line.contains("code=NotFound")),
            "{refusals:#?}"
        );
        let left_out = 100 - refusals.len();
        assert!(
            last.contains("moderated") && last.contains(&format!("left_out={left_out}")),
            "{last}"
        );
    }
}
