//! Messages that nobody honest sends.

use super::message::{Heard, Read, Reply, address, read_answer, read_query, reversed, write_question};
use proptest::prelude::*;
use simple_dns::rdata::{A, CNAME, RData, SOA};
use simple_dns::{CLASS, Name, Packet, Question, RCODE, ResourceRecord, TYPE};
use std::time::{Duration, Instant};

const NAME: &str = "www.example.org";

/// An answer to a question for [`NAME`], with an alias and an address.
fn answer() -> Vec<u8> {
    let mut packet = Packet::new_reply(7);
    let name = |text: &'static str| Name::new(text).unwrap();
    packet.questions.push(Question::new(name(NAME), TYPE::A.into(), CLASS::IN.into(), false));
    packet.answers.push(ResourceRecord::new(name(NAME), CLASS::IN, 5, RData::CNAME(CNAME(name("a.cdn.example")))));
    packet.answers.push(ResourceRecord::new(name("a.cdn.example"), CLASS::IN, 9, RData::A(A { address: 0x0102_0304 })));
    packet.build_bytes_vec_compressed().unwrap()
}

fn hear(bytes: &[u8]) -> Heard {
    read_answer(bytes, 7, NAME, TYPE::A)
}

/// All that can be done with bytes from outside or inside; whether it was understood.
fn everything(bytes: &[u8]) -> bool {
    let understood = match read_query(bytes) {
        Read::Query(query) => {
            let reply = Reply::empty(RCODE::NoError).because(15, "x");
            assert!(query.write(&reply, 512).len() >= 12);
            true
        }
        Read::Wrong(answer) => {
            assert_eq!(answer.len(), 12);
            false
        }
        Read::Nothing => false,
    };
    let id = bytes.get(..2).map_or(0, |id| u16::from_be_bytes(id.try_into().unwrap()));
    match read_answer(bytes, id, NAME, TYPE::A) {
        Heard::Answer(answer) => {
            let _ = answer.records.iter().filter_map(address).count();
        }
        Heard::Truncated | Heard::NotUnderstood | Heard::Unrelated | Heard::Broken => {}
    }
    understood
}

#[test]
fn an_answer_is_read_to_its_end() {
    let Heard::Answer(found) = hear(&answer()) else { panic!() };
    assert_eq!((found.chain.len(), found.records.len(), found.last.as_str()), (1, 1, "a.cdn.example"));
    assert_eq!(address(&found.records[0]), Some("1.2.3.4".parse().unwrap()));
}

#[test]
fn a_start_of_authority_of_another_place_is_not_taken() {
    let found = |zone: &'static str, class| {
        let mut packet = Packet::new_reply(7);
        packet.questions.push(Question::new(Name::new(NAME).unwrap(), TYPE::A.into(), CLASS::IN.into(), false));
        let start = SOA {
            mname: Name::new("ns.example").unwrap(),
            rname: Name::new("hm.example").unwrap(),
            serial: 1,
            refresh: 2,
            retry: 3,
            expire: 4,
            minimum: 5,
        };
        packet.name_servers.push(ResourceRecord::new(Name::new(zone).unwrap(), class, 30, RData::SOA(start)));
        let Heard::Answer(found) = hear(&packet.build_bytes_vec().unwrap()) else { panic!() };
        found.authority.is_some()
    };
    for zone in ["", "org", "example.ORG", NAME] {
        assert!(found(zone, CLASS::IN), "{zone}");
    }
    for zone in ["a.www.example.org", "ample.org", "example.com"] {
        assert!(!found(zone, CLASS::IN), "{zone}");
    }
    assert!(!found("org", CLASS::CH));
}

#[test]
fn every_cut_and_every_changed_byte_of_an_answer_is_survived() {
    let whole = answer();
    for end in 0..whole.len() {
        assert!(!matches!(hear(&whole[..end]), Heard::Answer(_)), "{end}");
    }
    for at in 0..whole.len() {
        for value in 0..=255 {
            let mut bytes = whole.clone();
            bytes[at] = value;
            everything(&bytes);
            if let Heard::Answer(found) = hear(&bytes) {
                assert!(found.chain.len() <= super::message::MOST_ALIASES);
            }
        }
    }
}

