//! Any bytes as a seccomp profile: an error or a program that the kernel takes, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(program) = belljar::seccomp::compile(json) {
        assert!((1..=4096).contains(&program.len()));
        // BPF_RET | BPF_K: the kernel takes no program that can run off its end.
        assert_eq!(program.last().map(|step| step.code), Some(0x06));
    }
});
