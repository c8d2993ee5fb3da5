//! Hellos as clients send them, and as nobody should.

use super::*;

fn long(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).expect("short").to_be_bytes()[..], body].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(body)].concat()
}

fn name_extension(name: &str) -> Vec<u8> {
    extension(0, &long(&[&[0][..], &long(name.as_bytes())].concat()))
}

fn message(extensions: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0], &long(&[0x13, 1]), &[1, 0], &long(extensions)].concat();
    [&[1][..], &u32::try_from(body.len()).expect("short").to_be_bytes()[1..], &body].concat()
}

fn records(message: &[u8], length: usize) -> Vec<u8> {
    message.chunks(length).flat_map(|chunk| [&[22, 3, 1][..], &long(chunk)].concat()).collect()
}

fn hello(extensions: &[u8]) -> Vec<u8> {
    records(&message(extensions), 16384)
}

/// Records of so many bytes with a hello in them that names `a.example`. The first record has one byte, since a record has 16 KiB at most.
pub fn of_length(length: usize) -> Vec<u8> {
    let bytes = |filler: usize| {
        let message = message(&[name_extension("a.example"), extension(51, &vec![0; filler])].concat());
        let (first, rest) = message.split_at(1);
        [records(first, 1), records(rest, 16384)].concat()
    };
    bytes(length - bytes(0).len())
}

fn named(name: &str, length: usize) -> Step {
    Step::Name(Some(name.to_owned()), length)
}

#[test]
fn the_name_is_found_between_other_extensions() {
    let bytes = hello(&[extension(43, &[2, 3, 4]), name_extension("Example.org"), extension(51, &[0; 1200])].concat());
    assert_eq!(read(&bytes), named("example.org", bytes.len()));
}

#[test]
fn a_hello_spans_records_and_segments_of_any_length() {
    let message = message(&[name_extension("a.example"), extension(51, &[9; 1216])].concat());
    for length in [1, 2, 3, 7, 100, 1000] {
        let bytes = records(&message, length);
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Step::More, "{length} {end}");
        }
        assert_eq!(read(&bytes), named("a.example", bytes.len()));
    }
}

#[test]
fn what_follows_the_hello_goes_with_it() {
    let bytes = [hello(&name_extension("a.example")), vec![20, 3, 3, 0, 1, 1], vec![23, 3, 3]].concat();
    assert_eq!(read(&bytes), named("a.example", bytes.len()));
}

#[test]
fn a_hello_without_a_name_names_nobody() {
    for extensions in [vec![], extension(43, &[2, 3, 4]), name_extension("a..b"), name_extension("a\0.example")] {
        let bytes = hello(&extensions);
        assert_eq!(read(&bytes), Step::Name(None, bytes.len()));
    }
}

#[test]
fn two_names_are_refused() {
    let twice = [name_extension("a.example"), name_extension("b.example")].concat();
    assert_eq!(read(&hello(&twice)), Step::Refuse);
    let entry = |name: &str| [&[0][..], &long(name.as_bytes())].concat();
    let list = extension(0, &long(&[entry("a.example"), entry("b.example")].concat()));
    assert_eq!(read(&hello(&list)), Step::Refuse);
}

#[test]
fn what_is_no_hello_is_refused_at_its_first_bytes() {
    assert_eq!(read(b"GET / HTTP/1.1\r\n"), Step::Refuse);
    assert_eq!(read(b"SSH-2.0-x"), Step::Refuse);
    assert_eq!(read(&[0x80, 0x2e, 1, 3, 1]), Step::Refuse, "SSL 2");
    assert_eq!(read(&records(&[2, 0, 0, 1, 0], 100)), Step::Refuse, "a hello of a server");
    assert_eq!(read(&[22, 3, 1, 0, 0]), Step::Refuse, "an empty record");
    assert_eq!(read(&[22, 3, 1, 0xff, 0xff]), Step::Refuse, "a record that is too long");
    assert_eq!(read(&[]), Step::More);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let good = message(&name_extension("a.example"));
    // From the length of the session's identifier on, each byte in turn.
    for place in 38..good.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[place] = value;
            match read(&records(&bytes, 16384)) {
                Step::Name(..) | Step::Refuse => {}
                step => panic!("{place} {value}: {step:?}"),
            }
        }
    }
    let mut trailing = good;
    trailing[3] += 1;
    trailing.push(0);
    assert_eq!(read(&records(&trailing, 16384)), Step::Refuse, "a byte after the extensions");
}

#[test]
fn the_outer_name_of_an_encrypted_hello_counts() {
    let bytes = hello(&[extension(0xfe0d, &[7; 300]), name_extension("outer.example")].concat());
    assert_eq!(read(&bytes), named("outer.example", bytes.len()));
}

#[test]
fn a_hello_that_never_ends_is_waited_for_no_longer_than_there_is_room() {
    let endless = records(&[&[1, 0xff, 0xff, 0xff][..], &[0; 2 * MOST]].concat(), 1000);
    assert_eq!(read(&endless[..MOST]), Step::More);
    let mut gate = crate::network::packet::names::Gate::new(
        crate::network::wire::Check { names: crate::network::wire::Naming::Tls, allowed: None, denied: Vec::new() },
        0,
    );
    let verdict = gate.read(&endless[..MOST], 1, 0, |_| ());
    assert_eq!(verdict, crate::network::packet::names::Verdict::Refused);
}

#[test]
fn whatever_bytes_are_changed_a_name_is_one_that_stands_there() {
    let good =
        hello(&[extension(43, &[2, 3, 4]), name_extension("a.example"), extension(16, b"\0\x03\x02h2")].concat());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut number = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).expect("small")).expect("smaller")
    };
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + number(4) {
            let place = number(bytes.len());
            bytes[place] = u8::try_from(number(256)).expect("a byte");
        }
        if let Step::Name(Some(name), length) = read(&bytes) {
            let lower = bytes.to_ascii_lowercase();
            assert!(lower.windows(name.len()).any(|window| window == name.as_bytes()), "{name} is not in {bytes:?}");
            assert_eq!(length, bytes.len());
        }
    }
}
