//! Header extensions (RFC 8285): one-byte and two-byte elements.

/// The elements of a packet's header extension.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    two_byte: bool,
    data: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Elements in `data` under the header word `profile`; nothing for a profile that RFC 8285 does not know.
    pub fn new(profile: u16, data: &'a [u8]) -> Self {
        let known = profile == 0xbede || profile & 0xfff0 == 0x1000;
        Self {
            two_byte: profile != 0xbede,
            data: if known { data } else { &[] },
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.data.split_first()?;
            if first == 0 {
                self.data = rest; // padding
                continue;
            }
            let (id, length, rest) = if self.two_byte {
                let (&length, rest) = rest.split_first()?;
                (first, usize::from(length), rest)
            } else {
                (first >> 4, usize::from(first & 0x0f) + 1, rest)
            };
            // RFC 8285 section 4.2: id 15 ends the one-byte elements; id 0 with a length is malformed.
            if (!self.two_byte && (id == 15 || id == 0)) || length > rest.len() {
                self.data = &[];
                return None;
            }
            let (value, rest) = rest.split_at(length);
            self.data = rest;
            return Some((id, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_byte_elements_may_be_empty() {
        let data = [3, 0, 0, 20, 2, 7, 8, 0];
        let read: Vec<_> = Extensions::new(0x1000, &data).collect();
        assert_eq!(read, [(3, &[][..]), (20, &[7, 8][..])]);
    }

    #[test]
    fn an_element_past_the_end_ends_the_list() {
        let data = [0x10, 0xaa, 0x2f, 1, 2];
        assert_eq!(Extensions::new(0xbede, &data).collect::<Vec<_>>(), [(1, &[0xaa][..])]);
        assert_eq!(Extensions::new(0x1234, &data).count(), 0);
    }
}
