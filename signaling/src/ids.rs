//! Identifiers. All of them are strings on the wire, because a host application may bring its own user and chat ids.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
        #[serde(transparent)]
        #[ts(type = "string")]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self(value)
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self(value.to_owned())
            }
        }
    )+};
}

string_id! {
    /// A person, unique by (issuer, `sub`); for local accounts a UUID made by this server.
    UserId,
    /// A conversation: direct, group or room.
    ChatId,
    /// One call in a chat.
    CallId,
    /// One browser tab (a UUID that the tab keeps in its sessionStorage).
    DeviceId,
    /// One resumable WebSocket session.
    SessionId,
    /// A client-made id of one command; a repeat returns the stored answer.
    CommandId,
    /// A client-made id of one SDP offer; an answer names the offer it belongs to.
    OfferId,
    /// One chat message.
    MessageId,
}
