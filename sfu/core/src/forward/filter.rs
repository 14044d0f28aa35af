//! Which frames of a stream one viewer gets.

use crate::rtp::{Frame, Target};

/// Frame numbers that are remembered as sent. References reach back less than 16 frames in what browsers send.
const REMEMBERED: u16 = 128;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The viewer gets it.
    pub(crate) pass: bool,
    /// The wanted layer cannot be entered without a key frame.
    pub(crate) needs_key_frame: bool,
}

/// One viewer's layers of the stream that the slot carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    now: Target,
    want: Target,
    /// The newest frame number that was sent, and which of the 128 up to it were, the newest in the lowest bit.
    newest: u16,
    sent: u128,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            now: Target::ALL,
            want: Target::ALL,
            newest: 0,
            sent: 0,
        }
    }
}

impl Filter {
    /// The layers that are sent now.
    pub(crate) fn now(&self) -> Target {
        self.now
    }

    /// From now on the viewer wants these.
    pub(crate) fn want(&mut self, target: Target) {
        self.want = target;
    }

    /// Another stream begins in the slot, with a key frame.
    pub(crate) fn restart(&mut self) {
        self.now = self.want;
        self.sent = 0;
    }

    /// Decides about a packet, in order of arrival.
    pub(crate) fn decide(&mut self, frame: &Frame) -> Verdict {
        let mut needs_key_frame = false;
        if frame.start && self.now != self.want {
            needs_key_frame = self.change(frame);
        }
        let pass = frame.present.contains(self.now);
        if pass && let Some(number) = frame.number {
            self.note(number);
        }
        Verdict { pass, needs_key_frame }
    }

    /// Whether the picture ends with this packet for the viewer, because what lies above it is left out.
    pub(crate) fn ends_picture(&self, frame: &Frame) -> bool {
        frame.end && frame.spatial == self.now.spatial
    }

    /// Moves towards what is wanted, if this frame allows it. Returns whether only a key frame would.
    fn change(&mut self, frame: &Frame) -> bool {
        let (now, want) = (self.now, self.want);
        if frame.key {
            self.now = want;
            return false;
        }
        if now.spatial == want.spatial && want.temporal < now.temporal {
            // What is left out, nothing below refers to.
            self.now = want;
            return false;
        }
        if frame.number.is_some() {
            if !frame.switch.contains(want) {
                return false;
            }
            if self.has_references(frame) {
                self.now = want;
                return false;
            }
            return now.spatial != want.spatial;
        }
        self.change_by_payload(frame)
    }

    /// Without frame numbers: one temporal layer at a time, where the encoder marks it; a smaller picture at any picture's
    /// beginning, since it is sent anyhow; a larger one with a key frame only.
    fn change_by_payload(&mut self, frame: &Frame) -> bool {
        let (now, want) = (self.now, self.want);
        if now.spatial < want.spatial {
            return true;
        }
        if now.spatial > want.spatial {
            if frame.spatial == 0 {
                self.now = Target {
                    spatial: want.spatial,
                    temporal: now.temporal.min(want.temporal),
                };
            }
            return false;
        }
        let next = Target {
            spatial: now.spatial,
            temporal: now.temporal + 1,
        };
        if frame.temporal == next.temporal && frame.switch.contains(next) {
            self.now = next;
        }
        false
    }

    fn has_references(&self, frame: &Frame) -> bool {
        let number = frame.number.unwrap_or(self.newest);
        frame.references.iter().all(|distance| {
            let back = self.newest.wrapping_sub(number.wrapping_sub(u16::from(distance)));
            back < REMEMBERED && self.sent >> back & 1 == 1
        })
    }

    fn note(&mut self, number: u16) {
        let ahead = number.wrapping_sub(self.newest);
        if self.sent == 0 {
            self.newest = number;
            self.sent = 1;
        } else if ahead < 0x8000 {
            self.sent = self.sent.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.newest = number;
        } else {
            let back = self.newest.wrapping_sub(number);
            if back < REMEMBERED {
                self.sent |= 1 << back;
            }
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
