//! First start: the one-time link makes the first account.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json as Answer;
use axum::extract::{ConnectInfo, State};
use serde::Deserialize;

use super::Problem;
use super::body::Json;
use super::session::{SessionAnswer, session};
use crate::app::App;
use crate::protocol::ErrorCode;

/// Shortest password of a new account, characters.
const MIN_PASSWORD_CHARS: usize = 8;

/// The one-time code of a first start; closed as soon as an account exists.
#[derive(Debug, Default)]
pub struct Setup {
    code: Mutex<Option<String>>,
}

impl Setup {
    /// Open for whoever has the code; `None`: there are accounts already.
    pub fn new(code: Option<String>) -> Self {
        Self { code: Mutex::new(code) }
    }

    /// Whether the first account is still to be made.
    pub(super) fn is_open(&self) -> bool {
        self.code.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes the code out when it fits, so that of two requests at once one gets it. Compared in constant time.
    fn take(&self, guess: &str) -> Option<String> {
        let mut code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = code.as_ref().is_some_and(|code| {
            let unequal = code.bytes().zip(guess.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b));
            code.len() == guess.len() && unequal == 0
        });
        if fits { code.take() } else { None }
    }

    fn put_back(&self, code: String) {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }
}

#[derive(Deserialize)]
pub(super) struct NewAccount {
    code: String,
    login: String,
    name: String,
    password: String,
}

impl NewAccount {
    /// What is wrong with it, in words for a developer; the page checks before it sends.
    fn fault(&self) -> Option<&'static str> {
        let login = self.login.chars().count();
        if !(1..=64).contains(&login) || !self.login.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c)) {
            return Some("login: 1 to 64 letters, digits, and . _ - @");
        }
        if self.name.trim().is_empty() || self.name.chars().count() > 128 {
            return Some("name: 1 to 128 characters");
        }
        if self.password.chars().count() < MIN_PASSWORD_CHARS {
            return Some("password: at least 8 characters");
        }
        None
    }
}

/// `POST /api/v1/setup`.
pub(super) async fn set_up(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(account): Json<NewAccount>,
) -> Result<Answer<SessionAnswer>, Problem> {
    app.count_attempt("(setup)", peer.ip())?;
    if let Some(fault) = account.fault() {
        return Err(Problem::new(ErrorCode::BadRequest, fault));
    }
    let Some(code) = app.setup.take(&account.code) else {
        return Err(match app.setup.is_open() {
            true => Problem::new(ErrorCode::Forbidden, "the code does not fit"),
            false => Problem::new(ErrorCode::Gone, "the server is set up already"),
        });
    };
    let made = async {
        let hash = app.passwords.hash(&account.password).await;
        let hash = hash.map_err(|_| Problem::new(ErrorCode::BadRequest, "password: too long"))?;
        Ok::<_, Problem>(
            app.service
                .store()
                .create_local_user(&account.login, account.name.trim(), &hash)
                .await?,
        )
    };
    match made.await {
        Ok(user) => {
            tracing::info!(user = %user.id, "the first account was made");
            session(&app, user)
        }
        Err(problem) => {
            app.setup.put_back(code);
            Err(problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_works_once_and_only_whole() {
        let setup = Setup::new(Some("abcdef".into()));
        for wrong in ["", "abcde", "abcdefg", "abcdeg"] {
            assert_eq!(setup.take(wrong), None);
        }
        assert!(setup.is_open());
        assert_eq!(setup.take("abcdef"), Some("abcdef".into()));
        assert_eq!(setup.take("abcdef"), None);
        assert!(!setup.is_open() && !Setup::new(None).is_open());
    }
}
