//! Connectivity checks: a Binding request is verified before anything in it is believed, and answered (RFC 8445 §7.3,
//! RFC 8489).

use std::net::SocketAddr;

use crypto::RTCCrypto;
use shared::error::Error;
use stun::attributes::{
    ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_UNKNOWN_ATTRIBUTES,
    ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use stun::error_code::{CODE_ROLE_CONFLICT, CODE_UNKNOWN_ATTRIBUTE};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, MESSAGE_HEADER_SIZE, Message, Setter};
use stun::xoraddr::XorMappedAddress;

use super::{DropReason, IceCredentials};

/// No honest check is longer; what is longer is not even parsed.
const MAX_CHECK_BYTES: usize = 1280;

/// The two ends' credentials of one ICE generation.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) local: IceCredentials,
    pub(crate) remote: IceCredentials,
}

impl Generation {
    /// Whether a USERNAME, `local:remote`, is of this generation.
    fn is_named_by(&self, username: &[u8]) -> bool {
        let split = username
            .split(|c| *c == b':')
            .collect::<smallvec::SmallVec<[&[u8]; 2]>>();
        matches!(split[..], [local, remote]
            if local == self.local.ufrag.as_bytes() && remote == self.remote.ufrag.as_bytes())
    }
}

/// An authentic check and what to answer.
#[derive(Debug)]
pub(crate) struct Check {
    /// USE-CANDIDATE: the peer wants packets to go this way. Only when the answer is a success.
    pub(crate) nominates: bool,
    /// Whether the answer is a success; else (role conflict, an attribute that must be understood and is not) the check
    /// validates nothing.
    pub(crate) accepted: bool,
    /// Index into the generations of the one it was made with.
    pub(crate) generation: usize,
    /// The datagram to send back.
    pub(crate) answer: Vec<u8>,
}

/// Verifies a datagram as a check of one of `generations` and makes the answer. `from` is the peer's address, for
/// XOR-MAPPED-ADDRESS.
pub(crate) fn verify(
    crypto: &dyn RTCCrypto,
    generations: &[Generation],
    from: SocketAddr,
    datagram: &[u8],
) -> Result<Check, DropReason> {
    if datagram.len() > MAX_CHECK_BYTES || datagram.len() < MESSAGE_HEADER_SIZE {
        return Err(DropReason::Malformed);
    }
    let mut request = Message::default();
    request.unmarshal_binary(datagram).map_err(|_| DropReason::Malformed)?;
    if request.typ != BINDING_REQUEST {
        return Err(DropReason::Unexpected);
    }
    // The library takes a message with bytes behind it, and a FINGERPRINT that is not the last attribute.
    if datagram.len() != MESSAGE_HEADER_SIZE + request.length as usize
        || request
            .attributes
            .0
            .last()
            .is_none_or(|last| last.typ != ATTR_FINGERPRINT)
    {
        return Err(DropReason::Malformed);
    }
    FINGERPRINT.check(&request).map_err(|_| DropReason::NotAuthentic)?;
    // Only what stands before the integrity attribute is covered by it; whatever an attacker appends behind is not read.
    let covered = request
        .attributes
        .0
        .iter()
        .position(|a| a.typ == ATTR_MESSAGE_INTEGRITY)
        .ok_or(DropReason::NotAuthentic)?;
    let has = |request: &Message, wanted: AttrType| request.attributes.0.iter().take(covered).any(|a| a.typ == wanted);
    let generation = request
        .attributes
        .0
        .iter()
        .take(covered)
        .find(|a| a.typ == ATTR_USERNAME)
        .and_then(|name| generations.iter().position(|g| g.is_named_by(&name.value)))
        .ok_or(DropReason::NotAuthentic)?;
    let pwd = &generations.get(generation).ok_or(DropReason::NotAuthentic)?.local.pwd;
    MessageIntegrity::check(&mut request, pwd.as_bytes(), crypto).map_err(|_| DropReason::NotAuthentic)?;

    // From here on it is the peer.
    let unknown: Vec<AttrType> = request
        .attributes
        .0
        .iter()
        .take(covered)
        .map(|a| a.typ)
        .filter(|typ| typ.required() && ![ATTR_USERNAME, ATTR_PRIORITY, ATTR_USE_CANDIDATE].contains(typ))
        .collect();
    let conflict = has(&request, ATTR_ICE_CONTROLLED);
    let answer = if !unknown.is_empty() {
        error_unknown(crypto, &request, pwd, &unknown)
    } else if conflict {
        // An ICE-lite agent is always controlled (RFC 8445 §6.1.1): the peer has to change its role.
        build(crypto, pwd, &[&request, &BINDING_ERROR, &CODE_ROLE_CONFLICT])
    } else {
        let mapped = XorMappedAddress {
            ip: from.ip(),
            port: from.port(),
        };
        build(crypto, pwd, &[&request, &BINDING_SUCCESS, &mapped])
    };
    let accepted = unknown.is_empty() && !conflict;
    Ok(Check {
        nominates: accepted && has(&request, ATTR_USE_CANDIDATE),
        accepted,
        generation,
        answer: answer.map_err(|_| DropReason::Malformed)?,
    })
}

fn error_unknown(crypto: &dyn RTCCrypto, request: &Message, pwd: &str, unknown: &[AttrType]) -> Result<Vec<u8>, Error> {
    struct Unknown<'a>(&'a [AttrType]);
    impl Setter for Unknown<'_> {
        fn add_to(&self, message: &mut Message) -> Result<(), Error> {
            let value: Vec<u8> = self
                .0
                .iter()
                .take(8)
                .flat_map(|typ| typ.value().to_be_bytes())
                .collect();
            message.add(ATTR_UNKNOWN_ATTRIBUTES, &value);
            Ok(())
        }
    }
    build(
        crypto,
        pwd,
        &[request, &BINDING_ERROR, &CODE_UNKNOWN_ATTRIBUTE, &Unknown(unknown)],
    )
}

/// A response: transaction id (copied from the first setter), type, attributes, integrity, fingerprint.
fn build(crypto: &dyn RTCCrypto, pwd: &str, parts: &[&dyn Setter]) -> Result<Vec<u8>, Error> {
    let mut message = Message::new();
    message.write_header();
    for part in parts {
        part.add_to(&mut message)?;
    }
    MessageIntegrity::new_short_term_integrity_with_provider(pwd.to_owned(), crypto).add_to(&mut message)?;
    FINGERPRINT.add_to(&mut message)?;
    Ok(message.raw)
}
