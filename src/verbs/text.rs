//! Text of results: tables, sizes, times, without characters that a terminal acts on.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// Text without what a terminal would act on: control characters, and those that turn the direction of text. Line ends and
/// tabs stay where `lines` is true. Whatever was escaped before comes through as it is.
pub fn plain(text: &str, lines: bool) -> Cow<'_, str> {
    let is_plain = |letter: char| lines && matches!(letter, '\n' | '\t') || !is_active(letter);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_plain(letter) { shown.push(letter) } else { shown.extend(letter.escape_default()) }
    }
    Cow::Owned(shown)
}

/// What a terminal acts on instead of showing it.
pub fn is_active(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns as wide as what is in them.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The first row of a table.
pub fn heading<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// Bytes as people say them.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// RFC 3339, in UTC.
pub fn time(seconds: u64) -> String {
    moment(seconds as i64)
}

/// The same before 1970 too.
pub fn moment(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The day of the Gregorian calendar, counted from 1970-01-01: years begin in March here, so that a leap day ends one.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// As people say it.
pub fn ago(seconds: u64) -> String {
    match now().saturating_sub(seconds) {
        age @ ..60 => format!("{age} s ago"),
        age @ ..3600 => format!("{} min ago", age / 60),
        age @ ..86_400 => format!("{} h ago", age / 3600),
        age => format!("{} d ago", age / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{moment, time};

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(-1), "1969-12-31T23:59:59Z");
        assert_eq!(moment(-11_676_096_000), "1600-01-01T00:00:00Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(time(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(time(4_102_444_800), "2100-01-01T00:00:00Z");
        assert_eq!(time(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(time(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(time(1_795_406_706), "2026-11-23T04:05:06Z");
    }
}
