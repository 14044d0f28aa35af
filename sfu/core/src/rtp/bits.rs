//! Bits from the front of a byte string, none of which is believed.

/// A reader. Every method returns `None` at the end of the bytes, and stays there.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = *self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Up to 32 bits, the most significant one first.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// `ns(n)` of the AV1 specification (section 4.10.7): a number below `n` in as few bits as it takes.
    pub(super) fn below(&mut self, n: u32) -> Option<u32> {
        let width = 32 - n.leading_zeros();
        if width == 0 {
            return None;
        }
        let short = (1_u32 << width).wrapping_sub(n);
        let value = self.read(width - 1)?;
        if value < short {
            return Some(value);
        }
        Some((value << 1 | u32::from(self.flag()?)) - short)
    }

    /// `ue(v)` of H.264 (section 9.1): an Exp-Golomb number.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.read(zeros)?;
        Some(((1_u64 << zeros) as u32 - 1).wrapping_add(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_a_limit_take_the_bits_that_av1_gives_them() {
        // The example of AV1 section 4.10.7, n = 5: 0 is 00, 1 is 01, 2 is 10, 3 is 110, 4 is 111.
        let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
        let read: Vec<u32> = (0..5).map(|_| bits.below(5).unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        assert_eq!(Bits::new(&[]).below(1), Some(0), "one possibility needs no bit");
        assert_eq!(Bits::new(&[0xff]).below(0), None);
    }

    #[test]
    fn exp_golomb_numbers() {
        // 1, 010, 011, 00100
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0000]);
        let read: Vec<u32> = (0..4).map(|_| bits.exp_golomb().unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3]);
        assert_eq!(
            Bits::new(&[0; 9]).exp_golomb(),
            None,
            "no number has so many zeros in front"
        );
    }
}
