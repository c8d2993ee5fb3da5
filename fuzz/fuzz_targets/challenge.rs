//! The `WWW-Authenticate` header: any text is some challenges, none of them with more in it than the text had.
#![no_main]

use belljar::images::registry::challenge::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    let found = parse(header);
    let length = |(name, value): &(String, String)| name.len() + value.len() + 1;
    let told: usize =
        found.iter().map(|one| one.scheme.len() + one.parameters.iter().map(length).sum::<usize>()).sum();
    assert!(told <= header.len());
});
