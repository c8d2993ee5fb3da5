//! A spec file may come from anybody: whatever it holds, the answer is a spec or an error, and soon.
#![no_main]

use belljar::spec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for read in [spec::from_toml(text), spec::from_json(text)] {
        match read {
            Ok(partial) => {
                let _ = spec::check(&partial.into_spec());
            }
            Err(error) => assert!(!error.to_string().is_empty(), "an error that says nothing"),
        }
    }
});
