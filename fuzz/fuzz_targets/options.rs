//! The command line: any words at all, NUL between them, are a request or a usage error.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let words = bytes.split(|byte| *byte == 0);
    let words = words.map(|word| OsString::from_vec(word.to_vec()));
    let words = std::iter::once(OsString::from("belljar")).chain(words);
    if let Ok(request) = belljar::cli::parse(words, &|_| None) {
        let _ = request.problems(&|_| None);
    }
});
