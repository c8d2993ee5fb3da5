//! What a session says, and what is asked of one: whoever answers on its socket is inside, and may be anybody. Bytes between
//! line ends are frames.
#![no_main]

use belljar::tools::session::{Ask, Said, Session};
use belljar::error::{Error, Kind};
use belljar::tools::{Name, Request, wire};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for frame in bytes.split(|byte| *byte == b'\n') {
        if let Ok(said) = wire::parse::<Said>(frame) {
            let written = serde_json::to_vec(&said).expect("written");
            assert_eq!(wire::parse::<Said>(&written).expect("read again"), said);
        }
        if let Ok(session) = wire::parse::<Session>(frame) {
            let shown = Name::from(session.id.as_str()).to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
        if let Ok(ask) = wire::parse::<Ask>(frame) {
            let request = Request::Session { id: None, ask };
            let written = serde_json::to_vec(&request).expect("written");
            assert_eq!(wire::parse::<Request>(&written).expect("read again"), request);
        }
        if let Ok(error) = wire::parse::<Error>(frame) {
            assert_ne!(error.from_inside().kind, Kind::NotRunning);
        }
    }
});
