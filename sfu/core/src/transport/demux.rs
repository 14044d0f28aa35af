//! What a datagram is, by its first bytes (RFC 7983, RFC 5761), and whom a STUN request is for.

/// The protocols that share one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

/// Tells the protocol of a datagram.
pub(crate) fn classify(datagram: &[u8]) -> Protocol {
    match datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        [128..=191, second, ..] if (192..=223).contains(second) => Protocol::Rtcp,
        [128..=191, _, ..] => Protocol::Rtp,
        _ => Protocol::Unknown,
    }
}

const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const USERNAME: u16 = 0x0006;

/// The local user fragment that a Binding request names (the part of USERNAME before the colon), read without believing
/// anything: only good for finding the transport to ask. `None` when it is not such a request.
pub fn stun_local_ufrag(datagram: &[u8]) -> Option<&str> {
    let header = datagram.first_chunk::<HEADER>()?;
    if u16::from_be_bytes([header[0], header[1]]) != BINDING_REQUEST
        || u32::from_be_bytes([header[4], header[5], header[6], header[7]]) != MAGIC_COOKIE
    {
        return None;
    }
    let mut attributes = datagram.get(HEADER..)?;
    while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == USERNAME {
            let (local, _) = std::str::from_utf8(rest.get(..len)?).ok()?.split_once(':')?;
            return Some(local);
        }
        attributes = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_byte_tells_the_protocol() {
        assert_eq!(classify(&[]), Protocol::Unknown);
        assert_eq!(classify(&[0, 1]), Protocol::Stun);
        assert_eq!(classify(&[4]), Protocol::Unknown);
        assert_eq!(classify(&[16]), Protocol::Unknown, "ZRTP");
        assert_eq!(classify(&[22]), Protocol::Dtls);
        assert_eq!(classify(&[64]), Protocol::Unknown, "a TURN channel");
        assert_eq!(classify(&[0x80, 111]), Protocol::Rtp);
        assert_eq!(classify(&[0x80, 111 | 0x80]), Protocol::Rtp, "marker bit");
        assert_eq!(classify(&[0x81, 205]), Protocol::Rtcp);
        assert_eq!(classify(&[0x80]), Protocol::Unknown);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            classify(&datagram);
            stun_local_ufrag(&datagram);
        }

        #[test]
        fn a_request_cut_anywhere_never_panics(cut in 0usize..60, name in "[a-z]{0,20}:?[a-z]{0,10}") {
            let mut datagram = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
            datagram.extend([7; 12]);
            datagram.extend([0, 0x24, 0, 4, 1, 2, 3, 4, 0, 6, 0, name.len() as u8]);
            datagram.extend(name.as_bytes());
            let whole = stun_local_ufrag(&datagram).map(str::to_owned);
            prop_assert_eq!(whole, name.split_once(':').map(|(local, _)| local.to_owned()));
            let _ = stun_local_ufrag(&datagram[..cut.min(datagram.len())]);
        }
    }
}
