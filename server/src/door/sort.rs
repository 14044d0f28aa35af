//! What a connection is for, by its first bytes: HTTP, TLS, TURN (RFC 8656) and ICE-TCP (RFC 6544) share one port.

/// `magic cookie` of every STUN message (RFC 8489 section 5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// First byte of a TLS record that begins a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Longest connectivity check that an ICE-TCP connection may begin with, in 256 bytes.
const CHECK_PAGES: u8 = 5;
/// No more than this is needed to tell.
pub(super) const ENOUGH: usize = 10;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tls,
    Http,
    Turn,
    IceTcp,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Is(Kind),
    /// More bytes are needed.
    More,
    /// Nothing of ours.
    Nothing,
}

/// Tells by the first bytes. A STUN message has its cookie at byte 4, and one that is framed as RFC 4571 says at byte 6;
/// a request of HTTP begins with a capital letter.
pub(super) fn sort(head: &[u8]) -> Verdict {
    match head {
        [] => Verdict::More,
        [TLS_HANDSHAKE, ..] => Verdict::Is(Kind::Tls),
        [b'A'..=b'Z', ..] => Verdict::Is(Kind::Http),
        [0..=CHECK_PAGES, ..] => {
            if head.get(4..8) == Some(&COOKIE) {
                Verdict::Is(Kind::Turn)
            } else if head.get(6..ENOUGH) == Some(&COOKIE) {
                Verdict::Is(Kind::IceTcp)
            } else if head.len() < ENOUGH {
                Verdict::More
            } else {
                Verdict::Nothing
            }
        }
        _ => Verdict::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_connection_is_for() {
        let turn = [0, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42, 9, 9];
        let ice = [0, 96, 0, 1, 0, 76, 0x21, 0x12, 0xA4, 0x42];
        assert_eq!(sort(&turn), Verdict::Is(Kind::Turn));
        assert_eq!(sort(&turn[..8]), Verdict::Is(Kind::Turn));
        assert_eq!(sort(&ice), Verdict::Is(Kind::IceTcp));
        assert_eq!(sort(b"GET / HTTP/1.1"), Verdict::Is(Kind::Http));
        assert_eq!(sort(b"PRI * HTTP/2.0"), Verdict::Is(Kind::Http));
        assert_eq!(sort(&[0x16, 3, 1]), Verdict::Is(Kind::Tls));
        for nothing in [
            &b"SSH"[..0],
            b"\x80\x01",
            b"get",
            b"\0\0\0\0\0\0\0\0\0\0",
            b"\x40\0\0\x04abcdef",
        ] {
            let verdict = sort(nothing);
            assert!(matches!(verdict, Verdict::Nothing | Verdict::More), "{nothing:?}");
        }
    }

    #[test]
    fn a_beginning_is_never_told_wrongly_however_it_is_cut() {
        let turn = [0, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42, 9, 9];
        let ice = [0, 96, 0, 1, 0, 76, 0x21, 0x12, 0xA4, 0x42];
        for whole in [&turn[..], &ice] {
            let last = sort(whole);
            for cut in 0..whole.len() {
                let verdict = sort(&whole[..cut]);
                assert!(
                    verdict == Verdict::More || verdict == last,
                    "{whole:?} cut at {cut}: {verdict:?}"
                );
            }
        }
    }
}
