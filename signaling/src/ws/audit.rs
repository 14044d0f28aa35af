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
    use super::*;

    #[test]
    fn a_quote_is_short_and_whole() {
        assert_eq!(quote("kick"), "kick");
        let long = "я".repeat(100);
        assert_eq!(quote(&long), "я".repeat(32));
        assert_eq!(quote(&format!("x{long}")).len(), 63, "no half character");
    }
}
