//! Answers to requests.

use std::net::SocketAddr;

use crypto::RTCCrypto;
use stun::attributes::{
    ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM, ATTR_UNKNOWN_ATTRIBUTES, ATTR_XORMAPPED_ADDRESS, AttrType,
};
use stun::error_code::{ErrorCode, ErrorCodeAttribute};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{Message, MessageType, Setter, TransactionId};
use stun::xoraddr::XorMappedAddress;

use crate::view::message_type;

/// A reply in the making. A part that cannot be written leaves the reply without it; nothing here can fail with what the
/// server puts in.
pub(crate) struct Reply {
    message: Message,
}

impl Reply {
    pub(crate) fn success(request: u16, transaction: TransactionId) -> Self {
        Self::new(request | message_type::SUCCESS, transaction)
    }

    pub(crate) fn error(request: u16, transaction: TransactionId, code: ErrorCode, reason: &str) -> Self {
        let mut reply = Self::new(request | message_type::ERROR, transaction);
        reply.add(&ErrorCodeAttribute {
            code,
            reason: reason.as_bytes().to_vec(),
        });
        reply
    }

    fn new(kind: u16, transaction: TransactionId) -> Self {
        let mut message = Message::new();
        let mut typ = MessageType::default();
        typ.read_value(kind);
        message.set_type(typ);
        message.transaction_id = transaction;
        message.write_header();
        Self { message }
    }

    fn add(&mut self, part: &dyn Setter) {
        let added = part.add_to(&mut self.message);
        debug_assert!(added.is_ok(), "{added:?}");
    }

    pub(crate) fn mapped(mut self, address: SocketAddr) -> Self {
        self.xor_address(ATTR_XORMAPPED_ADDRESS, address);
        self
    }

    pub(crate) fn xor_address(&mut self, kind: AttrType, address: SocketAddr) {
        let value = XorMappedAddress {
            ip: address.ip(),
            port: address.port(),
        };
        let added = value.add_to_as(&mut self.message, kind);
        debug_assert!(added.is_ok(), "{added:?}");
    }

    /// LIFETIME, in seconds.
    pub(crate) fn lifetime(&mut self, seconds: u32) {
        self.message.add(ATTR_LIFETIME, &seconds.to_be_bytes());
    }

    pub(crate) fn challenge(&mut self, realm: &str, nonce: &str) {
        self.message.add(ATTR_REALM, realm.as_bytes());
        self.message.add(ATTR_NONCE, nonce.as_bytes());
    }

    pub(crate) fn unknown(&mut self, unknown: &[AttrType]) {
        let value: Vec<u8> = unknown.iter().flat_map(|kind| kind.0.to_be_bytes()).collect();
        self.message.add(ATTR_UNKNOWN_ATTRIBUTES, &value);
    }

    pub(crate) fn raw(&mut self, kind: AttrType, value: &[u8]) {
        self.message.add(kind, value);
    }

    /// Writes the reply over `out`: signed when there is a key, with FINGERPRINT.
    pub(crate) fn finish(mut self, crypto: &dyn RTCCrypto, key: Option<&[u8; 16]>, out: &mut Vec<u8>) {
        if let Some(key) = key {
            self.add(&MessageIntegrity::new_raw_integrity_with_provider(
                key.as_slice(),
                crypto,
            ));
        }
        self.add(&FINGERPRINT);
        out.clear();
        out.extend_from_slice(&self.message.raw);
    }
}
