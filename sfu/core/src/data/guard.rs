//! What is looked at before an SCTP packet reaches the library, and in what the library answers.
//!
//! The peer is authenticated, but may be anybody with a token. The library keeps what is out of order for as long as the peer
//! likes: its receive window is no bound for chunks that fill a gap or go on in sequence, streams beyond the agreed number are
//! made, and so is a second association for a repeated INIT. So TSNs are held to a window, streams to their number, and the
//! window that the library's own SACKs advertise says how much it holds; it tells nobody else.

/// The longest packet: browsers send 1,200 bytes.
const MAX_PACKET: usize = 2_048;
/// TSNs ahead of what was acknowledged. With 50 messages a second that is ten seconds.
const TSN_WINDOW: u32 = 512;
/// Streams that a peer may use; only the first two are ours, the others are closed.
pub(super) const STREAMS: u16 = 16;
/// The receive window that is advertised, in bytes.
pub(super) const WINDOW: u32 = 256 * 1_024;
/// When less of it is left although everything readable has been read, the peer sends a message that is too large by far, or
/// never fills its gaps.
const LEAST_LEFT: u32 = 64 * 1_024;
/// Packets that are no SCTP, or nothing that a browser sends; then the channels end.
const MAX_MALFORMED: u32 = 64;
/// Associations that one participant may begin, and streams that may be reset.
const MAX_BEGUN: u32 = 8;
const MAX_RESETS: u32 = 64;

const HEADER: usize = 12;
const DATA: u8 = 0;
const INIT: u8 = 1;
const SACK: u8 = 3;
const ABORT: u8 = 6;
const ERROR: u8 = 9;
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;
/// What a peer may send besides: heartbeat, shutdown and its acknowledgement, cookie echo, shutdown complete.
const OTHERS: [u8; 5] = [4, 7, 8, 10, 14];

/// Why a packet did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no SCTP, or nothing that belongs here.
    Malformed,
    /// The peer asks for more than anybody gets: its channels have ended for good.
    Excess,
    /// The channels have ended.
    Ended,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The library gets it.
    Packet,
    /// The peer begins an association.
    Init(Init),
    /// The peer ends its association. The library panics on causes that are cut short, so that it is not asked.
    Abort,
    /// The peer complains: the library would take that for the end, and panics on it like on an abort.
    Complaint,
}

/// An INIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Init {
    /// The peer's tag: a repeated INIT has the same.
    pub tag: u32,
    tsn: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The last TSN that was acknowledged.
    acknowledged: u32,
    malformed: u32,
    begun: u32,
    resets: u32,
}

/// Chunks of a packet: type and value. `None` after one that is cut.
fn chunks(packet: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((kind, len)) = rest
            .first_chunk::<4>()
            .map(|h| (h[0], u16::from_be_bytes([h[2], h[3]])))
        else {
            rest = &[];
            return Some(None);
        };
        let len = usize::from(len);
        let Some(value) = rest.get(4..len) else {
            rest = &[];
            return Some(None);
        };
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Some((kind, value)))
    })
}

fn word(value: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(value.get(at..at + 4)?.try_into().ok()?))
}

impl Guard {
    /// Whether the packet may reach the library.
    pub(super) fn admit(&mut self, packet: &[u8]) -> Result<Seen, Refused> {
        match self.read(packet) {
            Err(Refused::Malformed) => {
                self.malformed += 1;
                Err(if self.malformed > MAX_MALFORMED {
                    Refused::Excess
                } else {
                    Refused::Malformed
                })
            }
            outcome => outcome,
        }
    }

    fn read(&mut self, packet: &[u8]) -> Result<Seen, Refused> {
        if packet.len() > MAX_PACKET || packet.len() < HEADER + 4 {
            return Err(Refused::Malformed);
        }
        let mut seen = Seen::Packet;
        let mut alone = true;
        for chunk in chunks(packet) {
            let (kind, value) = chunk.ok_or(Refused::Malformed)?;
            if matches!(seen, Seen::Init(_)) {
                return Err(Refused::Malformed); // an INIT is alone in its packet
            }
            match kind {
                DATA => {
                    let tsn = word(value, 0).ok_or(Refused::Malformed)?;
                    let stream = value.get(4..6).map(|id| u16::from_be_bytes([id[0], id[1]]));
                    if value.len() <= 12 || stream.is_none_or(|id| id >= STREAMS) || self.is_far(tsn) {
                        return Err(Refused::Malformed);
                    }
                }
                INIT if alone => {
                    let (tag, tsn) = (word(value, 0), word(value, 12));
                    let (Some(tag), Some(tsn)) = (tag.filter(|tag| *tag != 0), tsn) else {
                        return Err(Refused::Malformed);
                    };
                    seen = Seen::Init(Init { tag, tsn });
                }
                ABORT => seen = Seen::Abort,
                ERROR => seen = Seen::Complaint,
                FORWARD_TSN if word(value, 0).is_some_and(|tsn| !self.is_far(tsn)) => {}
                RECONFIG => {
                    self.resets += 1;
                    if self.resets > MAX_RESETS {
                        return Err(Refused::Excess);
                    }
                }
                SACK => {}
                kind if OTHERS.contains(&kind) => {}
                _ => return Err(Refused::Malformed),
            }
            alone = false;
        }
        Ok(seen)
    }

