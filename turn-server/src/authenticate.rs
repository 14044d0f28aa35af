//! Whether a request is whose it claims to be (RFC 8489 section 9.2.4).

use std::net::SocketAddr;

use crypto::RTCCryptoProvider;
use smallvec::SmallVec;
use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME, AttrType};
use stun::error_code::{
    CODE_BAD_REQUEST, CODE_STALE_NONCE, CODE_UNAUTHORIZED, CODE_UNKNOWN_ATTRIBUTE, CODE_WRONG_CREDENTIALS, ErrorCode,
};

use crate::nonce::Verdict;
use crate::server::{Client, PROVIDER, Server, Time};
use crate::view::{View, message_type};

/// USERNAME is at most 508 bytes (RFC 8489 section 14.3).
const MAX_USERNAME: usize = 508;
/// Unknown attributes that an answer names.
const MAX_UNKNOWN: usize = 8;

/// An error answer.
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) reason: &'static str,
    /// REALM and NONCE are to be told.
    pub(crate) challenge: bool,
    pub(crate) unknown: SmallVec<[AttrType; MAX_UNKNOWN]>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            challenge: false,
            unknown: SmallVec::new(),
        }
    }

    fn challenge(code: ErrorCode, reason: &'static str) -> Self {
        Self {
            challenge: true,
            ..Self::new(code, reason)
        }
    }
}

/// Who has sent an authentic request.
pub(crate) struct Authentic<'a> {
    pub(crate) username: &'a str,
    /// The user behind the name.
    pub(crate) user: &'a str,
    pub(crate) key: [u8; 16],
}

impl Server {
    /// The sender of a request; what is refused here is refused to a stranger, so the answer is not signed.
    pub(crate) fn authenticate<'a>(
        &self,
        time: Time,
        client: Client,
        view: View<'a>,
    ) -> Result<Authentic<'a>, Refusal> {
        let crypto = PROVIDER.crypto();
        let unauthorized = || Refusal::challenge(CODE_UNAUTHORIZED, "Unauthorized");
        if !view.has_integrity() {
            return Err(unauthorized());
        }
        let bad = || {
            Refusal::new(
                CODE_BAD_REQUEST,
                "USERNAME, REALM and NONCE belong to MESSAGE-INTEGRITY",
            )
        };
        let (username, realm, nonce) = match (view.get(ATTR_USERNAME), view.get(ATTR_REALM), view.get(ATTR_NONCE)) {
            (Some(username), Some(realm), Some(nonce)) => (username, realm, nonce),
            _ => return Err(bad()),
        };
        if self.judge_nonce(time, client.remote(), nonce) == Verdict::Stale {
            return Err(Refusal::challenge(CODE_STALE_NONCE, "Stale Nonce"));
        }
        let username = Some(username)
            .filter(|name| name.len() <= MAX_USERNAME && realm == self.config.realm.as_bytes())
            .and_then(|name| std::str::from_utf8(name).ok())
            .ok_or_else(unauthorized)?;
        let claim = self.config.credentials.claim(username).ok_or_else(unauthorized)?;
        let of_client = self.of_client(time.now, client).map(|(allocation, _)| allocation);
        let same = of_client.filter(|a| *a.username == *username);
        let key = match same {
            Some(allocation) => Some(allocation.key),
            None => self.config.credentials.key(crypto, &self.config.realm, username),
        };
        let key = key
            .filter(|key| view.is_signed_with(crypto, key))
            .ok_or_else(unauthorized)?;
        // A browser cannot change its credentials in a call: the expiry counts when an allocation is made, no later.
        let expired = claim.expiry.is_some_and(|expiry| expiry < time.unix);
        if expired && view.message_type() == message_type::ALLOCATE && same.is_none() {
            return Err(Refusal::challenge(CODE_UNAUTHORIZED, "The credential has expired"));
        }
        Ok(Authentic {
            username,
            user: claim.user,
            key,
        })
    }

    fn judge_nonce(&self, time: Time, remote: SocketAddr, nonce: &[u8]) -> Verdict {
        self.nonces.judge(PROVIDER.crypto(), time.unix, remote, nonce)
    }

    /// An authentic request of somebody else than the owner of the allocation.
    pub(crate) fn wrong_owner() -> Refusal {
        Refusal::new(CODE_WRONG_CREDENTIALS, "The allocation belongs to another user")
    }
}

/// Refuses attributes that must be understood and are not among `known`; those of authentication are.
pub(crate) fn only(view: View<'_>, known: &[AttrType]) -> Result<(), Refusal> {
    let always = [ATTR_USERNAME, ATTR_REALM, ATTR_NONCE];
    let unknown: SmallVec<[AttrType; MAX_UNKNOWN]> = view
        .attributes()
        .map(|a| a.kind)
        .filter(|kind| kind.required() && !always.contains(kind) && !known.contains(kind))
        .take(MAX_UNKNOWN)
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut refusal = Refusal::new(CODE_UNKNOWN_ATTRIBUTE, "Unknown Attribute");
    refusal.unknown = unknown;
    Err(refusal)
}
