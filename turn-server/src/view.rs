//! A STUN message, read where it lies: nothing is copied and nothing allocated, because anybody may send one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crypto::{HmacAlgorithm, RTCCrypto};
use stun::attributes::{ATTR_FINGERPRINT, ATTR_MESSAGE_INTEGRITY, ATTR_USERNAME, AttrType};
use stun::fingerprint::fingerprint_value;
use stun::message::{ATTRIBUTE_HEADER_SIZE, MAGIC_COOKIE, MESSAGE_HEADER_SIZE, TransactionId};

/// Message types: the method of RFC 8656 section 17 with its class bits (RFC 8489 section 5).
pub(crate) mod message_type {
    pub(crate) const BINDING: u16 = 0x0001;
    pub(crate) const ALLOCATE: u16 = 0x0003;
    pub(crate) const REFRESH: u16 = 0x0004;
    pub(crate) const CREATE_PERMISSION: u16 = 0x0008;
    pub(crate) const CHANNEL_BIND: u16 = 0x0009;
    pub(crate) const SEND_INDICATION: u16 = 0x0016;
    pub(crate) const DATA_INDICATION: u16 = 0x0017;
    /// Added to a request's type.
    pub(crate) const SUCCESS: u16 = 0x0100;
    /// Added to a request's type.
    pub(crate) const ERROR: u16 = 0x0110;
}

/// First bytes of a channel number. RFC 8656 (section 12) ends at 0x4FFF, but clients written for RFC 5766 use all up to
/// 0x7FFF, and nothing else on a shared port begins so (RFC 7983).
pub(crate) const CHANNEL_BYTES: std::ops::RangeInclusive<u8> = 0x40..=0x7F;

/// Whether a datagram on a port that is shared with ICE, DTLS and RTP (RFC 7983) is for the TURN server: ChannelData, any
/// STUN method but Binding, and a Binding request without USERNAME, which is not a connectivity check.
pub fn claims(datagram: &[u8]) -> bool {
    match datagram.first() {
        Some(first) if CHANNEL_BYTES.contains(first) => true,
        Some(0..=3) => View::header(datagram).is_some_and(|view| {
            let kind = view.message_type();
            kind & !0x0110 != message_type::BINDING
                || kind == message_type::BINDING && !view.all().any(|a| a.kind == ATTR_USERNAME)
        }),
        _ => false,
    }
}

/// One attribute.
#[derive(Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: AttrType,
    pub(crate) value: &'a [u8],
    /// Where the attribute's header lies in the message.
    at: usize,
}

/// A well-formed STUN message.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// Only the header is looked at.
    fn header(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<MESSAGE_HEADER_SIZE>()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let sound = header[0] < 4
            && cookie == MAGIC_COOKIE
            && length.is_multiple_of(4)
            && bytes.len() == MESSAGE_HEADER_SIZE + length;
        sound.then_some(Self { bytes })
    }

    /// `None`: it is no STUN message, an attribute reaches over its end, or its FINGERPRINT is wrong or not the last.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let view = Self::header(bytes)?;
        let mut end = MESSAGE_HEADER_SIZE;
        let mut fingerprint = None;
        for attribute in view.all() {
            if fingerprint.is_some() {
                return None;
            }
            end = attribute.at + ATTRIBUTE_HEADER_SIZE + attribute.value.len().next_multiple_of(4);
            if attribute.kind == ATTR_FINGERPRINT {
                fingerprint = Some(attribute);
            }
        }
        if end != bytes.len() {
            return None;
        }
        if let Some(fingerprint) = fingerprint {
            let expected = fingerprint_value(bytes.get(..fingerprint.at)?);
            if fingerprint.value != expected.to_be_bytes() {
                return None;
            }
        }
        Some(view)
    }

    pub(crate) fn message_type(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    pub(crate) fn transaction(&self) -> TransactionId {
        let mut id = TransactionId::default();
        id.0.copy_from_slice(&self.bytes[8..MESSAGE_HEADER_SIZE]);
        id
    }

    fn all(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let bytes = self.bytes;
        let mut at = MESSAGE_HEADER_SIZE;
        std::iter::from_fn(move || {
            let header = bytes.get(at..)?.first_chunk::<ATTRIBUTE_HEADER_SIZE>()?;
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let start = at + ATTRIBUTE_HEADER_SIZE;
            let attribute = Attribute {
                kind: AttrType(u16::from_be_bytes([header[0], header[1]])),
                value: bytes.get(start..start + length)?,
                at,
            };
            at = start + length.next_multiple_of(4);
            Some(attribute)
        })
    }

    /// The attributes that may be believed once the message is authentic: those before MESSAGE-INTEGRITY, all when there
    /// is none. What is appended behind it is not covered by it (RFC 8489 section 14.5).
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.all()
            .take_while(|a| a.kind != ATTR_MESSAGE_INTEGRITY && a.kind != ATTR_FINGERPRINT)
    }

    /// The first attribute of a kind: later ones are ignored (RFC 8489 section 14).
    pub(crate) fn get(&self, kind: AttrType) -> Option<&'a [u8]> {
        self.attributes().find(|a| a.kind == kind).map(|a| a.value)
    }

    pub(crate) fn has_integrity(&self) -> bool {
        self.all().any(|a| a.kind == ATTR_MESSAGE_INTEGRITY)
    }

    /// Whether MESSAGE-INTEGRITY is there and was made with `key`.
    pub(crate) fn is_signed_with(&self, crypto: &dyn RTCCrypto, key: &[u8]) -> bool {
        let Some(integrity) = self.all().find(|a| a.kind == ATTR_MESSAGE_INTEGRITY) else {
            return false;
        };
        // The digest covers what stands before it, with a header length that ends with it.
        let length = integrity.at - MESSAGE_HEADER_SIZE + ATTRIBUTE_HEADER_SIZE + integrity.value.len();
        let Ok(length) = u16::try_from(length) else {
            return false;
        };
        let (Some(first), Some(rest)) = (self.bytes.get(..2), self.bytes.get(4..integrity.at)) else {
            return false;
        };
        crypto
            .new_hmac(HmacAlgorithm::Sha1, key)
            .and_then(|mut mac| mac.verify(&[first, &length.to_be_bytes(), rest], integrity.value))
            .is_ok()
    }

    /// An address of the XOR-MAPPED-ADDRESS form (RFC 8489 section 14.2), IPv4-mapped ones as what they are.
    pub(crate) fn xor_address(&self, value: &[u8]) -> Option<SocketAddr> {
        let (head, address) = value.split_first_chunk::<4>()?;
        let port = u16::from_be_bytes([head[2], head[3]]) ^ (MAGIC_COOKIE >> 16) as u16;
        let pad = &self.bytes[4..MESSAGE_HEADER_SIZE];
        let ip: IpAddr = match (head[1], address.len()) {
            (1, 4) => Ipv4Addr::from(xored::<4>(address, pad)?).into(),
            (2, 16) => Ipv6Addr::from(xored::<16>(address, pad)?).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip.to_canonical(), port))
    }

    /// Where a value that came from [`Self::get`] lies in the message.
    pub(crate) fn range_of(&self, value: &[u8]) -> std::ops::Range<usize> {
        let start = value.as_ptr() as usize - self.bytes.as_ptr() as usize;
        start..start + value.len()
    }
}

fn xored<const N: usize>(address: &[u8], pad: &[u8]) -> Option<[u8; N]> {
    let mut out: [u8; N] = address.try_into().ok()?;
    out.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
    Some(out)
}
