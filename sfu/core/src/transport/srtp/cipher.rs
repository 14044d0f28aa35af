//! One direction's ciphers: a packet and its index in, the same bytes protected or opened out. Nothing is remembered
//! here; [`super::inbound`] and [`super::outbound`] keep the indices.

use crypto::{
    AeadAlgorithm, AeadCipher, CryptoError, HmacAlgorithm, Mac, RTCCrypto, StreamCipher, StreamCipherAlgorithm,
};

use super::keys::{Label, Master, Profile, derive};
use super::packet::{RTCP_CLEAR, RtpHeader};

/// The E flag and the 31-bit index behind an SRTCP packet.
const INDEX: usize = 4;
/// E: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

const GCM_TAG: usize = 16;
const SHA1_80_TAG: usize = 10;

/// The packet is not authentic (or the cipher library failed, which comes to the same).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

impl From<CryptoError> for NotAuthentic {
    fn from(_: CryptoError) -> Self {
        Self
    }
}

/// The ciphers of one direction, for SRTP and SRTCP.
pub(crate) struct Ciphers {
    rtp: Cipher,
    rtcp: Cipher,
    /// For the simulator: nothing is enciphered or verified, and every length is as if it were.
    #[cfg(feature = "simulation")]
    pub(crate) plain: bool,
}

enum Cipher {
    Gcm {
        aead: Box<dyn AeadCipher>,
        salt: [u8; 12],
    },
    Sha1 {
        stream: Box<dyn StreamCipher>,
        mac: Box<dyn Mac>,
        salt: [u8; 14],
    },
}

