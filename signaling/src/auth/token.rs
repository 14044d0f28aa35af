//! JSON Web Tokens (RFC 7519), HS256 only. This server signs its own; a host application may sign with a shared secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{ChatId, UserId};

/// Issuer of the tokens that this server signs.
const OWN_ISSUER: &str = "ringhall";

/// How far a host's clock may be off, seconds.
const LEEWAY_SECONDS: u64 = 5;

/// Largest token that is looked at; a longer one is refused before any decoding.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A permission named in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// May send media.
    Publish,
    /// May receive media.
    Subscribe,
    /// May moderate calls.
    Moderate,
    /// A grant that this version does not know; ignored.
    #[serde(other)]
    Unknown,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The person: the host's user id, or a local account's.
    pub sub: UserId,
    /// Display name; a host's token carries it, so that nothing has to be registered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// The host's role for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Chats they may enter; absent: all that they are a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chats: Option<Vec<ChatId>>,
    /// The only room they may enter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<ChatId>,
    /// What they may do; absent: whatever their roles allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// End of validity, seconds since 1970.
    pub exp: u64,
    /// When it was issued, seconds since 1970. Somebody who was erased comes back with a token that is newer than that.
    #[serde(default, deserialize_with = "whole_seconds", skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Who signed.
    #[serde(default)]
    pub iss: String,
}

/// A NumericDate (RFC 7519, section 2), which may have a fraction; anything else is none, as before it was looked at.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
fn whole_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(value
        .as_f64()
        .filter(|seconds| *seconds >= 0.0)
        .map(|seconds| seconds as u64))
}

impl Claims {
    /// Claims for a local account or a room token, valid from now for `ttl`; [`Tokens::issue`] fills in the issuer.
    pub fn new(sub: UserId, ttl: Duration) -> Self {
        Self {
            sub,
            name: None,
            avatar: None,
            role: None,
            chats: None,
            room: None,
            grants: None,
            exp: unix_now().saturating_add(ttl.as_secs()),
            iat: Some(unix_now()),
            iss: OWN_ISSUER.to_owned(),
        }
    }

    /// Whether the token grants this; one without `grants` allows publish and subscribe, but never more.
    pub fn allows(&self, grant: Grant) -> bool {
        match &self.grants {
            Some(grants) => grants.contains(&grant),
            None => matches!(grant, Grant::Publish | Grant::Subscribe),
        }
    }

    /// Whether this server signed it for an account of its own.
    pub fn is_local(&self) -> bool {
        self.iss == OWN_ISSUER
    }

