//! Reads the Host of each request of HTTP/1 (RFC 9112) on a connection, and finds where the next request begins. What two servers could
//! read in two ways is refused: that is how a request hides in another.

use super::names::{MOST, Step, canonical};

/// Longest line with the size of a chunk, and longest trailer.
const LONGEST_LINE: usize = 4096;

/// What comes next on the connection.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    /// The head of a request.
    #[default]
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// The line with the size of a chunk.
    ChunkSize,
    /// So many bytes of a chunk, its line end among them.
    Chunk(u64),
    /// Lines after the last chunk.
    Trailer,
    /// The answer to a request for another protocol.
    Upgrade,
    /// Another protocol.
    Opaque,
}

/// The requests of a connection.
#[derive(Debug, Default)]
pub struct Requests {
    place: Place,
    /// Requests so far.
    count: u64,
    /// First bytes of the answers.
    answer: Vec<u8>,
}

impl Requests {
    /// Whether it waits for the other side, and not for the sandbox.
    pub fn waits(&self) -> bool {
        self.place == Place::Upgrade
    }

    /// Reads bytes at the place where the last call left off.
    pub fn read(&mut self, bytes: &[u8]) -> Step {
        match self.place {
            Place::Opaque => return Step::Opaque,
            Place::Upgrade => return self.read_upgrade(),
            Place::Head | Place::Body(_) | Place::ChunkSize | Place::Chunk(_) | Place::Trailer if bytes.is_empty() => {
                return Step::More;
            }
            Place::Head => self.read_head(bytes),
            Place::Body(left) => {
                let (length, left) = pass(bytes, left);
                self.place = if left == 0 { Place::Head } else { Place::Body(left) };
                Some(Step::Pass(length))
            }
            Place::ChunkSize => self.read_size(bytes),
            Place::Chunk(left) => self.read_chunk(bytes, left),
            Place::Trailer => self.read_trailer(bytes),
        }
        .unwrap_or(Step::Refuse)
    }

    /// Takes the first bytes that the other side answers.
    pub fn read_answer(&mut self, bytes: &[u8]) {
        let missing = ANSWER.len().saturating_sub(self.answer.len());
        self.answer.extend(bytes.iter().take(missing));
    }

    /// Only the first answer is looked at, so only the first request can change the protocol.
    fn read_upgrade(&mut self) -> Step {
        if self.answer.len() < ANSWER.len() {
            return Step::More;
        }
        self.place = if self.answer == ANSWER { Place::Opaque } else { Place::Head };
        Step::Pass(0)
    }

    fn read_head(&mut self, bytes: &[u8]) -> Option<Step> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            // What cannot become a head is not waited for.
            let is_plausible = bytes.first()?.is_ascii_uppercase() && has_plain_lines(bytes);
            return is_plausible.then_some(Step::More);
        };
        if end + 4 > MOST {
            return None;
        }
        let head = Head::parse(bytes.get(..end)?)?;
        self.count += 1;
        self.place = match head.body {
            Body::Length(0) if head.upgrade && self.count == 1 => Place::Upgrade,
            Body::Length(0) => Place::Head,
            Body::Length(length) => Place::Body(length),
            Body::Chunked => Place::ChunkSize,
        };
        Some(Step::Name(head.host, end + 4))
    }

    fn read_size(&mut self, bytes: &[u8]) -> Option<Step> {
        let Some(line) = first_line(bytes)? else { return Some(Step::More) };
        let digits = line.split(|byte| *byte == b';').next()?;
        if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        self.place = if size == 0 { Place::Trailer } else { Place::Chunk(size + 2) };
        Some(Step::Pass(line.len() + 2))
    }

    /// The last two bytes of a chunk are its line end, and must be.
    fn read_chunk(&mut self, bytes: &[u8], left: u64) -> Option<Step> {
        let (length, rest) = if left > 2 { pass(bytes, left - 2) } else { (0, left) };
        if left > 2 {
            self.place = Place::Chunk(rest + 2);
            return Some(Step::Pass(length));
        }
        match bytes {
            [b'\r', b'\n', ..] => {
                self.place = Place::ChunkSize;
                Some(Step::Pass(2))
            }
            [b'\r'] => Some(Step::More),
            _ => None,
        }
    }

    fn read_trailer(&mut self, bytes: &[u8]) -> Option<Step> {
        let Some(line) = first_line(bytes)? else { return Some(Step::More) };
        if line.is_empty() {
            self.place = Place::Head;
        } else {
            field(line)?;
        }
        Some(Step::Pass(line.len() + 2))
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 101";

/// How many of `bytes` belong to the `left` ones, and how many are left then.
fn pass(bytes: &[u8], left: u64) -> (usize, u64) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (length, left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX)))
}