impl Ciphers {
    pub(crate) fn new(crypto: &dyn RTCCrypto, profile: Profile, master: &Master) -> Result<Self, CryptoError> {
        let cipher = |key, auth, salt| match profile {
            Profile::AeadAes128Gcm => {
                let key: [u8; 16] = derive(crypto, master, key)?;
                Ok::<_, CryptoError>(Cipher::Gcm {
                    aead: crypto.new_aead(AeadAlgorithm::Aes128Gcm, &key)?,
                    salt: derive(crypto, master, salt)?,
                })
            }
            Profile::Aes128CmHmacSha1_80 => {
                let key: [u8; 16] = derive(crypto, master, key)?;
                let auth: [u8; 20] = derive(crypto, master, auth)?;
                Ok(Cipher::Sha1 {
                    stream: crypto.new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, &key)?,
                    mac: crypto.new_hmac(HmacAlgorithm::Sha1, &auth)?,
                    salt: derive(crypto, master, salt)?,
                })
            }
        };
        Ok(Self {
            rtp: cipher(Label::RtpKey, Label::RtpAuth, Label::RtpSalt)?,
            rtcp: cipher(Label::RtcpKey, Label::RtcpAuth, Label::RtcpSalt)?,
            #[cfg(feature = "simulation")]
            plain: false,
        })
    }

    /// Opens an SRTP packet under the given index; the plaintext has the returned length.
    pub(crate) fn open_rtp(&mut self, packet: &mut [u8], header: RtpHeader, index: u64) -> Result<usize, NotAuthentic> {
        #[cfg(feature = "simulation")]
        if self.plain {
            let len = packet.len().checked_sub(GCM_TAG).filter(|len| *len >= header.len);
            return len.ok_or(NotAuthentic);
        }
        match &mut self.rtp {
            Cipher::Gcm { aead, salt } => {
                let len = packet
                    .len()
                    .checked_sub(GCM_TAG)
                    .filter(|len| *len >= header.len)
                    .ok_or(NotAuthentic)?;
                let (packet, tag) = packet.split_at_mut(len);
                let (clear, payload) = packet.split_at_mut(header.len);
                aead.open_in_place(&gcm_rtp_nonce(salt, header.ssrc, index), clear, payload, tag)?;
                Ok(len)
            }
            Cipher::Sha1 { stream, mac, salt } => {
                let len = packet
                    .len()
                    .checked_sub(SHA1_80_TAG)
                    .filter(|len| *len >= header.len)
                    .ok_or(NotAuthentic)?;
                let (packet, tag) = packet.split_at_mut(len);
                let roll_over = (index >> 16) as u32;
                verify(mac.as_mut(), &[packet, &roll_over.to_be_bytes()], tag)?;
                stream.apply_keystream(&counter_iv(salt, header.ssrc, index), &mut packet[header.len..])?;
                Ok(len)
            }
        }
    }

    /// Seals `packet[..len]` under the given index; `packet` has room for the tag.
    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        len: usize,
        header: RtpHeader,
        index: u64,
    ) -> Result<usize, NotAuthentic> {
        let (packet, room) = packet.split_at_mut_checked(len).ok_or(NotAuthentic)?;
        let (clear, payload) = packet.split_at_mut_checked(header.len).ok_or(NotAuthentic)?;
        #[cfg(feature = "simulation")]
        if self.plain {
            room.get_mut(..GCM_TAG).ok_or(NotAuthentic)?.fill(0);
            return Ok(len + GCM_TAG);
        }
        match &mut self.rtp {
            Cipher::Gcm { aead, salt } => {
                let tag = room.get_mut(..GCM_TAG).ok_or(NotAuthentic)?;
                aead.seal_in_place(&gcm_rtp_nonce(salt, header.ssrc, index), clear, payload, tag)?;
                Ok(len + GCM_TAG)
            }
            Cipher::Sha1 { stream, mac, salt } => {
                let tag = room.get_mut(..SHA1_80_TAG).ok_or(NotAuthentic)?;
                stream.apply_keystream(&counter_iv(salt, header.ssrc, index), payload)?;
                let roll_over = (index >> 16) as u32;
                sign(mac.as_mut(), &[clear, payload, &roll_over.to_be_bytes()], tag)?;
                Ok(len + SHA1_80_TAG)
            }
        }
    }

    /// The index that an SRTCP packet claims, read without believing it; `None` when it is too short or claims not to be
    /// encrypted (E = 0): an unencrypted report is nothing that a browser sends, and accepting one would be a way around
    /// the cipher.
    pub(crate) fn claimed_rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let at = match &self.rtcp {
            Cipher::Gcm { .. } => packet
                .len()
                .checked_sub(INDEX)
                .filter(|at| *at >= RTCP_CLEAR + GCM_TAG)?,
            Cipher::Sha1 { .. } => packet
                .len()
                .checked_sub(INDEX + SHA1_80_TAG)
                .filter(|at| *at >= RTCP_CLEAR)?,
        };
        let word = u32::from_be_bytes(*packet.get(at..)?.first_chunk()?);
        (word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)
    }

    /// Opens an SRTCP packet whose [`Self::claimed_rtcp_index`] is `index`.
    pub(crate) fn open_rtcp(&mut self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, NotAuthentic> {
        #[cfg(feature = "simulation")]
        if self.plain {
            let len = packet.len().checked_sub(INDEX + GCM_TAG);
            return len.filter(|len| *len >= RTCP_CLEAR).ok_or(NotAuthentic);
        }
        match &mut self.rtcp {
            Cipher::Gcm { aead, salt } => {
                let at = packet.len().checked_sub(INDEX).ok_or(NotAuthentic)?;
                let len = at
                    .checked_sub(GCM_TAG)
                    .filter(|len| *len >= RTCP_CLEAR)
                    .ok_or(NotAuthentic)?;
                let (packet, _) = packet.split_at_mut(at);
                let (packet, tag) = packet.split_at_mut(len);
                let (clear, payload) = packet.split_at_mut(RTCP_CLEAR);
                aead.open_in_place(
                    &gcm_rtcp_nonce(salt, ssrc, index),
                    &gcm_rtcp_aad(clear, index),
                    payload,
                    tag,
                )?;
                Ok(len)
            }
            Cipher::Sha1 { stream, mac, salt } => {
                let signed = packet.len().checked_sub(SHA1_80_TAG).ok_or(NotAuthentic)?;
                let len = signed
                    .checked_sub(INDEX)
                    .filter(|len| *len >= RTCP_CLEAR)
                    .ok_or(NotAuthentic)?;
                let (packet, tag) = packet.split_at_mut(signed);
                verify(mac.as_mut(), &[packet], tag)?;
                stream.apply_keystream(&counter_iv(salt, ssrc, u64::from(index)), &mut packet[RTCP_CLEAR..len])?;
                Ok(len)
            }
        }
    }

    /// Seals `packet[..len]`, a compound RTCP packet, under a 31-bit index.
    pub(crate) fn seal_rtcp(
        &mut self,
        packet: &mut [u8],
        len: usize,
        ssrc: u32,
        index: u32,
    ) -> Result<usize, NotAuthentic> {
        let (body, room) = packet.split_at_mut_checked(len).ok_or(NotAuthentic)?;
        let (clear, payload) = body.split_at_mut_checked(RTCP_CLEAR).ok_or(NotAuthentic)?;
        let word = (ENCRYPTED | index).to_be_bytes();
        #[cfg(feature = "simulation")]
        if self.plain {
            let room = room.first_chunk_mut::<{ GCM_TAG + INDEX }>().ok_or(NotAuthentic)?;
            room[GCM_TAG..].copy_from_slice(&word);
            return Ok(len + GCM_TAG + INDEX);
        }
        match &mut self.rtcp {
            Cipher::Gcm { aead, salt } => {
                let room = room.first_chunk_mut::<{ GCM_TAG + INDEX }>().ok_or(NotAuthentic)?;
                let (tag, behind) = room.split_at_mut(GCM_TAG);
                aead.seal_in_place(
                    &gcm_rtcp_nonce(salt, ssrc, index),
                    &gcm_rtcp_aad(clear, index),
                    payload,
                    tag,
                )?;
                behind.copy_from_slice(&word);
                Ok(len + GCM_TAG + INDEX)
            }
            Cipher::Sha1 { stream, mac, salt } => {
                let room = room.first_chunk_mut::<{ INDEX + SHA1_80_TAG }>().ok_or(NotAuthentic)?;
                let (behind, tag) = room.split_at_mut(INDEX);
                stream.apply_keystream(&counter_iv(salt, ssrc, u64::from(index)), payload)?;
                behind.copy_from_slice(&word);
                sign(mac.as_mut(), &[clear, payload, behind], tag)?;
                Ok(len + INDEX + SHA1_80_TAG)
            }
        }
    }
}