    /// Whether the token leaves this chat open; membership is checked besides.
    pub fn may_enter(&self, chat: &ChatId) -> bool {
        match (&self.room, &self.chats) {
            (Some(room), _) => room == chat,
            (None, Some(chats)) => chats.contains(chat),
            (None, None) => true,
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// Not a token, or not one that this server trusts.
    #[error("the token is not valid: it must be an HS256 JWT of a known issuer, with sub and exp")]
    Invalid,
}

/// A host application that signs tokens for its own users.
#[derive(Clone)]
pub struct HostIssuer {
    /// Its `iss`.
    pub issuer: String,
    /// The shared secret, at least 32 bytes.
    pub secret: Vec<u8>,
}

/// Signs and checks tokens.
pub struct Tokens {
    signing: EncodingKey,
    own: (DecodingKey, Validation),
    host: Option<(String, DecodingKey, Validation)>,
}

impl Tokens {
    /// With this server's own secret, and a host's where one is configured.
    pub fn new(secret: &[u8], host: Option<HostIssuer>) -> Self {
        Self {
            signing: EncodingKey::from_secret(secret),
            own: (DecodingKey::from_secret(secret), validation(OWN_ISSUER)),
            host: host.map(|h| {
                let check = validation(&h.issuer);
                (h.issuer, DecodingKey::from_secret(&h.secret), check)
            }),
        }
    }

    /// Signs claims with this server's own secret.
    ///
    /// # Errors
    /// Only when the claims cannot be serialised.
    pub fn issue(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
    }

    /// Checks a token's signature, issuer and time.
    ///
    /// # Errors
    /// [`TokenError::Expired`] for one that was good once, else [`TokenError::Invalid`].
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let checked = match self.check(token, &self.own.0, &self.own.1) {
            Err(TokenError::Invalid) => match &self.host {
                Some((_, key, validation)) => self.check(token, key, validation),
                None => Err(TokenError::Invalid),
            },
            other => other,
        }?;
        let subject = checked.sub.as_str();
        if subject.is_empty() || subject.len() > 128 || subject.chars().any(char::is_control) {
            return Err(TokenError::Invalid);
        }
        Ok(checked)
    }

    fn check(&self, token: &str, key: &DecodingKey, validation: &Validation) -> Result<Claims, TokenError> {
        match jsonwebtoken::decode::<Claims>(token, key, validation) {
            Ok(data) => Ok(data.claims),
            Err(e) if matches!(e.kind(), ErrorKind::ExpiredSignature) => Err(TokenError::Expired),
            Err(_) => Err(TokenError::Invalid),
        }
    }
}

fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_SECONDS;
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "sub", "iss"]);
    validation.validate_nbf = true;
    validation.validate_aud = false;
    validation
}

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &[u8] = b"0123456789abcdef0123456789abcdef";
    const THEIRS: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn tokens() -> Tokens {
        Tokens::new(
            OURS,
            Some(HostIssuer {
                issuer: "https://chat.example".into(),
                secret: THEIRS.to_vec(),
            }),
        )
    }

    fn signed(secret: &[u8], claims: &serde_json::Value) -> String {
        jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            claims,
            &EncodingKey::from_secret(secret),
        )
        .unwrap()
    }

    #[test]
    fn an_own_token_comes_back_as_it_was_issued() {
        let claims = Claims {
            name: Some("Иван".into()),
            ..Claims::new("ivan".into(), Duration::from_secs(60))
        };
        let token = tokens().issue(&claims).unwrap();
        assert_eq!(tokens().verify(&token), Ok(claims));
    }

    #[test]
    fn a_host_token_is_believed_only_with_the_hosts_issuer_and_secret() {
        let exp = unix_now() + 60;
        let claims = serde_json::json!({"sub": "42", "name": "Maria", "exp": exp, "iss": "https://chat.example"});
        assert_eq!(tokens().verify(&signed(THEIRS, &claims)).unwrap().sub, "42".into());
        assert_eq!(
            tokens().verify(&signed(OURS, &claims)),
            Err(TokenError::Invalid),
            "own secret, host's issuer"
        );
        let own = serde_json::json!({"sub": "42", "exp": exp, "iss": "ringhall"});
        assert_eq!(
            tokens().verify(&signed(THEIRS, &own)),
            Err(TokenError::Invalid),
            "host's secret, own issuer"
        );
    }

    #[test]
    fn the_time_of_issue_may_have_a_fraction_or_be_nonsense() {
        for (iat, read) in [
            ("1790000000.7", Some(1_790_000_000)),
            ("\"now\"", None),
            ("-1", None),
            ("null", None),
        ] {
            let iat: serde_json::Value = serde_json::from_str(iat).unwrap();
            let claims = serde_json::json!({"sub": "42", "exp": unix_now() + 60, "iss": "ringhall", "iat": iat});
            assert_eq!(tokens().verify(&signed(OURS, &claims)).unwrap().iat, read, "{claims}");
        }
    }

    #[test]
    fn an_expired_token_says_so_and_a_forged_expired_one_does_not() {
        let claims = serde_json::json!({"sub": "a", "exp": unix_now() - 60, "iss": "ringhall"});
        assert_eq!(tokens().verify(&signed(OURS, &claims)), Err(TokenError::Expired));
        assert_eq!(tokens().verify(&signed(b"guess", &claims)), Err(TokenError::Invalid));
    }

    #[test]
    fn unsigned_incomplete_and_huge_tokens_are_refused() {
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5LCJpc3MiOiJyaW5naGFsbCJ9.";
        assert_eq!(tokens().verify(none), Err(TokenError::Invalid));
        for claims in [
            serde_json::json!({"sub": "a", "iss": "ringhall"}),
            serde_json::json!({"exp": unix_now() + 60, "iss": "ringhall"}),
            serde_json::json!({"sub": "a", "exp": unix_now() + 60}),
            serde_json::json!({"sub": "", "exp": unix_now() + 60, "iss": "ringhall"}),
        ] {
            assert_eq!(
                tokens().verify(&signed(OURS, &claims)),
                Err(TokenError::Invalid),
                "{claims}"
            );
        }
        assert_eq!(
            tokens().verify(&"a".repeat(MAX_TOKEN_BYTES + 1)),
            Err(TokenError::Invalid)
        );
    }

    #[test]
    fn a_room_token_opens_that_room_only() {
        let mut claims = Claims::new("cam".into(), Duration::from_secs(60));
        assert!(claims.may_enter(&"any".into()));
        claims.chats = Some(vec!["a".into()]);
        assert!(claims.may_enter(&"a".into()) && !claims.may_enter(&"b".into()));
        claims.room = Some("demo".into());
        assert!(claims.may_enter(&"demo".into()) && !claims.may_enter(&"a".into()));
    }

    #[test]
    fn moderation_is_never_granted_by_silence() {
        let mut claims = Claims::new("cam".into(), Duration::from_secs(60));
        assert!(claims.allows(Grant::Publish) && !claims.allows(Grant::Moderate));
        claims.grants = Some(vec![Grant::Subscribe]);
        assert!(!claims.allows(Grant::Publish));
    }
}
