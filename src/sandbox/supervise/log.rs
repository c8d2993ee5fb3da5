//! What a sandbox's own command writes, as it is kept.

use crate::process;
use std::fs::File;
use std::io::Write as _;

/// Bytes of what the sandbox's own command writes that are kept.
pub(in crate::sandbox) const LONGEST_LOG: u64 = 10 << 20;

/// Writes down what the command says, up to a limit.
pub(super) fn keep(mut log: File) -> process::Follower {
    let mut room = LONGEST_LOG;
    Box::new(move |bytes| {
        let kept = bytes.get(..bytes.len().min(room as usize)).unwrap_or_default();
        room -= kept.len() as u64;
        // A full disk must not end the sandbox; what is there can still be read.
        let _ = log.write_all(kept);
    })
}
