//! The people of a scenario: made in the server's database before it starts, as a host application would have, and their tokens.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use signaling::auth::{Claims, Grant};
use signaling::ids::{ChatId, UserId};
use signaling::store::Store;

use crate::scenario::Scenario;

use super::{ISSUER, ServerError};

/// How long a token is good: longer than any run.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3_600);

/// Users, chats, and what signs their tokens.
pub struct People {
    secret: String,
    /// Makes the names of this run its own, in a database that has seen other runs.
    run: String,
    users: Vec<UserId>,
    chats: Vec<ChatId>,
}

impl People {
    pub(super) async fn prepare(database: &str, scenario: &Scenario) -> Result<Self, ServerError> {
        let store = Store::connect(database).await?;
        store.migrate().await?;
        let mut people = Self {
            secret: hex(&rand::random::<[u8; 32]>()),
            run: hex(&rand::random::<[u8; 4]>()),
            users: Vec::new(),
            chats: Vec::new(),
        };
        if let Some(calls) = &scenario.calls {
            people.add(&store, calls.users).await?;
            for pair in people.users.chunks_exact(2) {
                people.chats.push(store.create_direct(&pair[0], &pair[1]).await?);
            }
        } else if let Some(idle) = &scenario.idle {
            people.add(&store, idle.users).await?;
        } else if let Some(resume) = &scenario.resume {
            people.add(&store, resume.users + 1).await?;
            let chat = store.create_group(&people.users[0], "resume", &people.users).await?;
            people.chats.push(chat);
        } else if let Some(rooms) = scenario.rooms.as_ref().filter(|r| r.ringing) {
            people.add(&store, rooms.count * rooms.members).await?;
            for members in people.users.chunks_exact(rooms.members.max(1)) {
                people
                    .chats
                    .push(store.create_group(&members[0], "load", members).await?);
            }
        }
        store.close().await;
        Ok(people)
    }

    async fn add(&mut self, store: &Store, count: usize) -> Result<(), ServerError> {
        for number in 0..count {
            let subject = self.subject(number);
            self.users.push(
                store
                    .upsert_host_user(ISSUER, &subject, &format!("Person {number}"), None)
                    .await?
                    .id,
            );
        }
        Ok(())
    }

    fn subject(&self, number: usize) -> String {
        format!("load-{}-{number}", self.run)
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// Everybody.
    pub fn users(&self) -> &[UserId] {
        &self.users
    }

    /// Chats: of pairs, or of whole rooms.
    pub fn chats(&self) -> &[ChatId] {
        &self.chats
    }

    /// A name that no other run uses.
    pub fn room_name(&self, number: usize) -> String {
        format!("load-{}-{number}", self.run)
    }

    /// Signs in person `number`.
    ///
    /// # Errors
    /// When claims cannot be signed.
    pub fn token(&self, number: usize) -> Result<String, ServerError> {
        self.sign(Claims {
            name: Some(format!("Person {number}")),
            ..Claims::new(self.subject(number).into(), TOKEN_TTL)
        })
    }

    /// Opens a room to somebody.
    ///
    /// # Errors
    /// When claims cannot be signed.
    pub fn room_token(&self, room: &str, identity: &str) -> Result<String, ServerError> {
        self.sign(Claims {
            name: Some(identity.to_owned()),
            room: Some(ChatId(room.to_owned())),
            grants: Some(vec![Grant::Publish, Grant::Subscribe]),
            ..Claims::new(identity.into(), TOKEN_TTL)
        })
    }

    fn sign(&self, claims: Claims) -> Result<String, ServerError> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            ..claims
        };
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