/// RFC 7714 §8.1: SSRC, roll-over counter and sequence number in the last 10 bytes, XOR the salt.
fn gcm_rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
    nonce
}

/// RFC 7714 §9.1: SSRC in bytes 2-5, the index in the last 4, XOR the salt.
fn gcm_rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> [u8; 12] {
    let mut nonce = *salt;
    xor(&mut nonce[2..6], &ssrc.to_be_bytes());
    xor(&mut nonce[8..12], &index.to_be_bytes());
    nonce
}

/// RFC 7714 §9.2: the clear header, then E and the index.
fn gcm_rtcp_aad(clear: &[u8], index: u32) -> [u8; RTCP_CLEAR + INDEX] {
    let mut aad = [0; RTCP_CLEAR + INDEX];
    for (to, from) in aad.iter_mut().zip(clear) {
        *to = *from;
    }
    aad[RTCP_CLEAR..].copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
    aad
}

/// RFC 3711 §4.1.1: salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16.
fn counter_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    xor(&mut iv[4..8], &ssrc.to_be_bytes());
    xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
    iv
}

fn xor(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

fn sign(mac: &mut dyn Mac, input: &[&[u8]], tag: &mut [u8]) -> Result<(), NotAuthentic> {
    let mut whole = [0; 20];
    mac.sign(input, &mut whole)?;
    tag.copy_from_slice(whole.get(..tag.len()).ok_or(NotAuthentic)?);
    Ok(())
}

fn verify(mac: &mut dyn Mac, input: &[&[u8]], tag: &[u8]) -> Result<(), NotAuthentic> {
    let mut expected = [0; SHA1_80_TAG];
    sign(mac, input, &mut expected)?;
    // Constant time: a byte-by-byte comparison tells a forger how many bytes it has right.
    if crypto::constant_time_eq(&expected, tag) {
        Ok(())
    } else {
        Err(NotAuthentic)
    }
}
