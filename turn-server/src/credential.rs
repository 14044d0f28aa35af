//! Who may allocate: time-limited credentials that the signaling server makes with a shared secret, and, for other uses,
//! users with a fixed password.
//!
//! A time-limited user name is `expiry:user`, with the expiry in seconds since 1970, and its password the base64 of
//! HMAC-SHA1(secret, user name): the form of draft-uberti-behave-turn-rest, so that an external TURN server with the same
//! secret takes them too.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crypto::{CryptoError, HashAlgorithm, HmacAlgorithm, RTCCrypto};

/// A user name and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// USERNAME of the requests.
    pub username: String,
    /// What the key is made from.
    pub password: String,
}

/// Makes a credential for `user` that can allocate until `expiry`, seconds since 1970.
///
/// # Errors
/// The provider has no HMAC-SHA1.
pub fn issue(crypto: &dyn RTCCrypto, secret: &[u8], user: &str, expiry: u64) -> Result<Credential, CryptoError> {
    let username = format!("{expiry}:{user}");
    let password = time_limited_password(crypto, secret, &username)?;
    Ok(Credential { username, password })
}

fn time_limited_password(crypto: &dyn RTCCrypto, secret: &[u8], username: &str) -> Result<String, CryptoError> {
    let mut digest = [0; 20];
    crypto
        .new_hmac(HmacAlgorithm::Sha1, secret)?
        .sign(&[username.as_bytes()], &mut digest)?;
    Ok(BASE64_STANDARD.encode(digest))
}

/// What credentials are checked against.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Secret of the time-limited ones; empty: there are none.
    pub secret: Vec<u8>,
    /// Users with a fixed password.
    pub users: HashMap<String, String>,
}

/// A name that a key could be made for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim<'a> {
    /// The user behind the name, without the expiry.
    pub(crate) user: &'a str,
    /// When it stops being good for a new allocation; `None`: never.
    pub(crate) expiry: Option<u64>,
}

impl Credentials {
    /// Reads a user name. Nothing is proven by it.
    pub(crate) fn claim<'a>(&self, username: &'a str) -> Option<Claim<'a>> {
        if self.users.contains_key(username) {
            return Some(Claim {
                user: username,
                expiry: None,
            });
        }
        if self.secret.is_empty() {
            return None;
        }
        let (expiry, user) = username.split_once(':')?;
        let digits = !expiry.is_empty() && expiry.bytes().all(|c| c.is_ascii_digit());
        let expiry = digits.then(|| expiry.parse().ok()).flatten()?;
        (!user.is_empty()).then_some(Claim {
            user,
            expiry: Some(expiry),
        })
    }

    /// The long-term key of a user name (RFC 8489 section 9.2.2): MD5(username ":" realm ":" password).
    pub(crate) fn key(&self, crypto: &dyn RTCCrypto, realm: &str, username: &str) -> Option<[u8; 16]> {
        let password = match self.users.get(username) {
            Some(password) => password.clone(),
            None => time_limited_password(crypto, &self.secret, username).ok()?,
        };
        long_term_key(crypto, realm, username, &password)
    }
}

pub(crate) fn long_term_key(crypto: &dyn RTCCrypto, realm: &str, username: &str, password: &str) -> Option<[u8; 16]> {
    let text = format!("{username}:{realm}:{password}");
    crypto.hash(HashAlgorithm::Md5, text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::RTCCryptoProvider;
    use crypto::providers::AwsLcRsProvider;

    static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();

    #[test]
    fn the_password_is_what_other_servers_expect() {
        // printf %s 1433895918:ivan | openssl dgst -sha1 -hmac north -binary | base64
        let made = issue(PROVIDER.crypto(), b"north", "ivan", 1_433_895_918).unwrap();
        assert_eq!(made.username, "1433895918:ivan");
        assert_eq!(made.password, "gZubXo7zaaadr7Moy9lEE9TaSoM=");
    }

    #[test]
    fn names_are_read_strictly() {
        let credentials = Credentials {
            secret: b"s".to_vec(),
            users: HashMap::from([("fixed".to_owned(), "pw".to_owned())]),
        };
        let claim = |name| credentials.claim(name).map(|c| (c.user, c.expiry));
        assert_eq!(claim("17:a:b"), Some(("a:b", Some(17))));
        assert_eq!(claim("fixed"), Some(("fixed", None)));
        for wrong in [
            "",
            ":",
            ":a",
            "17:",
            "17",
            "+17:a",
            "-1:a",
            "1e9:a",
            "99999999999999999999:a",
            "other",
        ] {
            assert_eq!(claim(wrong), None, "{wrong:?}");
        }
        let none = Credentials::default();
        assert_eq!(none.claim("17:a"), None, "without a secret nobody can have made it");
    }
}