#[test]
fn pointers_that_lead_in_circles_end_and_long_chains_of_them_cost_little() {
    let header = |answers: u16| [&[0, 7, 0x80, 0, 0, 1][..], &answers.to_be_bytes(), &[0; 4]].concat();
    for pointer in [[0xc0, 12], [0xc0, 13], [0xff, 0xff], [0xc0, 0]] {
        let bytes = [&header(0), &pointer[..], &[0, 1, 0, 1]].concat();
        assert!(!matches!(hear(&bytes), Heard::Answer(_)));
    }
    // A record whose data is a chain of pointers, each to the one before, and a thousand records that begin at its end.
    let mut bytes = header(1000);
    bytes.extend_from_slice(b"\x03www\x07example\x03org\0\0\x01\0\x01");
    bytes.extend_from_slice(&[0xc0, 12, 0, 10, 0, 1, 0, 0, 0, 0, 0x3e, 0x80]);
    let mut last = 12_u16;
    while bytes.len() + 2 < 0x3ff0 {
        let here = bytes.len() as u16;
        bytes.extend_from_slice(&(0xc000 | last).to_be_bytes());
        last = here;
    }
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    for _ in 0..999 {
        bytes.extend_from_slice(&(0xc000 | last).to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4]);
    }
    let since = Instant::now();
    let _ = hear(&bytes);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn counts_that_lie_cost_nothing() {
    let since = Instant::now();
    for _ in 0..10_000 {
        let bytes = [0, 7, 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(hear(&bytes), Heard::Unrelated));
        let bytes = [0, 7, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(read_query(&bytes), Read::Wrong(_)));
    }
    assert!(since.elapsed() < Duration::from_secs(2));
}

#[test]
fn reverse_names_stand_for_addresses() {
    let of = |name: &str| reversed(name).map(|address| address.to_string());
    assert_eq!(of("1.0.0.192.in-addr.arpa").as_deref(), Some("192.0.0.1"));
    let six = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23));
    assert_eq!(of(&six).as_deref(), Some("2001:db8::1"));
    for odd in [
        "in-addr.arpa",
        "1.2.3.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "256.1.1.1.in-addr.arpa",
        "ip6.arpa",
        "1.ip6.arpa",
        "x",
        "",
    ] {
        assert_eq!(of(odd), None, "{odd}");
    }
    assert_eq!(of(&six.replacen('1', "+", 1)), None);
}

/// Bytes by the billion want a generator that costs nothing (xorshift64*, Vigna 2014).
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let seed = std::env::var("BELLJAR_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_u64);
    let rounds: u64 =
        std::env::var("BELLJAR_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100_000);
    let mut state = seed | 1;
    let seeds = [
        answer(),
        write_question(7, NAME, TYPE::A, true).unwrap(),
        write_question(7, "a.b", TYPE::TXT, false).unwrap(),
    ];
    let mut understood = 0;
    for _ in 0..rounds {
        let choice = next(&mut state);
        let mut bytes = match choice % 4 {
            0 => (0..choice >> 8 & 127).map(|_| next(&mut state) as u8).collect(),
            kind => seeds[kind as usize - 1].clone(),
        };
        for _ in 0..next(&mut state) % 8 {
            let (what, at) = (next(&mut state), next(&mut state) as usize);
            let length = bytes.len().max(1);
            match what % 5 {
                0 if !bytes.is_empty() => bytes[at % length] = (what >> 8) as u8,
                1 if !bytes.is_empty() => bytes[at % length] ^= 1 << (what >> 8 & 7),
                2 => bytes.truncate(at % length),
                3 => bytes.insert(at % length.min(bytes.len() + 1), (what >> 8) as u8),
                _ => bytes.extend_from_within(at % length.min(bytes.len() + 1)..),
            }
            bytes.truncate(1500);
        }
        understood += u64::from(everything(&bytes));
    }
    assert!(understood * 100 > rounds, "only {understood} of {rounds} were understood");
}

proptest! {
    #[test]
    fn a_question_is_read_as_it_was_written(name in "[a-z]{1,12}(\\.[a-z0-9_]{1,12}){0,5}\\.[a-z]{2,6}", id: u16, edns: bool) {
        let bytes = write_question(id, &name, TYPE::A, edns).unwrap();
        let Read::Query(query) = read_query(&bytes) else { panic!() };
        prop_assert_eq!(query.name.as_deref(), Some(name.as_str()));
        prop_assert_eq!(query.udp_limit(), if edns { 1232 } else { 512 });
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        everything(&bytes);
    }
}
