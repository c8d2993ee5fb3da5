//! Which names are asked for, whom, and what is known here.

use super::server::*;
use super::*;
use simple_dns::rdata::RData;
use simple_dns::{Packet, RCODE, TYPE};
use std::net::UdpSocket;

#[test]
fn an_allowed_name_is_resolved_from_memory_the_second_time() {
    let server = Server::start(|packet, _| vec![answer(packet, vec![a("example.org", "93.184.216.34")])]);
    let mut peer = server.peer(policy(&["example.org:443"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
    assert_eq!(addresses(&mut peer, 2, "example.org", TYPE::A), one("93.184.216.34"));
    assert_eq!(server.heard(), ["1 example.org"]);
    let summary = peer.end();
    assert_eq!((summary.queries, summary.refused), (2, 0));
    assert_eq!((peer.log()[0].event, peer.log()[0].name.as_deref()), (Happening::Query, Some("example.org")));
}

#[test]
fn a_name_that_no_rule_allows_never_leaves() {
    let server = Server::start(|packet, _| vec![answer(packet, vec![a("x", "93.184.216.34")])]);
    let mut peer = server.peer(policy(&["example.org:443", "*.wild.example"], &["bad.wild.example"]));
    let names = [
        "secret.attacker.example",
        "a.example.org",
        "example.org.attacker.example",
        "wild.example",
        "bad.wild.example",
        "org",
        "34.216.184.93.in-addr.arpa",
    ];
    for (flow, name) in names.iter().enumerate() {
        for kind in [TYPE::A, TYPE::TXT, TYPE::HTTPS] {
            assert_eq!(addresses(&mut peer, flow as Flow, name, kind), BLOCKED, "{name}");
        }
    }
    assert_eq!(server.heard(), Vec::<String>::new());
    assert_eq!(peer.end().targets[0].hint.as_deref(), Some("--allow secret.attacker.example:443"));
}

#[test]
fn a_blocked_name_says_why_to_a_client_that_understands_it() {
    let mut peer = Peer::of(Policy::default());
    let bytes = peer.ask(1, &question_with_edns("evil.example", TYPE::A, 1232));
    let packet = Packet::parse(&bytes).unwrap();
    let option = &packet.opt().unwrap().opt_codes[0];
    assert_eq!((option.code, &option.data[..2]), (15, &[0, 15][..]));
    assert_eq!(
        String::from_utf8_lossy(&option.data[2..]),
        "belljar: no rule allows `evil.example`; --allow evil.example:443"
    );
    assert!(Packet::parse(&peer.ask(2, &question("evil.example", TYPE::A))).unwrap().opt().is_none());
}

#[test]
fn keys_are_answered_with_nothing_and_zones_not_at_all() {
    let server = Server::start(|packet, _| vec![answer(packet, Vec::new())]);
    let mut peer = server.peer(policy(&["example.org"], &[]));
    for kind in [TYPE::HTTPS, TYPE::SVCB, TYPE::DNSKEY, TYPE::NULL] {
        assert_eq!(addresses(&mut peer, 1, "example.org", kind), NONE);
    }
    for kind in [251_u16, 252, 255, 65_400] {
        let mut bytes = question("example.org", TYPE::A);
        let at = bytes.len() - 4;
        bytes[at..at + 2].copy_from_slice(&kind.to_be_bytes());
        assert_eq!(Packet::parse(&peer.ask(2, &bytes)).unwrap().rcode(), RCODE::NotImplemented, "{kind}");
    }
    assert_eq!(server.heard(), Vec::<String>::new());
}

#[test]
fn only_one_question_of_the_internet_class_in_an_ordinary_query_is_answered() {
    let mut peer = Peer::of(policy(&["example.org"], &[]));
    let plain = question("example.org", TYPE::A);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        change(&mut bytes);
        bytes
    };
    let at = plain.len();
    let table: Vec<(RCODE, Vec<u8>)> = vec![
        (RCODE::NotImplemented, changed(&|bytes| bytes[2] |= 0x28)),
        (RCODE::Refused, changed(&|bytes| bytes[at - 1] = 3)),
        (RCODE::Refused, changed(&|bytes| bytes[at - 1] = 255)),
        (RCODE::FormatError, changed(&|bytes| bytes[5] = 2)),
        (RCODE::FormatError, changed(&|bytes| bytes[5] = 0)),
        (RCODE::FormatError, changed(&|bytes| bytes[7] = 1)),
        (RCODE::FormatError, changed(&|bytes| bytes[11] = 200)),
        (RCODE::FormatError, changed(&|bytes| bytes.truncate(20))),
        // A name that points to itself, and one that points ahead.
        (RCODE::FormatError, changed(&|bytes| bytes[12..14].copy_from_slice(&[0xc0, 12]))),
        (RCODE::FormatError, changed(&|bytes| bytes[12..14].copy_from_slice(&[0xc0, 20]))),
        (RCODE::FormatError, [&plain[..12], &[63; 300]].concat()),
    ];
    for (code, bytes) in table {
        assert_eq!(Packet::parse(&peer.ask(1, &bytes)).unwrap().rcode(), code, "{bytes:?}");
    }
    // No answer at all: an answer, and what is too short.
    for bytes in [changed(&|bytes| bytes[2] |= 0x80), Vec::new(), vec![0; 11]] {
        peer.ask_later(2, &bytes);
        assert!(peer.hear_within(100).is_none());
    }
    // A dot inside a label, and a NUL byte.
    for odd in [&b"\x0bexample.org"[..], b"\x0bexample\0org"] {
        let bytes = [&plain[..12], odd, b"\0\0\x01\0\x01"].concat();
        assert_eq!(Packet::parse(&peer.ask(3, &bytes)).unwrap().rcode(), RCODE::NameError);
    }
}

#[test]
fn no_server_gives_servfail_at_once_and_a_dead_one_is_passed_over() {
    let mut peer = Peer::start(policy(&["example.org"], &[]), 53, "", "");
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), FAILED);
    // Nobody listens on 127.0.0.2 there, and the kernel says so.
    let server = Server::start(|packet, _| vec![answer(packet, vec![a("example.org", "93.184.216.34")])]);
    let text = "nameserver 127.0.0.2\nnameserver 127.0.0.1\n";
    let mut peer = Peer::start(policy(&["example.org"], &[]), server.port, text, "");
    let since = Instant::now();
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_silent_server_is_passed_over_after_a_while_and_remembered() {
    let silent = UdpSocket::bind("127.0.0.3:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let answering = UdpSocket::bind(("127.0.0.4", port)).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((count, from)) = answering.recv_from(&mut bytes) {
            let packet = Packet::parse(&bytes[..count]).unwrap();
            let name = packet.questions[0].qname.to_string();
            answering.send_to(&answer(&packet, vec![a(&name, "93.184.216.34")]), from).unwrap();
        }
    });
    let text = "nameserver 127.0.0.3\nnameserver 127.0.0.4\noptions timeout:1\n";
    let mut peer = Peer::start(policy(&["*.example.org"], &[]), port, text, "");
    let since = Instant::now();
    assert_eq!(addresses(&mut peer, 1, "a.example.org", TYPE::A), one("93.184.216.34"));
    assert!(since.elapsed() >= Duration::from_millis(900));
    let since = Instant::now();
    assert_eq!(addresses(&mut peer, 2, "b.example.org", TYPE::A), one("93.184.216.34"));
    assert!(since.elapsed() < Duration::from_millis(900), "the one that answered is asked first");
    drop(silent);
}

