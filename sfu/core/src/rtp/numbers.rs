//! The numbers that video payloads count their frames with, continued over changes of source.

/// Numbers of one frame, or how far they are moved. What a codec does not have stays 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Picture id (15 bits, or 7).
    pub picture: u16,
    /// TL0PICIDX.
    pub tl0: u8,
    /// KEYIDX (5 bits).
    pub key: u8,
    /// Frame number of the dependency descriptor.
    pub frame: u16,
}

impl Numbers {
    /// These, moved.
    #[must_use]
    pub fn moved(self, by: Self) -> Self {
        Self {
            picture: self.picture.wrapping_add(by.picture) & 0x7fff,
            tl0: self.tl0.wrapping_add(by.tl0),
            key: self.key.wrapping_add(by.key) & 0x1f,
            frame: self.frame.wrapping_add(by.frame),
        }
    }
}

/// The newest numbers that a slot has sent; the next source continues after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest(Numbers);

impl Newest {
    /// A slot that has sent nothing yet, beginning at any picture id.
    pub fn new(picture: u16) -> Self {
        Self(Numbers {
            picture: picture & 0x7fff,
            ..Numbers::default()
        })
    }

    /// How far the numbers of a source are moved that enters the slot with `first`.
    pub fn enter(&self, first: Numbers) -> Numbers {
        Numbers {
            picture: self.0.picture.wrapping_add(1).wrapping_sub(first.picture),
            tl0: self.0.tl0.wrapping_add(1).wrapping_sub(first.tl0),
            key: self.0.key.wrapping_add(1).wrapping_sub(first.key),
            frame: self.0.frame.wrapping_add(1).wrapping_sub(first.frame),
        }
    }

    /// Notes the numbers of a packet as it was sent. Late packets must not turn the clock back: picture ids are compared on
    /// their circle of 15 bits, frame numbers on theirs of 16.
    pub fn note(&mut self, sent: Numbers) {
        if sent.picture.wrapping_sub(self.0.picture) & 0x7fff < 0x4000 {
            (self.0.picture, self.0.tl0, self.0.key) = (sent.picture, sent.tl0, sent.key);
        }
        if super::is_newer(sent.frame, self.0.frame) {
            self.0.frame = sent.frame;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_source_continues_after_the_first() {
        let mut newest = Newest::new(0x7ffe);
        let a = Numbers {
            picture: 500,
            tl0: 9,
            key: 30,
            frame: 65_000,
        };
        let into = newest.enter(a);
        newest.note(a.moved(into));
        assert_eq!(newest.0.picture, 0x7fff);
        let b = Numbers {
            picture: 3,
            tl0: 200,
            key: 1,
            frame: 7,
        };
        let first = b.moved(newest.enter(b));
        assert_eq!(first.picture, 0, "15 bits wrap");
        assert_eq!((first.tl0, first.key, first.frame), (2, 2, 2), "one after the other");
    }
}
