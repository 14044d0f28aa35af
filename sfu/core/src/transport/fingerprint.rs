//! Certificate fingerprints as SDP writes them (RFC 8122 §5), sha-256 only.

use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a DER certificate. `Display` and `FromStr` use the form of `a=fingerprint`: `AB:CD:...`, 32 pairs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// The text is not 32 colon-separated pairs of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sha-256 fingerprint is 32 pairs of hexadecimal digits with colons between them")]
pub struct FingerprintError;

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha-256 {self}")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut out = [0; 32];
        let mut pairs = text.split(':');
        for byte in &mut out {
            let pair = pairs.next().ok_or(FingerprintError)?.as_bytes();
            let [high, low] = *pair else {
                return Err(FingerprintError);
            };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        if pairs.next().is_some() {
            return Err(FingerprintError);
        }
        Ok(Self(out))
    }
}

fn digit(c: u8) -> Result<u8, FingerprintError> {
    match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        b'A'..=b'F' => Ok(c - b'A' + 10),
        _ => Err(FingerprintError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fingerprint_is_read_in_either_case_and_refused_when_short_long_or_not_hexadecimal() {
        let text = Fingerprint([0xA7; 32]).to_string();
        assert_eq!(text.len(), 95);
        assert_eq!(text.to_lowercase().parse(), Ok(Fingerprint([0xA7; 32])));
        assert_eq!(text[..92].parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!(format!("{text}:00").parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!(text.replace('A', "G").parse::<Fingerprint>(), Err(FingerprintError));
        assert_eq!("".parse::<Fingerprint>(), Err(FingerprintError));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: [u8; 32]) {
            prop_assert_eq!(Fingerprint(bytes).to_string().parse(), Ok(Fingerprint(bytes)));
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
