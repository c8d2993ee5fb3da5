//! The one form of a name.
//!
//! Lower case, no dot at its end, international names in their ASCII form (UTS 46, RFC 5891), labels of letters, digits, hyphens and
//! underscores (RFC 1123; the underscore for names of services). What a resolver might take for an address (`0x7f.1`, `127.1`) is no
//! name. `canonical(canonical(x)) == canonical(x)`.

use std::borrow::Cow;
use std::fmt;

/// Bytes of the longest name, dots counted (RFC 1035, 2.3.4: 255 on the wire).
const LONGEST_NAME: usize = 253;
/// Bytes of the longest label.
const LONGEST_LABEL: usize = 63;

/// Why something is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is nothing.
    Empty,
    /// A NUL byte, a control character or white space is in it.
    Control,
    /// A character is in it that no name has.
    Character(char),
    /// It begins or ends in a dot, or two stand together.
    EmptyLabel,
    /// A label begins or ends in a hyphen.
    Hyphen,
    /// A label has more than 63 bytes.
    LongLabel,
    /// It has more than 253 bytes.
    Long,
    /// International characters, or an `xn--` label, that stand for nothing.
    International,
    /// Its last label is a number, as in `127.1` or `0x7f000001`: programs take that for an address.
    Number,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("is empty"),
            NameError::Control => f.write_str("has white space, a control character or a NUL byte in it"),
            NameError::Character(c) => write!(f, "has `{}` in it, which no name of a host has", c.escape_debug()),
            NameError::EmptyLabel => f.write_str("has an empty part: a dot too many"),
            NameError::Hyphen => f.write_str("has a part that begins or ends with a hyphen"),
            NameError::LongLabel => f.write_str("has a part of more than 63 bytes"),
            NameError::Long => f.write_str("has more than 253 bytes"),
            NameError::International => f.write_str("has international characters that make no name"),
            NameError::Number => {
                f.write_str("ends in a number, as an address does that some programs understand and others do not")
            }
        }
    }
}

impl NameError {
    /// What to type instead.
    pub fn hint(self) -> &'static str {
        match self {
            NameError::Number => {
                "write an IPv4 address as four decimal numbers from 0 to 255, as in `127.0.0.1`, and a name with letters in its last part"
            }
            NameError::Character('@') => "write the host alone, without a user, as in `example.org:443`",
            _ => "write a name as in `example.org`, or `*.example.org` for every name below it",
        }
    }
}

/// The canonical form of a name.
///
/// # Errors
///
/// What is wrong with it.
pub fn canonical(text: &str) -> Result<String, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    // Before anything is mapped: what a mapping swallows (zero-width characters aside, which UTS 46 ignores by design) must not pass.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(NameError::Control);
    }
    // No name this long gets shorter than 253 bytes by mapping, and the mapping takes time.
    if text.len() > 4 * LONGEST_NAME {
        return Err(NameError::Long);
    }
    let ascii = ascii(text)?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    judge(name)?;
    Ok(name.to_owned())
}

/// The canonical form of a name as it stands in a DNS message: a dot inside a label is no separator there, and no name here.
///
/// # Errors
///
/// What is wrong with it.
pub fn canonical_of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<String, NameError> {
    let mut text = String::new();
    for label in labels {
        if label.is_empty() || label.len() > LONGEST_LABEL {
            return Err(NameError::LongLabel);
        }
        if let Some(odd) = label.iter().find(|byte| !is_of_label(**byte)) {
            return Err(if odd.is_ascii_graphic() {
                NameError::Character(char::from(*odd))
            } else {
                NameError::Control
            });
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|byte| char::from(*byte)));
        if text.len() > LONGEST_NAME {
            return Err(NameError::Long);
        }
    }
    canonical(&text)
}

/// Lower case and ASCII.
fn ascii(text: &str) -> Result<Cow<'_, str>, NameError> {
    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
    let plain = text.is_ascii() && !text.split('.').any(|label| label.as_bytes().get(..4).is_some_and(is_encoded));
    if plain {
        return Ok(Cow::Owned(text.to_ascii_lowercase()));
    }
    Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| NameError::International)
}

/// The mark of an international label in its ASCII form (RFC 5890, 2.3.1).
fn is_encoded(start: &[u8]) -> bool {
    start.eq_ignore_ascii_case(b"xn--")
}

fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn judge(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if name.len() > LONGEST_NAME {
        return Err(NameError::Long);
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if let Some(odd) = label.chars().find(|c| !u8::try_from(*c).is_ok_and(is_of_label)) {
            return Err(if odd.is_control() { NameError::Control } else { NameError::Character(odd) });
        }
        if label.len() > LONGEST_LABEL {
            return Err(NameError::LongLabel);
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Hyphen);
        }
    }
    match name.rsplit('.').next() {
        Some(last) if is_number(last) => Err(NameError::Number),
        _ => Ok(()),
    }
}

/// What inet_aton(3) and the URL standard ("ends in a number") take for a part of an address.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|byte| byte.is_ascii_digit())
}
