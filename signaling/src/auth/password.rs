//! Passwords of local accounts: Argon2id with the library's defaults (19 MiB, two passes; OWASP's first choice).

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Hashes computed at once. One takes 19 MiB and about 30 ms of a core; more at once would let a crowd of sign-ins
/// starve the calls. Further ones wait.
const AT_ONCE: usize = 2;

/// Longest password, bytes; hashing time grows with it.
const MAX_BYTES: usize = 1024;

/// The password does not fit the account, or there is no such account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wrong login or password")]
pub struct WrongPassword;

/// Computes and checks password hashes off the async threads.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Hash of nothing anybody knows: an unknown login costs as much time as a known one.
    decoy: Arc<str>,
}

impl Passwords {
    /// Ready to hash.
    ///
    /// # Errors
    /// When the system gives no randomness for a salt.
    pub fn new() -> Result<Self, argon2::password_hash::Error> {
        let decoy = hash(&rand::random::<[u8; 16]>())?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: decoy.into(),
        })
    }

    /// Hash of a new password, as a PHC string.
    ///
    /// # Errors
    /// [`WrongPassword`] for one that is too long, or when hashing is impossible.
    pub async fn hash(&self, password: &str) -> Result<String, WrongPassword> {
        if password.len() > MAX_BYTES {
            return Err(WrongPassword);
        }
        let password = password.as_bytes().to_vec();
        self.work(move || hash(&password).map_err(|_| WrongPassword)).await
    }

    /// Checks a password against a stored hash; `None` (no such account) takes as long and fails.
    ///
    /// # Errors
    /// [`WrongPassword`].
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<(), WrongPassword> {
        if password.len() > MAX_BYTES {
            return Err(WrongPassword);
        }
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.decoy).to_owned();
        let password = password.as_bytes().to_vec();
        let fits = self
            .work(move || {
                let parsed = PasswordHash::new(&stored).map_err(|_| WrongPassword)?;
                Argon2::default()
                    .verify_password(&password, &parsed)
                    .map_err(|_| WrongPassword)
            })
            .await;
        if known { fits } else { Err(WrongPassword) }
    }

    async fn work<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<T, WrongPassword> + Send + 'static,
    ) -> Result<T, WrongPassword> {
        let _turn = self.turns.acquire().await.map_err(|_| WrongPassword)?;
        tokio::task::spawn_blocking(f).await.map_err(|_| WrongPassword)?
    }
}

fn hash(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash = Argon2::default().hash_password(password)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert_eq!(passwords.verify("correct horse", Some(&stored)).await, Ok(()));
        assert_eq!(passwords.verify("wrong horse", Some(&stored)).await, Err(WrongPassword));
        assert_eq!(passwords.verify("correct horse", None).await, Err(WrongPassword));
        assert_eq!(
            passwords.verify("correct horse", Some("not a hash")).await,
            Err(WrongPassword)
        );
    }

    #[tokio::test]
    async fn an_endless_password_is_refused_unhashed() {
        let passwords = Passwords::new().unwrap();
        let long = "x".repeat(MAX_BYTES + 1);
        assert_eq!(passwords.hash(&long).await, Err(WrongPassword));
        assert_eq!(passwords.verify(&long, None).await, Err(WrongPassword));
    }
}
