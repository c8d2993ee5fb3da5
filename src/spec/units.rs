//! Sizes, rates and times as people write them.
//!
//! One grammar for flags and spec files. Exact integer arithmetic: no float ever decides a limit, so `1e9`,
//! `inf` and `NaN` are words we do not know, and what does not fit is refused, never clamped. A decimal unit
//! (`kB`, `MB`, `GB`) is refused as well: half of the world reads it as 1000 and half as 1024, and a limit
//! must not depend on who reads it.

use super::{MOST_CONNECTIONS, OutputLimit};
use std::fmt;
use std::time::Duration;

/// No machine has more; a larger number is a typing error.
pub const MAX_MILLICPUS: u32 = 4_096_000;
/// About 114 years; keeps every sum of times far from overflow.
pub const MAX_DURATION: Duration = Duration::from_secs(1_000_000 * 3600);
/// The kernel has no more process ids (`PID_MAX_LIMIT`), and refuses a larger `pids.max`.
pub const MAX_PIDS: u32 = 4 << 20;
/// The kernel takes sizes as signed 64-bit numbers.
pub const MAX_BYTES: u64 = i64::MAX as u64;

/// A value that is not what it should be: says what was given and what is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub reason: String,
    /// What would be right.
    pub right: &'static str,
}

const SIZE: &str = "a size is a number of bytes, or a number with K, M, G or T (1024-based), as in `512M` or `1.5G`";
const CPUS: &str = "a number of CPUs is a decimal from 0.001 to 4096, as in `0.5` or `2`";
const TIME: &str = "a time is a number of seconds, or numbers with h, m, s or ms, as in `30s`, `2.5s` or `1h30m`";
const TIMEOUT: &str =
    "a deadline is `none`, a number of seconds, or numbers with h, m, s or ms, as in `30s` or `1h30m`";
const COUNT: &str = "a number of processes is a whole number from 1 to 4194304, as in `128`";
const CONNECTIONS: &str =
    "a number of connections is a whole number from 1 to 32768, as in `200`; `--net none` is none at all";
const LIMIT: &str = "an output limit is a size, or a size with `:kill`, as in `1M` or `1M:kill`";

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.given, self.reason)
    }
}

impl std::error::Error for UnitError {}

/// A size in bytes: `1000000`, `64K`, `512M`, `1.5G`, `1GiB`, `2T`. Never zero, never beyond `i64::MAX`.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    bytes(text).map_err(|reason| refuse(text, reason, SIZE))
}

/// A CPU rate in thousandths of one CPU: `0.5` is 500, `2` is 2000.
pub fn parse_cpus(text: &str) -> Result<u32, UnitError> {
    let wrong = |reason: &str| refuse(text, reason.to_owned(), CPUS);
    let number = Decimal::whole(text).map_err(|reason| refuse(text, reason, CPUS))?;
    if number.places > 3 {
        return Err(wrong("is finer than a thousandth of a CPU"));
    }
    match number.times(1000).and_then(|milli| u32::try_from(milli).ok()) {
        Some(0) => Err(wrong("is zero")),
        Some(milli) if milli <= MAX_MILLICPUS => Ok(milli),
        _ => Err(wrong("is more than 4096 CPUs")),
    }
}

/// A time: `30s`, `500ms`, `5m`, `1h30m`, `2.5s`; a plain number counts seconds. Never below a millisecond.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    duration(text).map_err(|reason| refuse(text, reason, TIME))
}

/// A deadline: a time, or `none`.
pub fn parse_timeout(text: &str) -> Result<Option<Duration>, UnitError> {
    match text {
        "none" => Ok(None),
        time => duration(time).map(Some).map_err(|reason| refuse(time, reason, TIMEOUT)),
    }
}

/// A number of processes.
pub fn parse_count(text: &str) -> Result<u32, UnitError> {
    let many = "is more than the kernel can count";
    whole(text, MAX_PIDS, many).map_err(|reason| refuse(text, reason, COUNT))
}

/// A number of connections.
pub fn parse_connections(text: &str) -> Result<u32, UnitError> {
    let many = "is more than there are ports for";
    whole(text, MOST_CONNECTIONS, many).map_err(|reason| refuse(text, reason, CONNECTIONS))
}

