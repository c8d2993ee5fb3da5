//! A line of `belljar rpc`: whatever it holds, it is a verb with its parameters, or an error that says why not.
#![no_main]

use belljar::cli::understand;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Err(why) = understand(line) {
            assert!(!why.is_empty(), "an error that says nothing");
        }
    }
});
