//! Digests: the names of everything in the store (OCI image specification, "Digests").
//!
//! Only sha256, the algorithm that every registry and tool has. Any other is refused by its name.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// The sha256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// 64 lower-case hexadecimal digits, as files of the store are called.
    pub fn hex(&self) -> String {
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|nibble| char::from_digit(nibble.into(), 16))
            .collect()
    }

    /// The digest that those digits stand for.
    pub fn from_hex(hex: &str) -> Option<Digest> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let digits: &[u8; 64] = hex.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Digest(bytes))
    }

    /// Enough of it for people to tell one image from another.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(word: &str) -> Result<Digest, String> {
        let (algorithm, hex) = word.split_once(':').ok_or_else(|| format!("`{}` is no digest", word.escape_debug()))?;
        if algorithm != "sha256" {
            return Err(format!("digests by `{}` are not known, only by sha256", algorithm.escape_debug()));
        }
        Digest::from_hex(hex)
            .ok_or_else(|| format!("`{}` is not sha256 and 64 hexadecimal digits", word.escape_debug()))
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(word: String) -> Result<Digest, String> {
        word.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A reader that counts and hashes what goes through it.
pub struct Hashing<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> Hashing<R> {
    /// Around `inner`, from where it stands.
    pub fn new(inner: R) -> Hashing<R> {
        Hashing { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// Digest and number of the bytes that went through, and the reader behind.
    pub fn finish(self) -> (Digest, u64, R) {
        (Digest(self.hash.finalize().into()), self.bytes, self.inner)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_reads_as_it_prints() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn what_is_no_sha256_is_refused_by_name() {
        for (word, why) in [
            ("e3b0", "`e3b0` is no digest"),
            ("sha512:00", "digests by `sha512` are not known, only by sha256"),
            ("sha256:00", "`sha256:00` is not sha256 and 64 hexadecimal digits"),
            (&EMPTY.to_uppercase().replace("SHA", "sha"), "is not sha256 and 64 hexadecimal digits"),
            (
                "sha256:../../../../../../../../../../../../../../../../../../etc/passwd",
                "is not sha256 and 64 hexadecimal digits",
            ),
        ] {
            let error = word.parse::<Digest>().unwrap_err();
            assert!(error.ends_with(why), "{word}: {error}");
        }
    }

    #[test]
    fn hashing_while_reading_gives_digest_and_size() {
        let mut reader = Hashing::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let (digest, bytes, _) = reader.finish();
        assert_eq!((digest, bytes), (Digest::of(b"abc"), 3));
    }
}
