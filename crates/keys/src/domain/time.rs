//! Instants: epoch milliseconds in the database, RFC 3339 in JSON.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

/// Milliseconds in a day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The maximum number of days in a setting: a hundred years.
pub const MAX_DAYS: i64 = 36_500;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The instant `ms` milliseconds later (earlier, if negative); it stops at the ends of the range.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when the clock was set back in between.
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 date-time with its offset, or a bare date, which means its first instant in UTC. An instant
    /// that lies outside of the years 0 to 9999 in UTC is none: RFC 3339 could not write it.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => instant.to_utc(),
            Err(_) => text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc(),
        };
        (0..=9_999).contains(&instant.year()).then(|| Self(instant.timestamp_millis()))
    }

    /// This instant in HTTP's date format (RFC 9110, 5.6.7), rounded down to the second.
    pub fn to_http_date(self) -> String {
        let instant = DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH);
        instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// This instant in RFC 3339 in UTC with milliseconds.
    pub fn to_rfc3339(self) -> String {
        DateTime::from_timestamp_millis(self.0)
            .unwrap_or(DateTime::UNIX_EPOCH)
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// True if this time since `at` is over. It also is if the clock was set back to before `at`.
pub fn has_elapsed(at: UnixMillis, ms: i64, now: UnixMillis) -> bool {
    !(0..ms).contains(&now.ms_since(at))
}

#[cfg(test)]
mod tests {
    use super::UnixMillis;

    #[test]
    fn parse_accepts_rfc3339_and_bare_dates() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T01:00:00.250+01:00", Some(250)),
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-01T00:00:00", None),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("9999-12-31T23:59:59-23:59", None),
            ("0000-01-01T00:00:00+00:01", None),
            ("+10000-01-01", None),
            ("-0001-01-01", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(UnixMillis::parse(text), expected.map(UnixMillis), "{text:?}");
        }
    }

    #[test]
    fn to_rfc3339_reads_back() {
        let instant = UnixMillis(1_763_000_000_123);
        assert_eq!(instant.to_rfc3339(), "2025-11-13T02:13:20.123Z");
        assert_eq!(UnixMillis::parse(&instant.to_rfc3339()), Some(instant));
    }
}
