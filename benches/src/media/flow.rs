//! What a viewer makes of the packets that arrive: loss, duplicates, strangers, delay, jitter, freezes, changes of layer.
//!
//! Two kinds of loss are told apart. A server that drops a packet and renumbers the rest hides it from RTP sequence numbers,
//! and so from a browser's statistics; the stamps show it. What a viewer's slot carries may change at any time (another
//! publisher, another layer): a run of stamps ends there, and nothing is missing between two runs.
//!
//! A run may begin with a key frame that a server has kept for this, and with what followed it: sent before anybody asked for it.
//! What was sent before the first packet of such a run arrived therefore says nothing of the server's delay, and is left out of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::stamp::{FRAME_END, KEY, KEY_BEGIN, Stamp};
use super::tally::Tally;

/// A gap in a picture that people see.
pub const FREEZE_NS: u64 = 200_000_000;
/// An audio stream that is interrupted for longer was switched off and on again (only the loudest are forwarded): nothing
/// was lost in between.
const AUDIO_PAUSE_NS: u64 = 200_000_000;
/// Packets that may be late before they count as lost for good.
const WINDOW: u32 = 128;

/// What changed with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The first audio packet of this viewer.
    FirstAudio,
    /// The first whole key frame of this viewer.
    FirstFrame,
    /// A slot shows another publisher or layer (0 the smallest).
    Showing {
        /// Whom.
        publisher: u32,
        /// Which layer.
        layer: usize,
    },
}

/// One viewer.
#[derive(Debug)]
pub struct Viewer {
    run: u16,
    room: u16,
    slots: HashMap<u32, Slot>,
    audio_seen: bool,
    frame_seen: bool,
}

/// One RTP stream that arrives.
#[derive(Debug)]
struct Slot {
    publisher: u32,
    stream: u8,
    newest: u32,
    seen: u128,
    newest_rtp: u64,
    last_arrival: u64,
    last_sent: u64,
    /// RFC 3550 section 6.4.1, in nanoseconds.
    jitter: f64,
    /// Key frame that is arriving whole so far.
    open_key: Option<u32>,
    /// When this run began, if with a key frame.
    key_began: Option<u64>,
}

/// One packet as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// SSRC of the slot.
    pub ssrc: u32,
    /// RTP sequence number, extended.
    pub sequence: u64,
    /// Payload.
    pub payload: &'a [u8],
    /// Kernel's receive stamp, nanoseconds since 1970.
    pub at_ns: u64,
}

impl Viewer {
    /// Of this run and room; packets of others are strangers.
    pub fn new(run: u16, room: u16) -> Self {
        Self {
            run,
            room,
            slots: HashMap::new(),
            audio_seen: false,
            frame_seen: false,
        }
    }

    /// Notes a packet; `news` hears what changed with it.
    pub fn note(&mut self, arrival: Arrival<'_>, tally: &mut Tally, mut news: impl FnMut(News)) {
        let Some(stamp) = Stamp::read(arrival.payload) else {
            tally.counts.wrong_room += 1;
            return;
        };
        if stamp.run != self.run || stamp.room != self.room {
            tally.counts.wrong_room += 1;
            return;
        }
        tally.counts.received += 1;
        tally.counts.received_bytes += arrival.payload.len() as u64;
        if stamp.stream == 0 && !std::mem::replace(&mut self.audio_seen, true) {
            news(News::FirstAudio);
        }
        let mut begins = true;
        let slot = match self.slots.entry(arrival.ssrc) {
            Entry::Vacant(empty) => empty.insert(Slot::new(&stamp, &arrival)),
            Entry::Occupied(slot) => {
                let slot = slot.into_mut();
                slot.sequence(arrival.sequence, tally);
                begins = (slot.publisher, slot.stream) != (stamp.publisher, stamp.stream);
                if begins {
                    slot.change(&stamp, &arrival, tally);
                } else {
                    slot.same(&stamp, &arrival, tally);
                }
                slot
            }
        };
        if let Some(showing) = showing(&stamp).filter(|_| begins) {
            news(showing);
        }
        if !slot.kept(&stamp) {
            tally.delay(arrival.at_ns.saturating_sub(stamp.sent_ns));
        }
        if slot.frame(&stamp) && !std::mem::replace(&mut self.frame_seen, true) {
            news(News::FirstFrame);
        }
    }