    /// Beyond the window; what lies before it was acknowledged, and is sent again because the SACK was lost.
    fn is_far(&self, tsn: u32) -> bool {
        let ahead = tsn.wrapping_sub(self.acknowledged);
        ahead > TSN_WINDOW && ahead < 1 << 31
    }

    /// A new association begins.
    pub(super) fn begin(&mut self, init: Init) -> Result<(), Refused> {
        self.begun += 1;
        if self.begun > MAX_BEGUN {
            return Err(Refused::Excess);
        }
        self.acknowledged = init.tsn.wrapping_sub(1);
        Ok(())
    }

    /// Reads what the library sends: what it has acknowledged, and how much it holds.
    pub(super) fn note_sent(&mut self, packet: &[u8]) -> Result<(), Refused> {
        for (kind, value) in chunks(packet).flatten() {
            if kind != SACK {
                continue;
            }
            if let (Some(acknowledged), Some(left)) = (word(value, 0), word(value, 4)) {
                self.acknowledged = acknowledged;
                if left < LEAST_LEFT {
                    return Err(Refused::Excess);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(chunks: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = vec![0; HEADER];
        for (kind, value) in chunks {
            out.extend([*kind, 3]);
            out.extend((value.len() as u16 + 4).to_be_bytes());
            out.extend(*value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    fn data(tsn: u32, stream: u16) -> Vec<u8> {
        let mut value = tsn.to_be_bytes().to_vec();
        value.extend(stream.to_be_bytes());
        value.extend([0, 0, 0, 0, 0, 53, 1]);
        packet(&[(DATA, &value)])
    }

    fn begun(tsn: u32) -> Guard {
        let mut guard = Guard::default();
        guard.begin(Init { tag: 1, tsn }).unwrap();
        guard
    }

    #[test]
    fn data_passes_inside_the_window_and_on_the_streams_that_were_agreed() {
        let mut guard = begun(u32::MAX - 1);
        for tsn in [u32::MAX - 1, u32::MAX, 0, 100, 509] {
            assert_eq!(guard.admit(&data(tsn, 0)), Ok(Seen::Packet), "{tsn}");
        }
        assert_eq!(guard.admit(&data(u32::MAX - 100, 1)), Ok(Seen::Packet), "sent again");
        assert_eq!(guard.admit(&data(511, 0)), Err(Refused::Malformed));
        assert_eq!(guard.admit(&data(1 << 30, 0)), Err(Refused::Malformed));
        assert_eq!(guard.admit(&data(0, STREAMS)), Err(Refused::Malformed));
        assert_eq!(
            guard.admit(&packet(&[(DATA, &[0; 12])])),
            Err(Refused::Malformed),
            "no content"
        );
    }

    #[test]
    fn an_init_stands_alone_and_says_who() {
        let mut value = vec![0; 16];
        value[3] = 9;
        value[15] = 5;
        let init = packet(&[(INIT, &value)]);
        assert_eq!(begun(1).admit(&init), Ok(Seen::Init(Init { tag: 9, tsn: 5 })));
        let both = packet(&[(INIT, &value), (SACK, &[0; 12])]);
        assert_eq!(begun(1).admit(&both), Err(Refused::Malformed));
        let late = packet(&[(SACK, &[0; 12]), (INIT, &value)]);
        assert_eq!(begun(1).admit(&late), Err(Refused::Malformed));
        assert_eq!(begun(1).admit(&packet(&[(INIT, &[0; 16])])), Err(Refused::Malformed));
    }

    #[test]
    fn complaints_and_aborts_are_not_for_the_library() {
        // What made it panic, found by the fuzzer: a cause that is cut short.
        let cut = [0xc5, 0xbd, 0x23, 0xb0, 0xc5];
        assert_eq!(begun(1).admit(&packet(&[(ERROR, &cut)])), Ok(Seen::Complaint));
        assert_eq!(begun(1).admit(&packet(&[(ABORT, &cut)])), Ok(Seen::Abort));
    }

    #[test]
    fn nonsense_beginnings_and_resets_are_counted_and_end_it() {
        let mut guard = begun(1);
        let refused = (0..100).map(|_| guard.admit(&[0; 40]).unwrap_err());
        let ended = refused.filter(|refused| *refused == Refused::Excess).count();
        assert_eq!(ended, 36);
        let mut guard = begun(1);
        let reset = packet(&[(RECONFIG, &[0; 20])]);
        assert_eq!((0..100).filter(|_| guard.admit(&reset).is_ok()).count(), 64);
        let mut guard = Guard::default();
        assert_eq!(
            (0..100)
                .filter(|_| guard.begin(Init { tag: 1, tsn: 1 }).is_ok())
                .count(),
            8
        );
    }

    #[test]
    fn the_window_that_the_library_advertises_says_how_much_it_holds() {
        let sack = |acknowledged: u32, left: u32| {
            let mut value = acknowledged.to_be_bytes().to_vec();
            value.extend(left.to_be_bytes());
            value.extend([0; 4]);
            packet(&[(SACK, &value)])
        };
        let mut guard = begun(1);
        assert_eq!(guard.note_sent(&sack(600, WINDOW - 20_000)), Ok(()));
        assert_eq!(guard.admit(&data(1_000, 0)), Ok(Seen::Packet), "the window has moved");
        assert_eq!(guard.note_sent(&sack(600, 1_000)), Err(Refused::Excess));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut guard = begun(7);
            let _ = guard.admit(&bytes);
            let _ = guard.note_sent(&bytes);
            let total: usize = chunks(&bytes).flatten().map(|(_, value)| value.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
