//! The one door to the time of day, and its two written forms.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A wall clock. The bundled server may be told to run ahead or behind, the client signs with the server's time once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Milliseconds that this clock is ahead of the machine's.
    pub offset_ms: i64,
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    pub fn now_ms(self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(self.offset_ms)
    }

    /// Seconds since the Unix epoch.
    pub fn now_s(self) -> i64 {
        self.now_ms().div_euclid(1000)
    }
}

/// Whole milliseconds of a length of time.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC with whole seconds; `None` for a time outside the calendar.
pub fn rfc3339(unix_ms: i64) -> Option<String> {
    Timestamp::from_second(unix_ms.div_euclid(1000)).ok().map(|t| t.to_string())
}

/// A time of [`rfc3339`] back in milliseconds since the Unix epoch.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A time as the clock and the calendar on the wall here have it: `14:32`, with the day if that is not today, and with the
/// year if it is another. `None` for a time outside the calendar.
pub fn local_time(unix_ms: i64) -> Option<String> {
    let here = |ms| Some(Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::system()));
    Some(beside(&here(unix_ms)?, &here(Clock::default().now_ms())?))
}

fn beside(time: &Zoned, now: &Zoned) -> String {
    let format = match (time.date() == now.date(), time.year() == now.year()) {
        (true, _) => "%H:%M",
        (false, true) => "%-d %b %H:%M",
        (false, false) => "%Y-%m-%d %H:%M",
    };
    time.strftime(format).to_string()
}

/// A length of time in one unit: `12 s`, `5 min`, `2 h`, `3 days`.
pub fn span(ms: i64) -> String {
    let s = ms.max(0).saturating_add(500) / 1000;
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", (s + 30) / 60),
        7_200..172_800 => format!("{} h", (s + 1800) / 3600),
        _ => format!("{} days", s / 86_400),
    }
}

/// An HTTP date (RFC 9110, 5.6.7) in milliseconds since the Unix epoch.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// The HTTP date of a time in milliseconds since the Unix epoch; it has four digits for the year.
pub fn http_date(unix_ms: i64) -> String {
    const END_OF_9999: u64 = 253_402_300_799_999;
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or_default().min(END_OF_9999));
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_is_named() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().to_zoned(TimeZone::fixed(jiff::tz::offset(2)));
        let now = at("2026-11-29T22:30:00Z");
        for (time, shown) in [
            ("2026-11-29T22:00:00Z", "00:00"),
            ("2026-11-29T21:59:00Z", "29 Nov 23:59"),
            ("2026-12-03T09:05:00Z", "3 Dec 11:05"),
            ("2026-12-31T22:00:00Z", "2027-01-01 00:00"),
        ] {
            assert_eq!(beside(&at(time), &now), shown, "{time}");
        }
    }
}
