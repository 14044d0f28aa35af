//! SRTP and SRTCP (RFC 3711, RFC 7714), sealed and opened in place, without an allocation per packet.

mod cipher;
mod inbound;
mod keys;
mod outbound;
mod packet;
mod streams;
#[cfg(test)]
mod tests;
mod window;

use crypto::{CryptoError, RTCCrypto};

pub(crate) use inbound::{Inbound, Opened, Origin};
pub(crate) use keys::Profile;
pub(crate) use outbound::Outbound;

use cipher::Ciphers;
use keys::Master;

/// Both directions of one transport.
pub(crate) struct Srtp {
    /// What the peer sends.
    pub(crate) inbound: Inbound,
    /// What we send.
    pub(crate) outbound: Outbound,
}

impl Srtp {
    /// From the keying material that the DTLS server (us) exported, `profile.exported_len()` bytes.
    pub(crate) fn server(crypto: &dyn RTCCrypto, profile: Profile, exported: &[u8]) -> Result<Self, CryptoError> {
        let (client, server) = Master::split(profile, exported).ok_or(CryptoError::InvalidKeyLength {
            expected: profile.exported_len(),
            actual: exported.len(),
        })?;
        Ok(Self {
            inbound: Inbound::new(Ciphers::new(crypto, profile, &client)?),
            outbound: Outbound::new(Ciphers::new(crypto, profile, &server)?),
        })
    }

    /// The other end: what the DTLS client makes of the same material.
    #[cfg(test)]
    pub(crate) fn client(crypto: &dyn RTCCrypto, profile: Profile, exported: &[u8]) -> Result<Self, CryptoError> {
        let (client, server) = Master::split(profile, exported).ok_or(CryptoError::InvalidKeyLength {
            expected: profile.exported_len(),
            actual: exported.len(),
        })?;
        Ok(Self {
            inbound: Inbound::new(Ciphers::new(crypto, profile, &server)?),
            outbound: Outbound::new(Ciphers::new(crypto, profile, &client)?),
        })
    }
}
