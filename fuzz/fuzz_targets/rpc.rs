//! A line of `belljar rpc`: whatever it holds, it is a verb with words, or an error that says why not. No value becomes an option.
#![no_main]

use belljar::cli::understand;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        match understand(line) {
            Ok(words) => assert!(!words.is_empty(), "no verb"),
            Err(why) => assert!(!why.is_empty(), "an error that says nothing"),
        }
    }
});