    /// Jitter of the streams that arrive, nanoseconds.
    pub fn jitter(&self) -> impl Iterator<Item = f64> {
        self.slots.values().map(|s| s.jitter)
    }
}

fn showing(stamp: &Stamp) -> Option<News> {
    let layer = usize::from(stamp.stream).checked_sub(1)?;
    Some(News::Showing {
        publisher: stamp.publisher,
        layer,
    })
}

impl Slot {
    fn new(stamp: &Stamp, arrival: &Arrival<'_>) -> Self {
        Self {
            publisher: stamp.publisher,
            stream: stamp.stream,
            newest: stamp.sequence,
            seen: 1,
            newest_rtp: arrival.sequence,
            last_arrival: arrival.at_ns,
            last_sent: stamp.sent_ns,
            jitter: 0.0,
            open_key: None,
            key_began: (stamp.flags & KEY != 0).then_some(arrival.at_ns),
        }
    }

    /// Whether this was sent before anybody asked for it.
    fn kept(&self, stamp: &Stamp) -> bool {
        stamp.stream != 0 && self.key_began.is_some_and(|began| stamp.sent_ns < began)
    }

    /// RTP sequence numbers, as a browser counts.
    fn sequence(&mut self, number: u64, tally: &mut Tally) {
        if number > self.newest_rtp {
            tally.counts.sequence_gaps += (number - self.newest_rtp - 1) as i64;
            self.newest_rtp = number;
        } else {
            tally.counts.sequence_gaps -= 1;
        }
    }

    /// The slot carries something else now.
    fn change(&mut self, stamp: &Stamp, arrival: &Arrival<'_>, tally: &mut Tally) {
        let same_person = self.publisher == stamp.publisher;
        if same_person {
            tally.counts.layer_switches += 1;
            let gap = arrival.at_ns.saturating_sub(self.last_arrival);
            tally.counts.flowing_ns += gap;
            if gap > FREEZE_NS {
                tally.freeze(gap);
            }
        } else {
            tally.counts.rebinds += 1;
        }
        let jitter = self.jitter;
        let newest_rtp = self.newest_rtp;
        *self = Self::new(stamp, arrival);
        self.newest_rtp = newest_rtp;
        self.jitter = jitter;
    }

    fn same(&mut self, stamp: &Stamp, arrival: &Arrival<'_>, tally: &mut Tally) {
        let ahead = stamp.sequence.wrapping_sub(self.newest);
        if ahead == 0 || ahead > u32::MAX / 2 {
            let behind = self.newest.wrapping_sub(stamp.sequence);
            let bit = if behind < WINDOW { 1_u128 << behind } else { 0 };
            if bit == 0 {
                // Too old to say whether it came before.
                tally.counts.reordered += 1;
            } else if self.seen & bit != 0 {
                tally.counts.duplicates += 1;
            } else {
                self.seen |= bit;
                tally.counts.lost -= 1;
                tally.counts.reordered += 1;
            }
            return;
        }
        let gap = arrival.at_ns.saturating_sub(self.last_arrival);
        let sent_gap = stamp.sent_ns.saturating_sub(self.last_sent);
        let missing = ahead - 1;
        let audio = stamp.stream == 0;
        if missing > 0 {
            self.open_key = None;
            if !(audio && gap > AUDIO_PAUSE_NS) {
                tally.counts.lost += i64::from(missing);
            }
        }
        if !audio {
            // The publisher itself may have rested: then the next packet comes as late as it was sent.
            let rested = missing == 0 && sent_gap > FREEZE_NS;
            if !rested {
                tally.counts.flowing_ns += gap;
                if gap > FREEZE_NS {
                    tally.freeze(gap);
                }
            }
        }
        let drift = (gap as f64 - sent_gap as f64).abs();
        if missing == 0 {
            self.jitter += (drift - self.jitter) / 16.0;
        }
        self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
        self.newest = stamp.sequence;
        self.last_arrival = arrival.at_ns;
        self.last_sent = stamp.sent_ns;
    }

    /// Whether this packet completes a key frame.
    fn frame(&mut self, stamp: &Stamp) -> bool {
        if stamp.stream == 0 {
            return false;
        }
        if stamp.flags & KEY_BEGIN != 0 {
            self.open_key = Some(stamp.frame);
        }
        stamp.flags & (FRAME_END | KEY) == FRAME_END | KEY && self.open_key == Some(stamp.frame)
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