/// A whole number from 1 to `most`; or what is wrong with it.
fn whole(text: &str, most: u32, many: &str) -> Result<u32, String> {
    let number = Decimal::whole(text)?;
    match (number.places, number.times(1)) {
        (1.., _) => Err("is not a whole number".to_owned()),
        (_, Some(0)) => Err("is zero".to_owned()),
        (_, Some(count)) if count <= u64::from(most) => Ok(count as u32),
        _ => Err(many.to_owned()),
    }
}

/// A cap on output: `1M` drops what is beyond, `1M:kill` ends the command.
pub fn parse_output_limit(text: &str) -> Result<OutputLimit, UnitError> {
    let (size, kill) = match text.split_once(':') {
        None => (text, false),
        Some((size, "kill")) => (size, true),
        Some((_, other)) => {
            return Err(refuse(text, format!("ends in `:{}`, which means nothing", shorten(other)), LIMIT));
        }
    };
    match bytes(size) {
        Ok(bytes) => Ok(OutputLimit { bytes, kill }),
        Err(reason) => Err(refuse(text, reason, LIMIT)),
    }
}

/// A size as a person would write it: `1 GiB`, `1.5 MiB`, `1000 bytes`.
pub fn show_bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in units {
        let tenths = (u128::from(bytes) * 10).checked_rem(u128::from(unit));
        if bytes >= unit && tenths == Some(0) {
            let (whole, tenth) = (bytes / unit, (u128::from(bytes) * 10 / u128::from(unit)) % 10);
            return if tenth == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") };
        }
    }
    format!("{bytes} bytes")
}

/// A time as [`parse_duration`] reads it: `1h30m`, `30s`, `500ms`.
pub fn show_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let parts =
        [(millis / 3_600_000, "h"), (millis / 60_000 % 60, "m"), (millis / 1000 % 60, "s"), (millis % 1000, "ms")];
    let shown: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

fn refuse(given: &str, reason: String, right: &'static str) -> UnitError {
    UnitError { given: shorten(given), reason, right }
}