#[test]
fn a_dead_server_is_given_up_within_ten_seconds_and_blocks_nobody() {
    let server = Server::start(|packet, _| {
        let name = packet.questions[0].qname.to_string();
        if name.starts_with('n') { Vec::new() } else { vec![answer(packet, vec![a(&name, "93.184.216.34")])] }
    });
    let mut peer = server.peer(policy(&["*.example.org"], &[]));
    let since = Instant::now();
    // More than may be on their way: the oldest give way.
    for flow in 0..300 {
        peer.ask_later(flow, &question(&format!("n{flow}.example.org"), TYPE::A));
    }
    for expected in 0..44 {
        let ToPacket::Answer { flow, message } = peer.hear().0 else { panic!("no answer") };
        assert_eq!((flow, Packet::parse(&message).unwrap().rcode()), (expected, RCODE::ServerFailure));
    }
    assert!(since.elapsed() < Duration::from_secs(2));
    assert_eq!(addresses(&mut peer, 400, "evil.example", TYPE::A), BLOCKED);
    // One more is asked for at once, and takes the place of one that still waits.
    peer.ask_later(401, &question("alive.example.org", TYPE::A));
    assert!(matches!(peer.hear().0, ToPacket::Answer { flow: 44, .. }));
    let ToPacket::Answer { flow: 401, message } = peer.hear().0 else { panic!("no answer") };
    assert_eq!(read(&message, "alive.example.org"), one("93.184.216.34"));
    assert!(since.elapsed() < Duration::from_secs(4));
    for _ in 0..255 {
        assert!(matches!(peer.hear().0, ToPacket::Answer { .. }));
    }
    assert!(since.elapsed() < Duration::from_secs(12));
}

