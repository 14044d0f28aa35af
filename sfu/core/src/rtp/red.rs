//! Redundant audio (RFC 2198): the newest block is the audio itself, the ones before it repeat what was sent already.

/// Blocks that are looked at; Chromium sends two, and three at most.
const MAX_BLOCKS: usize = 8;

/// Where the newest block begins in the payload. `None`: malformed.
pub fn primary(payload: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut repeated = 0;
    for _ in 0..MAX_BLOCKS {
        let head = *payload.get(at)?;
        if head & 0x80 == 0 {
            let start = at + 1 + repeated;
            return (start <= payload.len()).then_some(start);
        }
        let &[_, _, high, low] = payload.get(at..at + 4)? else {
            return None;
        };
        repeated += usize::from(u16::from_be_bytes([high & 0x03, low]));
        at += 4;
    }
    None
}

/// Gives every block the payload type under which the viewer knows it. `payload` is one that [`primary`] has read.
pub fn rewrite(payload: &mut [u8], payload_type: u8) {
    let mut at = 0;
    for _ in 0..MAX_BLOCKS {
        let Some(head) = payload.get_mut(at) else { return };
        let more = *head & 0x80;
        *head = more | payload_type & 0x7f;
        if more == 0 {
            return;
        }
        at += 4;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One repeated block of three bytes, 960 ticks old, and the newest of two.
    const TWO: [u8; 10] = [0x80 | 111, 0x0f, 0x00, 3, 111, 1, 2, 3, 8, 9];

    #[test]
    fn the_newest_block_stands_last() {
        assert_eq!(primary(&TWO), Some(8));
        assert_eq!(primary(&[111, 8, 9]), Some(1));
        assert_eq!(primary(&[111]), Some(1), "silence of no bytes");
        assert_eq!(primary(&TWO[..7]), None, "it ends inside a repeated block");
        assert_eq!(primary(&[0xff; 64]), None, "headers without end");
        assert_eq!(primary(&[]), None);
    }

    #[test]
    fn every_block_gets_the_viewers_payload_type_and_nothing_else_changes() {
        let mut copy = TWO;
        rewrite(&mut copy, 100);
        assert_eq!(copy, [0x80 | 100, 0x0f, 0x00, 3, 100, 1, 2, 3, 8, 9]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail_badly(data in proptest::collection::vec(any::<u8>(), 0..40), pt in 0_u8..128) {
            let mut copy = data.clone();
            rewrite(&mut copy, pt);
            if let Some(start) = primary(&data) {
                prop_assert!(start <= data.len());
                prop_assert_eq!(primary(&copy), Some(start));
                prop_assert_eq!(&copy[start..], &data[start..]);
            }
        }
    }
}
