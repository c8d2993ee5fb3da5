//! What servers say, true or not.

use super::server::*;
use super::streams::{exchange, names_by_tcp};
use super::*;
use simple_dns::rdata::{A, AAAA, MX, RData, SOA, TXT};
use simple_dns::{CLASS, Name, Packet, QTYPE, Question, RCODE, ResourceRecord, TYPE};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn a_chain_of_aliases_is_followed_and_only_the_asked_name_is_bound() {
    // The first answer ends in an alias, the second goes on.
    let server = Server::start(|packet, _| {
        let records = match packet.questions[0].qname.to_string().as_str() {
            "www.example.org" => {
                vec![alias("www.example.org", "b.cdn.example"), alias("b.cdn.example", "c.cdn.example")]
            }
            "c.cdn.example" => vec![
                alias("c.cdn.example", "d.cdn.example"),
                a("d.cdn.example", "93.184.216.34"),
                a("other.example", "93.184.216.35"),
            ],
            other => panic!("{other}"),
        };
        vec![answer(packet, records)]
    });
    let mut peer = server.peer(policy(&["www.example.org:5"], &[]));
    let bytes = peer.ask(1, &question("www.example.org", TYPE::A));
    assert_eq!(read(&bytes, "www.example.org"), one("93.184.216.34"));
    assert_eq!(Packet::parse(&bytes).unwrap().answers.len(), 4);
    assert_eq!(server.heard(), ["1 www.example.org", "1 c.cdn.example"]);
    // The target of an alias gained nothing: it is not allowed, and no name for the address.
    assert_eq!(addresses(&mut peer, 2, "d.cdn.example", TYPE::A), BLOCKED);
    peer.is_refused(3, Protocol::Tcp, "93.184.216.34:6", Refusal::Prohibited);
    peer.is_refused(4, Protocol::Tcp, "93.184.216.35:5", Refusal::Prohibited);
    let log = peer.log();
    let name = |flow| log.iter().rfind(|line| line.flow == Some(flow)).unwrap().name.as_deref();
    assert_eq!((name(3), name(4)), (Some("www.example.org"), None));
}

#[test]
fn aliases_in_a_circle_end() {
    let server = Server::start(|packet, _| {
        let name = packet.questions[0].qname.to_string();
        vec![answer(
            packet,
            vec![alias(&name, "b.example"), alias("b.example", "c.example"), alias("c.example", &name)],
        )]
    });
    let mut peer = server.peer(policy(&["a.example"], &[]));
    let (code, found) = addresses(&mut peer, 1, "a.example", TYPE::A);
    assert!(found.is_empty() && code == RCODE::ServerFailure);
    // One step an answer, without end.
    let server = Server::start(|packet, _| {
        let name = packet.questions[0].qname.to_string();
        vec![answer(packet, vec![alias(&name, &format!("x{}.example", name.len()))])]
    });
    let mut peer = server.peer(policy(&["a.example"], &[]));
    assert!(addresses(&mut peer, 1, "a.example", TYPE::A).1.is_empty());
    assert!(server.heard().len() <= 10);
}

