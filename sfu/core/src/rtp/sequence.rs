//! Arithmetic on sequence numbers that wrap (RFC 1982, RFC 3711 section 3.3.1).

/// Whether `a` comes after `b` on the circle of 16-bit sequence numbers.
pub fn is_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// The 48-bit index (roll-over counter and sequence number) of `sequence` nearest to `newest`.
///
/// Never below zero: close to the start of a stream an apparently older number counts as newer by one lap.
pub fn extend(newest: u64, sequence: u16) -> u64 {
    let delta = sequence.wrapping_sub(newest as u16) as i16;
    match newest.checked_add_signed(i64::from(delta)) {
        Some(index) => index,
        None => newest + u64::from(delta as u16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_wraps_around() {
        assert!(is_newer(0, 65_535));
        assert!(!is_newer(65_535, 0));
        assert!(!is_newer(7, 7));
    }

    #[test]
    fn an_index_survives_wraps_and_reordering() {
        assert_eq!(extend(65_535, 0), 65_536);
        assert_eq!(extend(65_536, 65_535), 65_535);
        assert_eq!(extend(3, 65_530), 65_530, "before the start there is nothing");
        assert_eq!(extend(200_000, (199_000_u64 & 0xffff) as u16), 199_000);
    }
}
