//! Reads the server name (RFC 6066 section 3) of a TLS ClientHello (RFC 8446 section 4.1.2), over as many records as it takes.
//!
//! A hello is read when all of it is there, and no earlier: an extension further on may be a second name. What could be read in two ways
//! is refused, and what is longer than [`MOST`], however it comes. The name inside an encrypted hello is not seen; the outer one counts.

use super::names::{MOST, Step, canonical};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;

/// Reads the first bytes of a connection.
pub fn read(bytes: &[u8]) -> Step {
    let mut message = Vec::new();
    let mut rest = bytes.get(..MOST).unwrap_or(bytes);
    while let [kind, versions @ ..] = rest {
        if *kind != HANDSHAKE {
            return Step::Refuse;
        }
        let [major, minor, high, low, body @ ..] = versions else { break };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // An empty record of handshakes is forbidden (RFC 8446 section 5.1), a longer one too.
        if *major != 3 || *minor > 4 || length == 0 || length > MOST {
            return Step::Refuse;
        }
        message.extend(body.get(..length).unwrap_or(body));
        if is_complete(&message) || body.len() < length {
            break;
        }
        rest = body.get(length..).unwrap_or_default();
    }
    match message.as_slice() {
        [] => Step::More,
        [CLIENT_HELLO, ..] if !is_complete(&message) => Step::More,
        [CLIENT_HELLO, l0, l1, l2, body @ ..] => {
            let length = usize::try_from(u32::from_be_bytes([0, *l0, *l1, *l2])).unwrap_or(usize::MAX);
            match body.get(..length).and_then(|body| server_name(Reader(body))) {
                Some(name) => Step::Name(name, bytes.len()),
                None => Step::Refuse,
            }
        }
        _ => Step::Refuse,
    }
}

/// Whether the message that begins here is there as a whole.
fn is_complete(message: &[u8]) -> bool {
    let [_, l0, l1, l2, body @ ..] = message else { return false };
    usize::try_from(u32::from_be_bytes([0, *l0, *l1, *l2])).is_ok_and(|length| body.len() >= length)
}

/// The name in the body of a hello: `None` when it is malformed, `Some(None)` when it names nobody.
fn server_name(mut hello: Reader<'_>) -> Option<Option<String>> {
    hello.bytes(2 + 32)?;
    hello.short()?;
    hello.long()?;
    hello.short()?;
    if hello.0.is_empty() {
        return Some(None);
    }
    let mut extensions = hello.long()?;
    let mut name = None;
    let mut seen = false;
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let body = extensions.long()?;
        if kind == SERVER_NAME {
            if seen {
                return None;
            }
            (seen, name) = (true, host_name(body)?);
        }
    }
    hello.0.is_empty().then_some(name)
}

/// The one name of the list. More than one, or of another kind, is nothing that clients send.
fn host_name(mut extension: Reader<'_>) -> Option<Option<String>> {
    let mut list = extension.long()?;
    let [kind] = list.bytes(1)? else { return None };
    let name = list.long()?;
    let is_alone = *kind == 0 && list.0.is_empty() && extension.0.is_empty();
    // A server name has no trailing dot (RFC 6066), but some clients send one.
    is_alone.then(|| canonical(name.0))
}

/// Takes pieces off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    /// A vector with a length of one byte.
    fn short(&mut self) -> Option<Reader<'a>> {
        let [length] = self.bytes(1)? else { return None };
        self.bytes(usize::from(*length)).map(Reader)
    }

    /// A vector with a length of two bytes.
    fn long(&mut self) -> Option<Reader<'a>> {
        let length = self.number()?;
        self.bytes(usize::from(length)).map(Reader)
    }
}

#[cfg(test)]
pub mod tests;
