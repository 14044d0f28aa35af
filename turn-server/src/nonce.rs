//! Nonces that nobody has to remember: the time they were made, signed for the client they were made for.

use std::net::SocketAddr;

use crypto::{HmacAlgorithm, RTCCrypto};

/// How long a nonce is good, in seconds; then a request is answered 438 with a new one (RFC 8656 section 5 suggests an hour).
const GOOD_FOR: u64 = 3600;
/// Bytes of the digest that a nonce carries.
const DIGEST: usize = 12;
/// Characters of a nonce: eight for the time, two for each byte of the digest.
const LENGTH: usize = 8 + 2 * DIGEST;

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// Ours but too old, somebody else's, or forged: the answer is the same.
    Stale,
}

/// Makes and judges nonces.
pub(crate) struct Nonces {
    secret: [u8; 32],
}

impl Nonces {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// A nonce for the client at `remote`. `unix`: seconds since 1970.
    pub(crate) fn make(&self, crypto: &dyn RTCCrypto, unix: u64, remote: SocketAddr) -> String {
        let made = unix as u32;
        let mut text = format!("{made:08x}");
        for byte in self.digest(crypto, made, remote) {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    pub(crate) fn judge(&self, crypto: &dyn RTCCrypto, unix: u64, remote: SocketAddr, nonce: &[u8]) -> Verdict {
        let made = (nonce.len() == LENGTH)
            .then(|| nonce.get(..8))
            .flatten()
            .and_then(|time| std::str::from_utf8(time).ok())
            .and_then(|time| u32::from_str_radix(time, 16).ok());
        let Some(made) = made else { return Verdict::Stale };
        let fresh = unix.checked_sub(u64::from(made)).is_some_and(|age| age <= GOOD_FOR);
        // Made anew and compared as a whole, so that the time it takes tells nothing.
        let expected = self.make(crypto, u64::from(made), remote);
        let differing = expected.bytes().zip(nonce).fold(0, |sum, (a, b)| sum | (a ^ b));
        if fresh && differing == 0 {
            Verdict::Good
        } else {
            Verdict::Stale
        }
    }

    fn digest(&self, crypto: &dyn RTCCrypto, made: u32, remote: SocketAddr) -> [u8; DIGEST] {
        let mut whole = [0; 32];
        let ip = match remote.ip() {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        // Without a working HMAC nothing would authenticate either; the zero digest then only fails to match.
        let signed = crypto
            .new_hmac(HmacAlgorithm::Sha256, &self.secret)
            .and_then(|mut mac| mac.sign(&[&made.to_be_bytes(), &ip, &remote.port().to_be_bytes()], &mut whole));
        let mut digest = [0; DIGEST];
        if signed.is_ok() {
            digest.copy_from_slice(&whole[..DIGEST]);
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::RTCCryptoProvider;
    use crypto::providers::AwsLcRsProvider;

    static PROVIDER: AwsLcRsProvider = AwsLcRsProvider::new();

    #[test]
    fn a_nonce_is_good_for_an_hour_and_for_one_client() {
        let crypto = PROVIDER.crypto();
        let nonces = Nonces::new([7; 32]);
        let here: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let there: SocketAddr = "192.0.2.1:4001".parse().unwrap();
        let nonce = nonces.make(crypto, 1_000_000, here);
        assert_eq!(nonce.len(), LENGTH);
        let judge = |unix, at, nonce: &str| nonces.judge(crypto, unix, at, nonce.as_bytes());
        assert_eq!(judge(1_000_000, here, &nonce), Verdict::Good);
        assert_eq!(judge(1_003_600, here, &nonce), Verdict::Good);
        assert_eq!(judge(1_003_601, here, &nonce), Verdict::Stale, "an hour is over");
        assert_eq!(judge(999_999, here, &nonce), Verdict::Stale, "from the future");
        assert_eq!(judge(1_000_000, there, &nonce), Verdict::Stale, "another client's");
        assert_eq!(judge(1_000_000, here, &nonce[..31]), Verdict::Stale);
        let mut forged = nonce.into_bytes();
        forged[31] ^= 1;
        assert_eq!(nonces.judge(crypto, 1_000_000, here, &forged), Verdict::Stale);
        let other = Nonces::new([8; 32]).make(crypto, 1_000_000, here);
        assert_eq!(
            judge(1_000_000, here, &other),
            Verdict::Stale,
            "made with another secret"
        );
    }
}
