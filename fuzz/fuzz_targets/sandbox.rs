//! The file of `belljar export` comes from anybody: any bytes as `sandbox.json` in it, and any bytes as the file itself.
#![no_main]

use belljar::sandbox;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = sandbox::read(Box::new(std::io::Cursor::new(bytes.to_vec())));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "sandbox.json", bytes).expect("written");
    let file = builder.into_inner().expect("written");
    if let Ok(brought) = sandbox::read(Box::new(std::io::Cursor::new(file))) {
        // Nothing of the host's is taken from it.
        assert!(brought.spec.mounts.is_empty(), "it brings mounts");
    }
});
