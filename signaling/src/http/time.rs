//! RFC 3339 timestamps in UTC with milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-11-21T04:05:06.789Z`. A time before 1970 is shown as 1970.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    crate::store::rfc3339(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Epoch milliseconds of `2026-11-21T04:05:06Z`, with or without a fraction; `None` for anything else, other offsets
/// included.
pub(super) fn epoch_ms(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let (year, month, day) = three(date, '-', [4, 2, 2])?;
    let (hour, minute, second) = three(time, ':', [2, 2, 2])?;
    let possible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !possible || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    // Years begin in March here, so that the leap day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5;
    let days = days + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis)
}

/// Three numbers of these many digits.
fn three(text: &str, between: char, digits: [usize; 3]) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(between).zip(digits).map(|(part, digits)| {
        let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    });
    let three = (parts.next()??, parts.next()??, parts.next()??);
    (text.matches(between).count() == 2).then_some(three)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_moments_are_written_as_they_are() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_233_906_789, "2026-11-21T04:05:06.789Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_no_moment_is_not() {
        for ms in [
            0,
            951_782_399_999,
            951_782_400_000,
            1_795_233_906_789,
            4_107_542_400_000,
        ] {
            assert_eq!(epoch_ms(&crate::store::rfc3339(ms)), Some(ms));
        }
        assert_eq!(epoch_ms("2026-11-21T04:05:06Z"), Some(1_795_233_906_000));
        assert_eq!(epoch_ms("2026-11-21T04:05:06.7Z"), Some(1_795_233_906_700));
        for wrong in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-11-21T04:05:06",
            "2026-11-21T04:05:06+01:00",
            "2026-11-21T24:00:00Z",
            "26-11-21T04:05:06Z",
            "2026-11-21T04:05:06.Z",
            "2026-11-21-01T04:05:06Z",
            "-001-11-21T04:05:06Z",
        ] {
            assert_eq!(epoch_ms(wrong), None, "{wrong}");
        }
    }
}
