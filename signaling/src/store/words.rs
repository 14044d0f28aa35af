//! Words of the protocol as columns hold them, and stamps as the wire shows them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// The word of an enum value.
pub(crate) fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(StoreError::Query(format!("not a word: {other:?}"))),
    }
}

/// An enum value from its word.
pub(crate) fn parse<T: DeserializeOwned>(column: &str, text: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text.clone())).map_err(|_| StoreError::Decode {
        column: column.to_owned(),
        value: text,
    })
}

/// As [`parse`], where the column may be empty.
pub(crate) fn parse_opt<T: DeserializeOwned>(column: &str, text: Option<String>) -> Result<Option<T>, StoreError> {
    text.map(|text| parse(column, text)).transpose()
}

/// A list of ids as the JSON array that `FROM each($1)` takes.
pub(crate) fn list<'a, T: Serialize + 'a>(ids: impl IntoIterator<Item = &'a T>) -> String {
    let ids: Vec<_> = ids
        .into_iter()
        .map(|id| serde_json::to_value(id).unwrap_or_default())
        .collect();
    serde_json::Value::Array(ids).to_string()
}

/// Epoch milliseconds as RFC 3339 in UTC.
pub fn rfc3339(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days to a civil date by eras of 400 years that begin on 1 March, so that the leap day is the last one.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes, seconds, millis) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_rfc_3339_over_leap_days_and_before_the_epoch() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_764_936_015_123, "2025-12-05T12:00:15.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
