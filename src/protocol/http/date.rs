//! Dates (RFC 9110, section 5.6.7): written in the one form that is to be sent, read in all three.

use std::cell::Cell;

const DAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const LONG_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Such as "Sun, 06 Nov 1994 08:49:37 GMT".
pub type Text = [u8; 29];

/// The last second that has four digits for its year.
const LAST: i64 = 253_402_300_799;

/// Seconds since 1970 as a date; those before 1970 and after 9999 are moved there.
pub fn format(seconds: i64) -> Text {
    let seconds = seconds.clamp(0, LAST);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date_of(days);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[((days + 4) % 7) as usize]);
    text[8..11].copy_from_slice(MONTHS[month as usize - 1]);
    for (at, value) in
        [(5, day), (12, year / 100), (14, year % 100), (17, second / 3600), (20, second / 60 % 60), (23, second % 60)]
    {
        text[at..at + 2].copy_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
    }
    text
}

/// The date as of the second that was asked for last: a server writes the same many times.
pub struct Cached(Cell<(i64, Text)>);

impl Default for Cached {
    fn default() -> Self {
        Self(Cell::new((0, format(0))))
    }
}

impl Cached {
    /// [`format()`] of these seconds.
    #[inline]
    pub fn format(&self, seconds: i64) -> Text {
        let (of, text) = self.0.get();
        if of == seconds { text } else { self.anew(seconds) }
    }

    #[inline(never)]
    fn anew(&self, seconds: i64) -> Text {
        let text = format(seconds);
        self.0.set((seconds, text));
        text
    }
}

/// Seconds since 1970 of a date in one of the three forms, or nothing. `now`, as such seconds, says the century of a year that has but two
/// digits.
pub fn parse(text: &[u8], now: i64) -> Option<i64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    match text.split_once(',') {
        Some((day, rest)) if day.len() == 3 => imf_fixdate(day, rest.strip_prefix(' ')?),
        Some((day, rest)) => rfc850(day, rest.strip_prefix(' ')?, now),
        None => asctime(text),
    }
}

/// "06 Nov 1994 08:49:37 GMT"
fn imf_fixdate(day: &str, rest: &str) -> Option<i64> {
    is_a_day(day)?;
    if rest.len() != 24 || rest.as_bytes()[2] != b' ' || rest.as_bytes()[6] != b' ' || rest.as_bytes()[11] != b' ' {
        return None;
    }
    let clock = rest[12..].strip_suffix(" GMT")?;
    seconds(number(&rest[7..11])?, month(&rest[3..6])?, number(&rest[..2])?, time(clock)?)
}

/// "06-Nov-94 08:49:37 GMT"
fn rfc850(day: &str, rest: &str, now: i64) -> Option<i64> {
    LONG_DAYS.iter().find(|long| **long == day)?;
    if rest.len() != 22 || rest.as_bytes()[2] != b'-' || rest.as_bytes()[6] != b'-' || rest.as_bytes()[9] != b' ' {
        return None;
    }
    let clock = rest[10..].strip_suffix(" GMT")?;
    let this_year = date_of(now.clamp(0, LAST) / 86_400).0;
    // More than fifty years ahead is the past century.
    let year = this_year - this_year % 100 + number(&rest[7..9])?;
    let year = if year > this_year + 50 { year - 100 } else { year };
    seconds(year, month(&rest[3..6])?, number(&rest[..2])?, time(clock)?)
}

/// "Sun Nov  6 08:49:37 1994"
fn asctime(text: &str) -> Option<i64> {
    if text.len() != 24 || [3, 7, 10, 19].iter().any(|at| text.as_bytes()[*at] != b' ') {
        return None;
    }
    is_a_day(&text[..3])?;
    let day = text[8..10].strip_prefix(' ').unwrap_or(&text[8..10]);
    seconds(number(&text[20..])?, month(&text[4..7])?, number(day)?, time(&text[11..19])?)
}

fn is_a_day(text: &str) -> Option<()> {
    DAYS.iter().any(|day| *day == text.as_bytes()).then_some(())
}

fn month(text: &str) -> Option<i64> {
    MONTHS.iter().position(|month| *month == text.as_bytes()).map(|month| month as i64 + 1)
}

fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The seconds of "08:49:37".
fn time(text: &str) -> Option<i64> {
    if text.len() != 8 || text.as_bytes()[2] != b':' || text.as_bytes()[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(&text[..2])?, number(&text[3..5])?, number(&text[6..])?);
    // A leap second is a second 60.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn seconds(year: i64, month: i64, day: i64, time: i64) -> Option<i64> {
    let days = days_to(year, month, day);
    (day > 0 && date_of(days) == (year, month, day)).then_some(days * 86_400 + time)
}

/// Days from 1970 to a date of the Gregorian calendar, with years that begin in March so that leap days come last.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of the day that is so many after 1970's first.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: i64 = 784_111_777;
    const NOW: i64 = 1_790_000_000;

    #[test]
    fn the_rfcs_example_in_all_its_forms() {
        assert_eq!(&format(EXAMPLE), b"Sun, 06 Nov 1994 08:49:37 GMT");
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(EXAMPLE), "{text}");
        }
    }

    #[test]
    fn days_come_back() {
        for day in (0..=40_000).chain((40_000..=LAST / 86_400).step_by(13)) {
            let seconds = day * 86_400 + day % 86_400;
            let text = format(seconds);
            assert_eq!(parse(&text, NOW), Some(seconds), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn dates_that_are_known() {
        assert_eq!(&format(0), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&format(951_782_400), b"Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(&format(i64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(&format(-1), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_year_of_two_digits_is_not_far_ahead() {
        let year = |text: &str| parse(text.as_bytes(), NOW).map(|seconds| date_of(seconds / 86_400).0);
        assert_eq!(year("Monday, 01-Jan-76 00:00:00 GMT"), Some(2076));
        assert_eq!(year("Saturday, 01-Jan-77 00:00:00 GMT"), Some(1977));
    }

    #[test]
    fn what_is_no_date() {
        let texts = [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Foo, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun Nov  6 08:49:37 199",
            "Sun Nov 6 08:49:37 1994 ",
            "Sun, 06 Nov 1994 08:49:37 GMTx",
            "S\u{fc}n Nov  6 08:49:37 1994",
            "Sun, 06 Nov 199\u{664}08:49:37 GMT",
        ];
        for text in texts {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn the_cache_follows_the_second() {
        let cached = Cached::default();
        for seconds in [0, EXAMPLE, EXAMPLE, EXAMPLE + 1, 0] {
            assert_eq!(cached.format(seconds), format(seconds));
        }
    }
}
