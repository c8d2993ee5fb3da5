//! What comes out of a sandbox: any bytes as frames, and what each kind of frame may say. It is read to its end or refused, and
//! what was understood says the same when it is written and read again.
#![no_main]

use std::io::Read;

use belljar::tools::wire::{self, Ending, Inlet};
use belljar::tools::{Entry, Line, Replaced, Request, Skipped};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = wire::parse::<T>(bytes) {
        let written = serde_json::to_vec(&value).expect("written");
        assert_eq!(wire::parse::<T>(&written).expect("read again"), value);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut heard = 0;
    let mut aside = |_: u8, frame: &[u8]| {
        heard += frame.len();
        again::<Entry>(frame);
        again::<Line>(frame);
        again::<Replaced>(frame);
        again::<Skipped>(frame);
        again::<Request>(frame);
        Ok(())
    };
    let mut from = bytes;
    let mut inlet = Inlet::new(&mut from, &mut aside);
    let mut data = Vec::new();
    let ended = inlet.read_to_end(&mut data).is_ok();
    if let Some(end) = inlet.end.take() {
        again::<Ending>(&end);
    }
    assert!(!ended || data.len() + heard <= bytes.len(), "more came out than went in");
});
