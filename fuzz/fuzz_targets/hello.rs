//! The first bytes of a connection come from inside: whatever they are and however they are cut, the names in them are the same, and so is
//! the answer.
//!
//! The first two bytes say what is read and where it is cut; for requests the third says how much of the end the other side answers.
#![no_main]

use belljar::network::packet::hello;
use belljar::network::packet::host::Requests;
use belljar::network::packet::names::{Gate, MOST, Step, Verdict};
use belljar::network::wire::{Check, Naming, ToDialer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [kind, piece, bytes @ ..] = bytes else { return };
    // What is longer is never held.
    let bytes = &bytes[..bytes.len().min(MOST - 1)];
    // Each piece is read with all before it: more of them would only take time.
    let piece = usize::from(*piece).max(bytes.len() / 64).max(1);
    if kind & 1 == 0 {
        tls(bytes, piece);
        assert_eq!(through(bytes, piece, Naming::Tls), through(bytes, MOST, Naming::Tls));
    } else {
        let [answer, bytes @ ..] = bytes else { return };
        let (bytes, answer) = bytes.split_at(bytes.len().saturating_sub(usize::from(*answer)));
        assert_eq!(requests(bytes, answer, piece), requests(bytes, answer, MOST));
        assert_eq!(through(bytes, piece, Naming::Http), through(bytes, MOST, Naming::Http));
    }
});

/// A hello says the same as soon as it says anything.
fn tls(bytes: &[u8], piece: usize) {
    let mut said = None;
    for end in (0..bytes.len()).step_by(piece).chain([bytes.len()]) {
        let step = match hello::read(&bytes[..end]) {
            Step::More => {
                assert!(said.is_none(), "{said:?} became nothing at {end}");
                continue;
            }
            Step::Name(name, length) => {
                assert_eq!(length, end);
                Some(name)
            }
            Step::Refuse => None,
            other => panic!("a hello is {other:?}"),
        };
        if let Some(name) = step.iter().flatten().next() {
            canonical(name);
        }
        assert_eq!(*said.get_or_insert_with(|| step.clone()), step, "at {end}");
    }
}

/// The names of all requests, how many bytes passed, and whether the rest was refused.
fn requests(bytes: &[u8], answer: &[u8], piece: usize) -> (Vec<Option<String>>, usize, bool) {
    let (mut reader, mut names, mut passed, mut end) = (Requests::default(), Vec::new(), 0, 0);
    let mut answers = answer.chunks(piece);
    loop {
        match reader.read(&bytes[passed..end]) {
            Step::More if reader.waits() => match answers.next() {
                Some(answer) => reader.read_answer(answer),
                None => return (names, passed, false),
            },
            Step::More if end == bytes.len() => return (names, passed, false),
            Step::More => end = (end + piece).min(bytes.len()),
            Step::Pass(count) => passed += count,
            Step::Name(name, count) => {
                assert!(count > 0, "a request without bytes");
                name.iter().for_each(|name| canonical(name));
                names.push(name);
                passed += count;
            }
            Step::Opaque => return (names, bytes.len(), false),
            Step::Refuse => return (names, passed, true),
        }
        assert!(passed <= end, "more passed than was there");
    }
}

/// What a connection's check makes of it, and what it reports.
fn through(bytes: &[u8], piece: usize, names: Naming) -> (Verdict, Vec<ToDialer>) {
    let allowed = Some(vec!["a.example".to_owned(), "x.b.example".to_owned(), "c.b.example".to_owned()]);
    let mut gate = Gate::new(Check { names, allowed, denied: vec!["*.b.example".to_owned()] }, 0);
    let mut told = Vec::new();
    for end in (0..bytes.len()).step_by(piece).chain([bytes.len()]) {
        let before = gate.released;
        let verdict = gate.read(&bytes[..end], 1, 0, |message| told.push(message.clone()));
        assert!(before <= gate.released && gate.released <= end);
        assert!(gate.released == 0 || gate.accepted, "bytes went out before a name was allowed");
        for message in &told {
            let ToDialer::Named { name, accepted, .. } = message else { panic!("{message:?}") };
            assert!(!accepted || name.as_deref() == Some("a.example"), "{name:?} was allowed");
        }
        if verdict != Verdict::Hold {
            return (verdict, told);
        }
    }
    (Verdict::Hold, told)
}

/// A name that is told is in the one form in which names are compared.
fn canonical(name: &str) {
    assert_eq!(belljar::network::packet::names::canonical(name.as_bytes()).as_deref(), Some(name));
}