#[test]
fn special_addresses_are_dropped_from_answers_unless_a_rule_means_them() {
    let all = ["93.184.216.34", "10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0"];
    let server = Server::start(move |packet, _| {
        let name = packet.questions[0].qname.to_string();
        let records = match packet.questions[0].qtype {
            QTYPE::TYPE(TYPE::A) => all.iter().map(|address| a(&name, address)).collect(),
            _ => ["2606:2800::1", "::1", "fd00:ec2::254", "64:ff9b::a00:1", "::ffff:10.0.0.1", "2002:a00:1::1"]
                .iter()
                .map(|address| {
                    let six = match address.parse().unwrap() {
                        IpAddr::V6(six) => six,
                        IpAddr::V4(_) => unreachable!(),
                    };
                    record(&name, RData::AAAA(AAAA { address: six.to_bits() }))
                })
                .collect(),
        };
        vec![answer(packet, records)]
    });
    let mut peer = server.peer(policy(&["example.org", "[2606:2800::]/32:1"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
    assert_eq!(addresses(&mut peer, 2, "example.org", TYPE::AAAA), one("2606:2800::1"));
    for address in &all[1..] {
        peer.is_refused(100, Protocol::Tcp, &format!("{address}:443"), Refusal::Prohibited);
    }
    assert!(peer.end().targets.iter().any(|target| target.reason.contains("leads to")));
    let mut peer = server.peer(policy(&["example.org", "10.0.0.0/8:1"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A).1, ["93.184.216.34", "10.0.0.1"]);
}

#[test]
fn a_name_that_turns_to_a_private_address_later_leads_nowhere() {
    let times = AtomicU64::new(0);
    let server = Server::start(move |packet, _| {
        let address = if times.fetch_add(1, Ordering::Relaxed) == 0 { "93.184.216.34" } else { "127.0.0.1" };
        let record = ResourceRecord::new(
            Name::new("example.org").unwrap(),
            CLASS::IN,
            0,
            RData::A(A {
                address: match address.parse().unwrap() {
                    IpAddr::V4(four) => four.to_bits(),
                    IpAddr::V6(_) => 0,
                },
            }),
        );
        vec![answer(packet, vec![record.into_owned()])]
    });
    let mut peer = server.peer(policy(&["example.org"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
    assert_eq!(addresses(&mut peer, 2, "example.org", TYPE::A), NONE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    peer.is_refused(3, Protocol::Tcp, &listener.local_addr().unwrap().to_string(), Refusal::Prohibited);
}

#[test]
fn lies_are_not_believed_and_the_true_answer_still_is() {
    let server = Server::start(|packet, _| {
        let truth = answer(packet, vec![a("example.org", "93.184.216.34")]);
        let lie = answer(packet, vec![a("example.org", "93.184.216.66")]);
        let mut other_id = lie.clone();
        other_id[0] ^= 0x55;
        let mut is_question = lie.clone();
        is_question[2] &= 0x7f;
        let mut other_name = Packet::new_reply(packet.id());
        other_name.questions.push(Question::new(
            Name::new("example.com").unwrap(),
            TYPE::A.into(),
            CLASS::IN.into(),
            false,
        ));
        other_name.answers.push(a("example.org", "93.184.216.66"));
        let mut other_kind = Packet::new_reply(packet.id());
        other_kind.questions.push(Question::new(
            Name::new("example.org").unwrap(),
            TYPE::TXT.into(),
            CLASS::IN.into(),
            false,
        ));
        other_kind.answers.push(a("example.org", "93.184.216.66"));
        let mut none = Packet::new_reply(packet.id());
        none.answers.push(a("example.org", "93.184.216.66"));
        let other_name = other_name.build_bytes_vec().unwrap();
        vec![
            other_id,
            is_question,
            other_name,
            other_kind.build_bytes_vec().unwrap(),
            none.build_bytes_vec().unwrap(),
            vec![0; 3],
            Vec::new(),
            truth,
        ]
    });
    let mut peer = server.peer(policy(&["example.org"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
}

#[test]
fn records_of_other_names_in_an_answer_are_not_believed() {
    let server = Server::start(|packet, _| {
        vec![answer(
            packet,
            vec![
                a("evil.example", "93.184.216.66"),
                alias("evil.example", "example.org"),
                a("example.org", "93.184.216.34"),
            ],
        )]
    });
    let mut peer = server.peer(policy(&["example.org", "evil.example"], &[]));
    let bytes = peer.ask(1, &question("example.org", TYPE::A));
    assert_eq!(Packet::parse(&bytes).unwrap().answers.len(), 1);
    peer.is_refused(2, Protocol::Tcp, "93.184.216.66:1", Refusal::Prohibited);
}

#[test]
fn each_question_has_a_new_id_and_a_new_port() {
    let seen: Arc<Mutex<Vec<u16>>> = Arc::default();
    let ids = seen.clone();
    let server = Server::start(move |packet, _| {
        ids.lock().unwrap().push(packet.id());
        vec![answer(packet, vec![a(&packet.questions[0].qname.to_string(), "93.184.216.34")])]
    });
    let mut peer = server.peer(policy(&["*.example.org"], &[]));
    for flow in 0..20 {
        addresses(&mut peer, flow, &format!("n{flow}.example.org"), TYPE::A);
    }
    let mut ids = seen.lock().unwrap().clone();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() >= 19, "{ids:?}");
}

#[test]
fn the_letters_of_a_question_come_back_as_they_were_and_the_server_sees_the_canonical_name() {
    let server = Server::start(|packet, _| vec![answer(packet, vec![a("eXaMpLe.ORG", "93.184.216.34")])]);
    let mut peer = server.peer(policy(&["example.org"], &[]));
    let bytes = peer.ask(1, &question("ExAmPlE.oRg", TYPE::A));
    assert_eq!(read(&bytes, "ExAmPlE.oRg"), one("93.184.216.34"));
    assert_eq!(server.heard(), ["1 example.org"]);
}

#[test]
fn negative_answers_are_kept_as_long_as_their_zone_says() {
    let server = Server::start(|packet, _| {
        let mut reply = Packet::new_reply(packet.id());
        reply.questions.clone_from(&packet.questions);
        *reply.rcode_mut() = RCODE::NameError;
        let name = |text| Name::new(text).unwrap();
        let start = SOA {
            mname: name("a.example"),
            rname: name("b.example"),
            serial: 1,
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: 30,
        };
        reply.name_servers.push(ResourceRecord::new(name("example"), CLASS::IN, 30, RData::SOA(start)));
        vec![reply.build_bytes_vec().unwrap()]
    });
    let mut peer = server.peer(policy(&["a.example"], &[]));
    for flow in 0..3 {
        let bytes = peer.ask(flow, &question("a.example", TYPE::A));
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.rcode(), packet.name_servers.len()), (RCODE::NameError, 1));
    }
    assert_eq!(server.heard().len(), 1);
}

#[test]
fn other_records_are_passed_on_and_bind_nothing() {
    let server = Server::start(|packet, _| {
        let exchange = MX { preference: 1, exchange: Name::new("mail.example").unwrap() };
        let mut reply = Packet::parse(&answer(packet, vec![record("example.org", RData::MX(exchange.into_owned()))]))
            .unwrap()
            .into_owned_reply();
        reply.additional_records.push(a("mail.example", "10.0.0.1"));
        vec![reply.build_bytes_vec().unwrap()]
    });
    let mut peer = server.peer(policy(&["example.org", "mail.example"], &[]));
    let bytes = peer.ask(1, &question("example.org", TYPE::MX));
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.answers.len(), packet.additional_records.len()), (1, 0));
}

/// A packet that borrows from nothing, for changing it.
trait IntoOwnedReply {
    fn into_owned_reply(self) -> Packet<'static>;
}

impl IntoOwnedReply for Packet<'_> {
    fn into_owned_reply(self) -> Packet<'static> {
        let mut reply = Packet::new_reply(self.id());
        reply.questions = self.questions.into_iter().map(Question::into_owned).collect();
        reply.answers = self.answers.into_iter().map(ResourceRecord::into_owned).collect();
        reply
    }
}

#[test]
fn an_answer_of_64_kib_is_read_and_one_with_too_many_records_is_not() {
    let server = Server::start(|packet, tcp| {
        if !tcp {
            let mut bytes = answer(packet, Vec::new());
            bytes[2] |= 2;
            return vec![bytes];
        }
        let name = packet.questions[0].qname.to_string();
        let many = if name.starts_with("many") { 4000 } else { 250 };
        let text = "x".repeat(if many > 1000 { 1 } else { 240 });
        let texts = (0..many).map(|_| record(&name, RData::TXT(TXT::new().with_string(&text).unwrap().into_owned())));
        vec![answer(packet, texts.collect())]
    });
    let mut peer = server.peer(policy(&["*.example.org"], &[]));
    let mut stream = names_by_tcp(&mut peer, 1, "1.1.1.1:53");
    let bytes = exchange(&mut stream, &question("a.example.org", TYPE::TXT));
    assert!(bytes.len() > 60_000);
    let bytes = exchange(&mut stream, &question("many.example.org", TYPE::TXT));
    assert_eq!(Packet::parse(&bytes).unwrap().rcode(), RCODE::ServerFailure);
}
