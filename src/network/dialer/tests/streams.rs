//! Names by TCP, which end at the dialer.

use super::server::*;
use super::*;
use simple_dns::rdata::{RData, TXT};
use simple_dns::{Packet, PacketFlag, RCODE, TYPE};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

#[test]
fn a_truncated_answer_is_fetched_by_tcp_and_cut_to_what_the_client_takes() {
    let server = Server::start(|packet, tcp| {
        if !tcp {
            let mut bytes = answer(packet, Vec::new());
            bytes[2] |= 2;
            return vec![bytes];
        }
        let texts = (0..40).map(|number| {
            let text = format!("{number:0>200}");
            record("example.org", RData::TXT(TXT::new().with_string(&text).unwrap().into_owned()))
        });
        vec![answer(packet, texts.collect())]
    });
    let mut peer = server.peer(policy(&["example.org"], &[]));
    let bytes = peer.ask(1, &question_with_edns("example.org", TYPE::TXT, 1232));
    let packet = Packet::parse(&bytes).unwrap();
    assert!(packet.has_flags(PacketFlag::TRUNCATION) && packet.answers.is_empty() && bytes.len() <= 1232);
    assert_eq!(server.heard(), ["16 example.org", "tcp 16 example.org"]);
    // The client then comes by TCP, and gets all of it.
    let mut stream = names_by_tcp(&mut peer, 2, "8.8.8.8:53");
    let bytes = exchange(&mut stream, &question("example.org", TYPE::TXT));
    assert_eq!(Packet::parse(&bytes).unwrap().answers.len(), 40);
}

pub(super) fn names_by_tcp(peer: &mut Peer, flow: Flow, target: &str) -> UnixStream {
    match peer.open(flow, Protocol::Tcp, target) {
        (ToPacket::Connected { flow: its, local: true, check: None }, Some(socket)) if its == flow => {
            let stream = UnixStream::from(socket);
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn exchange(stream: &mut UnixStream, message: &[u8]) -> Vec<u8> {
    stream.write_all(&(message.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(message).unwrap();
    receive(stream)
}

fn receive(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn names_by_tcp_end_at_the_dialer_whatever_the_address_and_the_policy() {
    let server = Server::start(|packet, _| {
        vec![answer(packet, vec![a(&packet.questions[0].qname.to_string(), "93.184.216.34")])]
    });
    let mut peer = server.peer(policy(&["*.example.org"], &[]));
    let mut stream = names_by_tcp(&mut peer, 1, "169.254.169.254:53");
    assert_eq!(
        Packet::parse(&exchange(&mut stream, &question("evil.example", TYPE::A))).unwrap().rcode(),
        RCODE::NameError
    );
    // Many at once, byte by byte; the order of answers is free.
    let mut all = Vec::new();
    for number in 0..40 {
        let message = question(&format!("n{number}.example.org"), TYPE::A);
        all.extend_from_slice(&(message.len() as u16).to_be_bytes());
        all.extend_from_slice(&message);
    }
    all.chunks(7).for_each(|bytes| stream.write_all(bytes).unwrap());
    let mut names: Vec<String> =
        (0..40).map(|_| Packet::parse(&receive(&mut stream)).unwrap().questions[0].qname.to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 40);
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    let summary = peer.end();
    assert_eq!((summary.allowed, summary.queries), (0, 41));
}

#[test]
fn garbage_by_tcp_hurts_nobody_and_connections_are_bounded() {
    let mut peer = Peer::of(Policy::default());
    let mut streams: Vec<UnixStream> = (0..64).map(|flow| names_by_tcp(&mut peer, flow, "1.1.1.1:53")).collect();
    peer.is_refused(64, Protocol::Tcp, "1.1.1.1:53", Refusal::Silence);
    streams[0].write_all(&[0xff; 70_000]).unwrap();
    streams[1].write_all(&[0; 5000]).unwrap();
    drop(streams.remove(2));
    peer.tell(&ToDialer::Closed { flow: 2, sent: 0, received: 0, end: End::Finished });
    names_by_tcp(&mut peer, 65, "1.1.1.1:53");
    assert_eq!(addresses(&mut peer, 66, "a.example", TYPE::A), BLOCKED);
}

#[test]
fn a_client_that_reads_no_answers_is_read_no_more() {
    let mut peer = Peer::of(Policy::default());
    let mut stream = names_by_tcp(&mut peer, 1, "1.1.1.1:53");
    stream.set_nonblocking(true).unwrap();
    let message = question("a.example", TYPE::A);
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat().repeat(1000);
    let mut sent = 0;
    let mut idle = 0;
    while idle < 5 && sent < 100 << 20 {
        match stream.write(&framed) {
            Ok(count) => (sent, idle) = (sent + count, 0),
            Err(_) => {
                idle += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    assert!(sent < 4 << 20, "{sent}");
    assert_eq!(addresses(&mut peer, 2, "b.example", TYPE::A), BLOCKED);
}

#[test]
fn a_client_that_leaves_costs_nothing() {
    // CPU time is the process's, so this runs alone.
    if !alone("streams::a_client_that_leaves_costs_nothing") {
        return;
    }
    let server = Server::start(|_, _| Vec::new());
    let mut peer = server.peer(policy(&["example.org"], &[]));
    let mut stream = names_by_tcp(&mut peer, 1, "1.1.1.1:53");
    let message = question("example.org", TYPE::A);
    stream.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(stream);
    let used = || nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let before = used();
    std::thread::sleep(Duration::from_secs(1));
    let ms = |usage: nix::sys::resource::Usage| {
        (usage.user_time().tv_usec() + usage.system_time().tv_usec()) / 1000
            + 1000 * (usage.user_time().tv_sec() + usage.system_time().tv_sec())
    };
    assert!(ms(used()) - ms(before) < 200);
}
