//! Packed bytes may come from anybody: whatever they are, the answer is their content or an error, the same in whatever
//! pieces they come, and soon.
#![no_main]

use std::io::Read;

use belljar::trees::codec::Decoder;
use libfuzzer_sys::fuzz_target;

/// Whoever unpacks counts: this is where it stops counting.
const MOST: u64 = 4 << 20;

/// A source that gives a few bytes at a time.
struct Sips<'a>(&'a [u8]);

impl Read for Sips<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(5);
        self.0.read(&mut out[..count])
    }
}

fn content(packed: impl Read) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = Decoder::new(packed).and_then(|decoder| decoder.take(MOST).read_to_end(&mut content));
    read.map(|_| content).map_err(|error| error.to_string())
}

fuzz_target!(|bytes: &[u8]| {
    let whole = content(bytes);
    if let Err(error) = &whole {
        assert!(!error.is_empty(), "an error that says nothing");
    }
    assert_eq!(content(Sips(bytes)), whole);
});
