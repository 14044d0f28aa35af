//! Messages of a TURN connection over TCP or TLS (RFC 8656 section 12.5, RFC 8489 section 6.2.2), and the one message that
//! is written per payload.

use std::net::{IpAddr, SocketAddr};

use stun::message::{MAGIC_COOKIE, MESSAGE_HEADER_SIZE};

use crate::view::{CHANNEL_BYTES, message_type};

/// Bytes of a ChannelData header.
const CHANNEL_HEADER: usize = 4;

/// The bytes are no TURN: the connection is to be closed, because the next message cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Neither STUN nor ChannelData.
    #[error("neither a STUN message nor ChannelData begins here")]
    NotTurn,
    /// Longer than the owner takes.
    #[error("a message of {0} bytes is longer than allowed")]
    TooLong(usize),
}

/// Bytes of the first message in `received`, padding included; `None`: more have to come. The message itself, to be given
/// to [`crate::Server::handle`], may be as long. Messages over `max` bytes are an error, so that a client cannot make the
/// owner collect more.
///
/// # Errors
/// [`FramingError`].
pub fn first_message(received: &[u8], max: usize) -> Result<Option<usize>, FramingError> {
    let Some(head) = received.first_chunk::<CHANNEL_HEADER>() else {
        return match received.first() {
            None | Some(0..=3) => Ok(None),
            Some(first) if CHANNEL_BYTES.contains(first) => Ok(None),
            Some(_) => Err(FramingError::NotTurn),
        };
    };
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let whole = if CHANNEL_BYTES.contains(&head[0]) {
        CHANNEL_HEADER + length.next_multiple_of(4)
    } else if head[0] < 4 && length.is_multiple_of(4) {
        let cookie = received.get(4..received.len().min(8)).unwrap_or_default();
        if !MAGIC_COOKIE.to_be_bytes().starts_with(cookie) {
            return Err(FramingError::NotTurn);
        }
        MESSAGE_HEADER_SIZE + length
    } else {
        return Err(FramingError::NotTurn);
    };
    if whole > max {
        return Err(FramingError::TooLong(whole));
    }
    Ok((received.len() >= whole).then_some(whole))
}

/// Writes a Data indication: XOR-PEER-ADDRESS and DATA. `None` when the payload is too long for a message.
pub(crate) fn data_indication(
    transaction: [u8; 12],
    peer: SocketAddr,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    const XOR_PEER_ADDRESS: u16 = 0x0012;
    const DATA: u16 = 0x0013;
    let address = match peer.ip() {
        IpAddr::V4(_) => 8_u16,
        IpAddr::V6(_) => 20,
    };
    let length = usize::from(4 + address) + 4 + payload.len().next_multiple_of(4);
    let length = u16::try_from(length).ok()?;
    let pad = {
        let mut pad = [0; 16];
        pad[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        pad[4..].copy_from_slice(&transaction);
        pad
    };
    out.extend_from_slice(&message_type::DATA_INDICATION.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&pad);
    out.extend_from_slice(&XOR_PEER_ADDRESS.to_be_bytes());
    out.extend_from_slice(&address.to_be_bytes());
    out.extend_from_slice(&[0, if peer.is_ipv4() { 1 } else { 2 }]);
    out.extend_from_slice(&(peer.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes());
    match peer.ip() {
        IpAddr::V4(v4) => out.extend(v4.octets().iter().zip(pad).map(|(a, b)| a ^ b)),
        IpAddr::V6(v6) => out.extend(v6.octets().iter().zip(pad).map(|(a, b)| a ^ b)),
    }
    out.extend_from_slice(&DATA.to_be_bytes());
    out.extend_from_slice(&u16::try_from(payload.len()).ok()?.to_be_bytes());
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(4), 0);
    Some(())
}
