//! Questions from inside and answers of servers: whatever they are, they are read or refused, nothing is taken from an answer but what was
//! asked for and what its aliases lead to, and what is passed on inside says the same.
//!
//! Two bytes of length, a question, an answer. No mutation would ever repeat the question in the answer, so it is put there.
#![no_main]

use belljar::network::dialer::message::{
    Answer, Heard, MOST_ALIASES, Query, Read, Record, Reply, address, read_answer, read_query, reversed, write_question,
};
use belljar::spec::network::canonical_of_labels;
use libfuzzer_sys::fuzz_target;
use simple_dns::RCODE;
use simple_dns::rdata::RData;

/// Id and flags of an answer, one question; what stands behind it are the counts of records.
const ANSWER: [u8; 6] = [0, 7, 0x81, 0x80, 0, 1];

fuzz_target!(|bytes: &[u8]| {
    let [high, low, bytes @ ..] = bytes else { return };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(bytes.len());
    let (question, answer) = bytes.split_at(length);
    let query = match read_query(question) {
        Read::Query(query) => query,
        Read::Wrong(reply) => return assert_eq!(reply.len(), 12),
        Read::Nothing => return,
    };
    let Some(name) = query.name.clone() else { return };
    let _ = reversed(&name);
    let asked = write_question(7, &name, query.kind, false).expect("a canonical name can be written");
    match read_query(&asked) {
        Read::Query(again) => assert_eq!((again.name.as_ref(), again.kind), (Some(&name), query.kind)),
        other => panic!("our own question is {other:?}"),
    }
    // As it is, and with the question in front of its records.
    hear(&query, &name, answer);
    if let Some((counts, records)) = answer.split_first_chunk::<6>() {
        hear(&query, &name, &[&ANSWER[..], &counts[..], &asked[12..], records].concat());
    }
});

/// Reads an answer, and passes it on.
fn hear(query: &Query, name: &str, bytes: &[u8]) {
    let id = bytes.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    assert!(matches!(read_answer(bytes, id ^ 1, name, query.kind), Heard::Unrelated), "of another question");
    assert!(
        !matches!(read_answer(bytes, id, "other.example.invalid", query.kind), Heard::Answer(_))
            || name == "other.example.invalid"
    );
    let Heard::Answer(answer) = read_answer(bytes, id, name, query.kind) else { return };
    belongs(&answer, name);
    let Answer { code, chain, records, authority, .. } = *answer;
    if !matches!(code, RCODE::NoError | RCODE::NameError) {
        // Another server is asked.
        return;
    }
    let _ = records.iter().filter_map(address).count();
    let reply = Reply { code, answers: [&chain[..], &records].concat(), authority, extended: None };
    for limit in [query.udp_limit(), usize::from(u16::MAX)] {
        let written = query.write(&reply, limit);
        assert!((12..=limit).contains(&written.len()), "{} bytes of {limit}", written.len());
        let id = u16::from_be_bytes([written[0], written[1]]);
        match read_answer(&written, id, name, query.kind) {
            Heard::Answer(again) => {
                belongs(&again, name);
                assert_eq!((again.chain, again.records), (chain.clone(), records.clone()));
            }
            Heard::Truncated => assert!(limit < usize::from(u16::MAX) || bytes.len() > 1000, "it was cut for nothing"),
            other => panic!("what is passed on is {other:?}"),
        }
    }
}

/// Nothing but aliases from the name that was asked for, one after the other, and what the last of them has.
fn belongs(answer: &Answer, name: &str) {
    assert!(answer.chain.len() <= MOST_ALIASES);
    let mut name = name.to_owned();
    for alias in &answer.chain {
        assert_eq!(owner(alias), name);
        name = target(alias);
    }
    assert_eq!(answer.last, name);
    assert!(answer.records.iter().all(|record| owner(record) == name));
    if let Some(start) = &answer.authority {
        let zone = owner(start);
        assert!(zone.is_empty() || name == zone || name.ends_with(&format!(".{zone}")), "{zone} is not above {name}");
    }
}

fn owner(record: &Record) -> String {
    if record.name.as_bytes().next().is_none() {
        return String::new();
    }
    canonical_of_labels(record.name.as_bytes()).expect("a name of a host")
}

/// Where an alias leads.
fn target(alias: &Record) -> String {
    match &alias.rdata {
        RData::CNAME(target) => canonical_of_labels(target.0.as_bytes()).expect("a name of a host"),
        other => panic!("no alias: {other:?}"),
    }
}