/// A value of a megabyte must not become a message of a megabyte.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = Decimal::take(text)?;
    let factor: u64 = match unit {
        "" if number.places > 0 => return Err("is not a whole number of bytes".to_owned()),
        "" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "m" | "MiB" => 1 << 20,
        "G" | "g" | "GiB" => 1 << 30,
        "T" | "t" | "TiB" => 1 << 40,
        "kB" | "KB" | "MB" | "GB" | "TB" => {
            return Err(format!("has the unit `{unit}`, which some read as 1000-based and some as 1024-based"));
        }
        other => return Err(format!("has the unit `{}`, which is no unit of size", shorten(other))),
    };
    match number.times(factor) {
        Some(0) => Err("is zero".to_owned()),
        Some(bytes) if bytes <= MAX_BYTES => Ok(bytes),
        _ => Err("is larger than any machine has".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut nanos: u64 = 0;
    // Units come from the largest to the smallest, each at most once: `30m1h` is more likely a slip than a wish.
    let mut smallest = u64::MAX;
    loop {
        let (number, tail) = Decimal::take(rest)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(end);
        let factor = match unit {
            "" if rest.len() == text.len() => 1_000_000_000,
            "" => return Err("ends in a number without a unit".to_owned()),
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            other => return Err(format!("has the unit `{}`, which is no unit of time", shorten(other))),
        };
        if factor >= smallest {
            return Err(format!("has `{unit}` in the wrong place: larger units come first, each once"));
        }
        if number.places > 0 && !after.is_empty() {
            return Err("has a fraction before its last unit".to_owned());
        }
        smallest = factor;
        nanos = number.times(factor).and_then(|part| nanos.checked_add(part)).ok_or("is longer than 1000000 hours")?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    match Duration::from_nanos(nanos) {
        Duration::ZERO => Err("is zero".to_owned()),
        time if time < Duration::from_millis(1) => Err("is shorter than a millisecond".to_owned()),
        time if time > MAX_DURATION => Err("is longer than 1000000 hours".to_owned()),
        time => Ok(time),
    }
}

/// `digits / 10^places`.
struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// The number at the start of `text`, and what follows it.
    fn take(text: &str) -> Result<(Decimal, &str), String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if text.contains(char::is_whitespace) {
            return Err("has white space in it".to_owned());
        }
        if text.starts_with('-') {
            return Err("is negative".to_owned());
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        let (whole, fraction) = match number.split_once('.') {
            None => (number, ""),
            Some((_, fraction)) if fraction.is_empty() || fraction.contains('.') => {
                return Err("is not a number".to_owned());
            }
            Some(parts) => parts,
        };
        if whole.is_empty() {
            return Err("does not begin with a number".to_owned());
        }
        if whole.len() > 20 {
            return Err("is too large".to_owned());
        }
        if fraction.len() > 9 {
            return Err("has more than nine decimals".to_owned());
        }
        // At most 20 + 9 digits: far below 2^128.
        let digits = format!("{whole}{fraction}").parse().map_err(|_| "is not a number".to_owned())?;
        Ok((Decimal { digits, places: fraction.len() as u32 }, rest))
    }

    /// A number with nothing after it.
    fn whole(text: &str) -> Result<Decimal, String> {
        match Decimal::take(text)? {
            (number, "") => Ok(number),
            (_, rest) => Err(format!("has `{}` after the number", shorten(rest))),
        }
    }

    /// The number times `factor`, rounded down. `None`: more than 64 bits.
    fn times(&self, factor: u64) -> Option<u64> {
        let product = self.digits.checked_mul(u128::from(factor))?;
        u64::try_from(product / 10_u128.pow(self.places)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T: fmt::Debug>(result: Result<T, UnitError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn sizes_are_read_as_written() {
        let table = [
            ("1", 1),
            ("1000000", 1_000_000),
            ("64K", 65_536),
            ("64k", 65_536),
            ("512M", 536_870_912),
            ("1G", 1 << 30),
            ("1GiB", 1 << 30),
            ("1.5G", 1_610_612_736),
            ("0.5K", 512),
            ("2T", 2 << 40),
            ("9223372036854775807", i64::MAX as u64),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_wrong_size_says_what_is_wrong() {
        let table = [
            ("", "`` is empty"),
            ("0", "`0` is zero"),
            ("0G", "`0G` is zero"),
            ("0.0001K", "`0.0001K` is zero"),
            ("-1", "`-1` is negative"),
            ("-1G", "`-1G` is negative"),
            (" 1G", "` 1G` has white space in it"),
            ("1 G", "`1 G` has white space in it"),
            ("1.5", "`1.5` is not a whole number of bytes"),
            ("1e9", "`1e9` has the unit `e9`, which is no unit of size"),
            ("1Q", "`1Q` has the unit `Q`, which is no unit of size"),
            ("1Gib", "`1Gib` has the unit `Gib`, which is no unit of size"),
            ("1GB", "`1GB` has the unit `GB`, which some read as 1000-based and some as 1024-based"),
            ("NaN", "`NaN` does not begin with a number"),
            ("inf", "`inf` does not begin with a number"),
            ("+1", "`+1` does not begin with a number"),
            (".5G", "`.5G` does not begin with a number"),
            ("1.G", "`1.G` is not a number"),
            ("1.2.3G", "`1.2.3G` is not a number"),
            ("0x10", "`0x10` has the unit `x10`, which is no unit of size"),
            ("9223372036854775808", "`9223372036854775808` is larger than any machine has"),
            ("18446744073709551616", "`18446744073709551616` is larger than any machine has"),
            ("16777216T", "`16777216T` is larger than any machine has"),
            ("999999999999999999999999", "`999999999999999999999999` is too large"),
            ("١G", "`١G` does not begin with a number"),
        ];
        for (text, message) in table {
            assert_eq!(reason(parse_bytes(text)), message);
        }
    }

    #[test]
    fn cpus_are_read_to_thousandths() {
        for (text, milli) in [("0.5", 500), ("2", 2000), ("0.001", 1), ("1.250", 1250), ("4096", 4_096_000)] {
            assert_eq!(parse_cpus(text), Ok(milli), "{text}");
        }
    }

    #[test]
    fn a_wrong_number_of_cpus_says_what_is_wrong() {
        let table = [
            ("", "`` is empty"),
            ("0", "`0` is zero"),
            ("0.000", "`0.000` is zero"),
            ("-1", "`-1` is negative"),
            ("0.0005", "`0.0005` is finer than a thousandth of a CPU"),
            ("4096.001", "`4096.001` is more than 4096 CPUs"),
            ("18446744073709551616", "`18446744073709551616` is more than 4096 CPUs"),
            ("1e9", "`1e9` has `e9` after the number"),
            ("50%", "`50%` has `%` after the number"),
            ("inf", "`inf` does not begin with a number"),
        ];
        for (text, message) in table {
            assert_eq!(reason(parse_cpus(text)), message);
        }
    }

    #[test]
    fn times_are_read_as_written() {
        let table = [
            ("30", 30_000),
            ("2.5", 2500),
            ("30s", 30_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
            ("1h1m1s1ms", 3_661_001),
            ("2.5s", 2500),
            ("1m1.5s", 61_500),
            ("0.001", 1),
        ];
        for (text, millis) in table {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_wrong_time_says_what_is_wrong() {
        let table = [
            ("", "`` is empty"),
            ("0", "`0` is zero"),
            ("0h0m", "`0h0m` is zero"),
            ("-5s", "`-5s` is negative"),
            ("0.5ms", "`0.5ms` is shorter than a millisecond"),
            ("5min", "`5min` has the unit `min`, which is no unit of time"),
            ("1S", "`1S` has the unit `S`, which is no unit of time"),
            ("30m1h", "`30m1h` has `h` in the wrong place: larger units come first, each once"),
            ("1s1s", "`1s1s` has `s` in the wrong place: larger units come first, each once"),
            ("1h30", "`1h30` ends in a number without a unit"),
            ("1.5h30m", "`1.5h30m` has a fraction before its last unit"),
            ("1e9", "`1e9` has the unit `e`, which is no unit of time"),
            ("NaN", "`NaN` does not begin with a number"),
            ("1000000h1ms", "`1000000h1ms` is longer than 1000000 hours"),
            ("18446744073709551616", "`18446744073709551616` is longer than 1000000 hours"),
        ];
        for (text, message) in table {
            assert_eq!(reason(parse_duration(text)), message);
        }
    }

    #[test]
    fn a_deadline_may_be_none() {
        assert_eq!(parse_timeout("none"), Ok(None));
        assert_eq!(parse_timeout("2s"), Ok(Some(Duration::from_secs(2))));
        assert_eq!(reason(parse_timeout("0")), "`0` is zero");
        assert_eq!(reason(parse_timeout("never")), "`never` does not begin with a number");
    }

    #[test]
    fn a_number_of_processes_is_whole_and_within_the_kernels_count() {
        assert_eq!(parse_count("1"), Ok(1));
        assert_eq!(parse_count("4194304"), Ok(4_194_304));
        let table = [
            ("0", "`0` is zero"),
            ("1.0", "`1.0` is not a whole number"),
            ("1K", "`1K` has `K` after the number"),
            ("4194305", "`4194305` is more than the kernel can count"),
            ("18446744073709551616", "`18446744073709551616` is more than the kernel can count"),
        ];
        for (text, message) in table {
            assert_eq!(reason(parse_count(text)), message);
        }
    }

    #[test]
    fn an_output_limit_is_a_size_with_or_without_kill() {
        assert_eq!(parse_output_limit("1M"), Ok(OutputLimit { bytes: 1 << 20, kill: false }));
        assert_eq!(parse_output_limit("64K:kill"), Ok(OutputLimit { bytes: 64 << 10, kill: true }));
        assert_eq!(reason(parse_output_limit("1M:drop")), "`1M:drop` ends in `:drop`, which means nothing");
        assert_eq!(reason(parse_output_limit(":kill")), "`:kill` is empty");
        assert_eq!(reason(parse_output_limit("0:kill")), "`0:kill` is zero");
    }

    #[test]
    fn a_long_value_gives_a_short_message() {
        assert!(reason(parse_bytes(&"9".repeat(1 << 20))).len() < 250);
        assert!(reason(parse_bytes(&format!("1{}", "é".repeat(1 << 20)))).len() < 300);
    }

    #[test]
    fn sizes_and_times_are_shown_as_people_write_them() {
        for (bytes, text) in [
            (1 << 30, "1 GiB"),
            (3 << 29, "1.5 GiB"),
            (1000, "1000 bytes"),
            (10 << 20, "10 MiB"),
            (u64::MAX, "18446744073709551615 bytes"),
        ] {
            assert_eq!(show_bytes(bytes), text);
        }
        for (millis, text) in [(300_000, "5m"), (5_400_000, "1h30m"), (1500, "1s500ms"), (0, "0s")] {
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
        }
    }
}