/// The first line without its end; `Some(None)`: it is not there yet.
fn first_line(bytes: &[u8]) -> Option<Option<&[u8]>> {
    match bytes.windows(2).position(|window| window == b"\r\n") {
        Some(end) => {
            let line = bytes.get(..end)?;
            (line.len() <= LONGEST_LINE && !line.iter().any(|byte| is_control(*byte))).then_some(Some(line))
        }
        None => {
            // Half of a line end is no part of the line.
            let line = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            (line.len() <= LONGEST_LINE && has_plain_lines(bytes)).then_some(None)
        }
    }
}

/// No line end but CR LF, no control character but a tab.
fn has_plain_lines(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.iter().all(|byte| {
        let is_plain = match (before, *byte) {
            (b'\r', b'\n') => true,
            (b'\r', _) | (_, b'\n') => false,
            (_, b'\r') => true,
            (_, byte) => !is_control(byte),
        };
        before = *byte;
        is_plain
    })
}

fn is_control(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

enum Body {
    Length(u64),
    Chunked,
}

/// What a head says.
struct Head {
    host: Option<String>,
    body: Body,
    upgrade: bool,
}

impl Head {
    /// Reads a head without the empty line at its end; `None`: it is malformed, or ambiguous.
    fn parse(head: &[u8]) -> Option<Head> {
        // A CR at its end stands before that of the empty line.
        if !has_plain_lines(head) || head.ends_with(b"\r") {
            return None;
        }
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let (target, version) = request_line(lines.next()?)?;
        let (mut host, mut length, mut coding, mut upgrade) = (None, None, None, false);
        for line in lines {
            let (name, value) = field(line)?;
            let place = match name.to_ascii_lowercase().as_slice() {
                b"host" => &mut host,
                b"content-length" => &mut length,
                b"transfer-encoding" => &mut coding,
                b"upgrade" => {
                    upgrade |= value.eq_ignore_ascii_case(b"websocket");
                    continue;
                }
                _ => continue,
            };
            // Twice is what servers read in two ways.
            if place.replace(value).is_some() {
                return None;
            }
        }
        let body = match (length, coding) {
            (None, None) => Body::Length(0),
            (Some(length), None) => Body::Length(decimal(length)?),
            // Chunks came with 1.1: an older server takes them for requests (RFC 9112 section 6.1).
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && version == b"HTTP/1.1" => Body::Chunked,
            (_, Some(_)) => return None,
        };
        let host = host.and_then(without_port).and_then(canonical);
        let host = match target {
            Target::Path => host,
            // The authority in the target counts (RFC 9112 section 3.2.2), so the two must be the same.
            Target::Absolute(authority) => {
                without_port(authority).and_then(canonical).filter(|name| host.as_ref() == Some(name))
            }
        };
        Some(Head { host, body, upgrade })
    }
}

enum Target<'a> {
    Path,
    Absolute(&'a [u8]),
}

/// The target and the version of a request line. CONNECT leads elsewhere, so it is refused.
fn request_line(line: &[u8]) -> Option<(Target<'_>, &[u8])> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    // Like the first byte of a head that is not there as a whole yet.
    let is_method = method.first().is_some_and(u8::is_ascii_uppercase) && method.iter().copied().all(is_token);
    let is_request = words.next().is_none() && is_method;
    if !is_request || method == b"CONNECT" || ![&b"HTTP/1.1"[..], b"HTTP/1.0"].contains(&version) {
        return None;
    }
    if !target.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let target = match target {
        [b'/', ..] => Target::Path,
        b"*" if method == b"OPTIONS" => Target::Path,
        _ => {
            let (scheme, rest) = target.split_at_checked(7)?;
            let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
            scheme.eq_ignore_ascii_case(b"http://").then_some(Target::Absolute(rest.get(..end)?))?
        }
    };
    Some((target, version))
}

/// Name and value of a line; `None` for one that continues the line before (obs-fold) and for a blank before the colon.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    (!name.is_empty() && name.iter().copied().all(is_token)).then(|| (name, value.trim_ascii()))
}

/// A character of a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

/// A host without its port; `None` when what follows is no port.
fn without_port(host: &[u8]) -> Option<&[u8]> {
    let after_address = host.iter().rposition(|byte| *byte == b']').map_or(0, |end| end + 1);
    let Some(colon) = host.get(after_address..)?.iter().position(|byte| *byte == b':') else { return Some(host) };
    let (name, port) = host.split_at_checked(after_address + colon)?;
    let port = port.strip_prefix(b":")?;
    (port.len() <= 5 && port.iter().all(u8::is_ascii_digit)).then_some(name)
}

#[cfg(test)]
mod tests;
