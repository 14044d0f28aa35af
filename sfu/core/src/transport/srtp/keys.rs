//! From the DTLS exporter to session keys: RFC 5764 §4.2 and RFC 3711 §4.3.

use crypto::{BlockCipherAlgorithm, CryptoError, RTCCrypto};

/// An SRTP protection profile that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Profile {
    /// AEAD_AES_128_GCM (RFC 7714).
    AeadAes128Gcm,
    /// AES_CM_128_HMAC_SHA1_80 (RFC 3711, RFC 5764), five times dearer per packet.
    Aes128CmHmacSha1_80,
}

const KEY: usize = 16;

impl Profile {
    fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 12,
            Self::Aes128CmHmacSha1_80 => 14,
        }
    }

    /// Bytes to export from DTLS: client key, server key, client salt, server salt.
    pub(crate) fn exported_len(self) -> usize {
        2 * (KEY + self.salt_len())
    }
}

/// A master key and salt of one direction.
pub(crate) struct Master {
    key: [u8; KEY],
    /// Left-aligned in the 14 bytes of RFC 3711; the 12-byte salt of AES-GCM is padded with zeros (RFC 7714 §11).
    salt: [u8; 14],
}

impl Master {
    /// Splits exported keying material into what the DTLS client and the DTLS server write with. `None` when it is short.
    pub(crate) fn split(profile: Profile, exported: &[u8]) -> Option<(Self, Self)> {
        let n = profile.salt_len();
        let (client_key, rest) = exported.split_first_chunk::<KEY>()?;
        let (server_key, rest) = rest.split_first_chunk::<KEY>()?;
        let (client_salt, server_salt) = (rest.get(..n)?, rest.get(n..2 * n)?);
        Some((Self::new(client_key, client_salt), Self::new(server_key, server_salt)))
    }

    /// `salt` has at most 14 bytes; more are cut.
    pub(crate) fn new(key: &[u8; KEY], salt: &[u8]) -> Self {
        let mut padded = [0; 14];
        for (to, from) in padded.iter_mut().zip(salt) {
            *to = *from;
        }
        Self {
            key: *key,
            salt: padded,
        }
    }
}

/// What a session key is for (RFC 3711 §4.3.1, §4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    RtpKey = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// The pseudo-random function of RFC 3711 §4.3.3 with a key derivation rate of 0, as everybody uses it.
pub(crate) fn derive<const N: usize>(
    crypto: &dyn RTCCrypto,
    master: &Master,
    label: Label,
) -> Result<[u8; N], CryptoError> {
    let mut out = [0; N];
    for (counter, chunk) in out.chunks_mut(16).enumerate() {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&master.salt);
        block[7] ^= label as u8;
        block[15] = counter as u8; // N is at most 20
        crypto.block_encrypt(BlockCipherAlgorithm::Aes128, &master.key, &mut block)?;
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::RTCCryptoProvider;
    use crypto::providers::AwsLcRsProvider;

    pub(crate) fn hex<const N: usize>(text: &str) -> [u8; N] {
        let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
        assert_eq!(digits.len(), 2 * N);
        std::array::from_fn(|i| {
            u8::from_str_radix(std::str::from_utf8(&digits[2 * i..2 * i + 2]).unwrap(), 16).unwrap()
        })
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
        let provider = AwsLcRsProvider::new();
        let master = Master::new(
            &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &hex::<14>("0EC675AD498AFEEBB6960B3AABE6"),
        );
        let derive20 = |label| derive::<20>(provider.crypto(), &master, label).unwrap();
        assert_eq!(
            derive20(Label::RtpKey)[..16],
            hex::<16>("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            derive20(Label::RtpSalt)[..14],
            hex::<14>("30CBBC08863D8C85D49DB34A9AE1")
        );
        assert_eq!(
            derive20(Label::RtpAuth),
            hex::<20>("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
        );
    }

    #[test]
    fn exported_material_that_is_short_makes_no_keys() {
        for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80] {
            let whole = vec![7; profile.exported_len()];
            assert!(Master::split(profile, &whole).is_some());
            assert!(Master::split(profile, &whole[1..]).is_none());
        }
    }
}
