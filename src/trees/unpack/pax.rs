//! Extended headers (POSIX pax): records of `length key=value`, read by their lengths, since values may hold anything.
//!
//! Readers differ over headers that say a thing twice, and who differs can be made to see different files. A key that
//! comes twice is therefore refused, but for the two that GNU tar repeats.

use super::sparse::SparseRecords;
use std::collections::HashSet;

/// A time of last change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// What an extended header says, as far as it concerns us.
#[derive(Debug, Default)]
pub struct Records {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub time: Option<Time>,
    /// Extended attributes, all of them: name and value.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: SparseRecords,
}

const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

impl Records {
    /// Of the header of one entry.
    pub fn parse(header: &[u8]) -> Result<Records, String> {
        let mut records = Records::default();
        let mut seen = HashSet::new();
        let mut rest = header;
        while !rest.is_empty() {
            let (key, value);
            (key, value, rest) = record(rest).ok_or("has a malformed extended header")?;
            let repeated = matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
            if !repeated && !seen.insert(key) {
                return Err(format!("has `{}` twice in its extended header", super::escaped(key)));
            }
            // An empty value takes back what a global header said.
            if !value.is_empty() || key.starts_with(ATTRIBUTE) {
                let wrong = || format!("has a wrong `{}` in its extended header", super::escaped(key));
                records.take(key, value).ok_or_else(wrong)?;
            }
        }
        Ok(records)
    }

    /// A header for all entries that follow: only what means nothing here may stand in it.
    pub fn check_global(header: &[u8]) -> Result<(), String> {
        let mut rest = header;
        while !rest.is_empty() {
            let (key, value);
            (key, value, rest) = record(rest).ok_or("has a malformed global header")?;
            let matters = matches!(key, b"path" | b"linkpath" | b"size" | b"mtime")
                || key.starts_with(ATTRIBUTE)
                || key.starts_with(SPARSE);
            if matters && !value.is_empty() {
                return Err(format!("a global header sets `{}` for all entries", super::escaped(key)));
            }
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"mtime" => self.time = Some(time(value)?),
            _ => {
                if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                } else if let Some(name) = key.strip_prefix(SPARSE) {
                    self.sparse.take(name, value)?;
                }
            }
        }
        Some(())
    }
}

/// The first record: its key, its value, and what comes behind it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let body = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then(|| (&body[..equals], &body[equals + 1..], rest))
}

/// Digits, and nothing else.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// Seconds since 1970, maybe before it, maybe with a fraction. What is finer than a nanosecond is dropped.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let mut nanoseconds = 0;
    if !fraction.is_empty() {
        decimal(&fraction[..fraction.len().min(18)])?;
        let digit = |at: usize| fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'));
        nanoseconds = (0..9).fold(0, |sum, at| sum * 10 + digit(at));
    }
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds },
        (true, nanoseconds) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let length = (1..5).map(|digits| body + digits).find(|all| all.to_string().len() + body == *all);
        let length = length.expect("a length that counts itself").to_string();
        [length.as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
    }

    #[test]
    fn values_may_hold_line_ends_and_anything_else() {
        let header = [line("path", b"a\n12 size=7\nb"), line("SCHILY.xattr.user.x", b"\0\n=\xff"), line("size", b"9")];
        let records = Records::parse(&header.concat()).expect("well-formed");
        assert_eq!(records.path.as_deref(), Some(&b"a\n12 size=7\nb"[..]));
        assert_eq!(records.attributes, [(b"user.x".to_vec(), b"\0\n=\xff".to_vec())]);
        assert_eq!(records.size, Some(9));
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_empty_is_not_there() {
        let header = [line("comment", b"x"), line("SCHILY.acl.access", b"x"), line("path", b""), line("uid", b"x")];
        let records = Records::parse(&header.concat()).expect("well-formed");
        assert_eq!((records.path, records.attributes.len()), (None, 0));
    }

    #[test]
    fn malformed_records_are_refused() {
        let bad: [&[u8]; 11] = [
            b"x",
            b"9 path=a",
            b"9 path=a\n\0",
            b"11 path=a\n",
            b"8 path=a\n",
            b" path=a\n",
            b"+9 path=a\n",
            b"99999999999999999999 path=a\n",
            b"6 patha\n",
            b"4 =a\n",
            b"0 \n",
        ];
        for header in bad {
            assert!(Records::parse(header).is_err(), "{}", super::super::escaped(header));
        }
        for (key, value) in [("size", "-1"), ("size", "1e3"), ("size", "99999999999999999999"), ("mtime", "x")] {
            let wrong = Err(format!("has a wrong `{key}` in its extended header"));
            assert_eq!(Records::parse(&line(key, value.as_bytes())).map(drop), wrong);
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_refused() {
        let twice = [line("size", b"1"), line("size", b"2")].concat();
        let error = Records::parse(&twice).map(drop);
        assert_eq!(error, Err("has `size` twice in its extended header".to_owned()));
    }

    #[test]
    fn times_have_fractions_and_may_lie_before_1970() {
        let table = [
            ("0", Some((0, 0))),
            ("1700000000", Some((1_700_000_000, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("-1", Some((-1, 0))),
            ("-1.25", Some((-2, 750_000_000))),
            ("1.", Some((1, 0))),
            (".5", None),
            ("--1", None),
            ("1.x", None),
            ("9223372036854775808", None),
        ];
        for (text, expected) in table {
            let found = time(text.as_bytes()).map(|time| (time.seconds, time.nanoseconds));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_global_header_may_not_change_what_entries_are() {
        assert_eq!(Records::check_global(&line("comment", b"0123abcd")), Ok(()));
        assert_eq!(Records::check_global(&line("path", b"")), Ok(()));
        for key in ["path", "size", "linkpath", "mtime", "SCHILY.xattr.user.a", "GNU.sparse.map"] {
            let error = format!("a global header sets `{key}` for all entries");
            assert_eq!(Records::check_global(&line(key, b"1")), Err(error));
        }
        assert!(Records::check_global(b"nonsense").is_err());
    }
}