#[test]
fn what_a_server_cannot_or_will_not_is_servfail_and_nxdomain_is_passed_on() {
    for (code, seen) in [
        (RCODE::ServerFailure, RCODE::ServerFailure),
        (RCODE::Refused, RCODE::ServerFailure),
        (RCODE::NameError, RCODE::NameError),
        (RCODE::FormatError, RCODE::ServerFailure),
    ] {
        let server = Server::start(move |packet, _| vec![answer_code(packet, code)]);
        let mut peer = server.peer(policy(&["example.org"], &[]));
        assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A).0, seen);
    }
}

#[test]
fn a_server_that_does_not_know_edns_is_asked_without() {
    let server = Server::start(|packet, _| match packet.opt() {
        Some(_) => vec![
            Packet::new_reply(packet.id())
                .build_bytes_vec()
                .map(|mut bytes| {
                    bytes[3] |= 1;
                    bytes
                })
                .unwrap(),
        ],
        None => vec![answer(packet, vec![a("example.org", "93.184.216.34")])],
    });
    let mut peer = server.peer(policy(&["example.org"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
}

#[test]
fn the_hosts_file_comes_first_and_is_held_to_the_policy() {
    let server = Server::start(|packet, _| vec![answer(packet, Vec::new())]);
    let mut peer = server.peer(policy(&["private.example", "public.example:5"], &[]));
    assert_eq!(addresses(&mut peer, 1, "public.example", TYPE::A), one("93.184.216.50"));
    assert_eq!(addresses(&mut peer, 2, "private.example", TYPE::A), NONE);
    assert_eq!(addresses(&mut peer, 3, "public.example", TYPE::AAAA), NONE);
    assert_eq!(server.heard(), Vec::<String>::new());
    peer.is_refused(4, Protocol::Tcp, "93.184.216.50:6", Refusal::Prohibited);
    assert_eq!(peer.log().last().unwrap().name.as_deref(), Some("public.example"));
    let mut peer = server.peer(policy(&["private.example", "10.0.0.0/8:1"], &[]));
    assert_eq!(addresses(&mut peer, 1, "private.example", TYPE::A), one("10.9.8.7"));
}

#[test]
fn the_gateway_and_localhost_have_names_under_every_policy() {
    let mut peer = Peer::of(Policy::default());
    assert_eq!(addresses(&mut peer, 1, "host.belljar.internal", TYPE::A), one("192.0.0.1"));
    assert_eq!(addresses(&mut peer, 2, "Host.Belljar.Internal", TYPE::AAAA), one("fd62:6a61:7200::1"));
    assert_eq!(addresses(&mut peer, 3, "host.belljar.internal", TYPE::TXT), NONE);
    assert_eq!(addresses(&mut peer, 4, "localhost", TYPE::A), one("127.0.0.1"));
    let reverse =
        ["1.0.0.192.in-addr.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.7.1.6.a.6.2.6.d.f.ip6.arpa"];
    for name in reverse {
        let bytes = peer.ask(5, &question(name, TYPE::PTR));
        let packet = Packet::parse(&bytes).unwrap();
        assert!(
            matches!(&packet.answers[0].rdata, RData::PTR(target) if target.0.to_string() == "host.belljar.internal"),
            "{packet:?}"
        );
    }
    assert_eq!(addresses(&mut peer, 6, "2.0.0.192.in-addr.arpa", TYPE::PTR), BLOCKED);
}

#[test]
fn a_name_that_a_new_policy_denies_is_not_answered_and_what_it_led_to_is_refused() {
    let server = Server::start(|packet, _| vec![answer(packet, vec![a("example.org", "93.184.216.34")])]);
    let mut peer = server.peer(policy(&["example.org:7"], &[]));
    assert_eq!(addresses(&mut peer, 1, "example.org", TYPE::A), one("93.184.216.34"));
    peer.order(&Order::Policy(policy(&["other.example"], &[])), None);
    peer.hear();
    assert_eq!(addresses(&mut peer, 2, "example.org", TYPE::A), BLOCKED);
    peer.is_refused(3, Protocol::Tcp, "93.184.216.34:7", Refusal::Prohibited);
}
