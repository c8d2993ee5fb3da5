//! A scripted server of names, and a client inside.

use super::*;
use simple_dns::rdata::{A, AAAA, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, ResourceRecord, TYPE};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A server that says what a test wants, by UDP and TCP, on a port of its own.
pub(super) struct Server {
    pub(super) port: u16,
    /// The questions that it heard, as `A example.org`.
    heard: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicU64>,
}

/// What a script says: to a question, by UDP or TCP, messages.
pub(super) type Script = dyn Fn(&Packet<'_>, bool) -> Vec<Vec<u8>> + Send + Sync;

impl Server {
    pub(super) fn start(script: impl Fn(&Packet<'_>, bool) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Server {
        let (udp, tcp) = std::iter::repeat_with(|| {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = udp.local_addr().unwrap().port();
            (udp, TcpListener::bind(("127.0.0.1", port)))
        })
        .find_map(|(udp, tcp)| Some((udp, tcp.ok()?)))
        .unwrap();
        let server = Server { port: udp.local_addr().unwrap().port(), heard: Arc::default(), over: Arc::default() };
        let script: Arc<Script> = Arc::new(script);
        let (heard, over, by_udp) = (server.heard.clone(), server.over.clone(), script.clone());
        udp.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while over.load(Ordering::Relaxed) == 0 {
                let Ok((count, from)) = udp.recv_from(&mut bytes) else { continue };
                let packet = Packet::parse(&bytes[..count]).unwrap();
                heard.lock().unwrap().push(written(&packet));
                for message in by_udp(&packet, false) {
                    let _ = udp.send_to(&message, from);
                }
            }
        });
        let heard = server.heard.clone();
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut bytes).unwrap();
                let packet = Packet::parse(&bytes).unwrap();
                heard.lock().unwrap().push(format!("tcp {}", written(&packet)));
                for message in script(&packet, true) {
                    let _ = stream.write_all(&(message.len() as u16).to_be_bytes());
                    let _ = stream.write_all(&message);
                }
            }
        });
        server
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(super) fn peer(&self, policy: Policy) -> Peer {
        Peer::start(
            policy,
            self.port,
            "nameserver 127.0.0.1\n",
            "10.9.8.7 private.example\n93.184.216.50 public.example\n",
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(1, Ordering::Relaxed);
    }
}

pub(super) fn written(packet: &Packet<'_>) -> String {
    format!("{:?} {}", u16::from(packet.questions[0].qtype), packet.questions[0].qname)
}

pub(super) fn record(name: &str, data: RData<'static>) -> ResourceRecord<'static> {
    ResourceRecord::new(Name::new(name).unwrap().into_owned(), CLASS::IN, 300, data)
}

pub(super) fn a(name: &str, address: &str) -> ResourceRecord<'static> {
    match address.parse().unwrap() {
        IpAddr::V4(four) => record(name, RData::A(A { address: four.to_bits() })),
        IpAddr::V6(six) => record(name, RData::AAAA(AAAA { address: six.to_bits() })),
    }
}

pub(super) fn alias(name: &str, target: &str) -> ResourceRecord<'static> {
    record(name, RData::CNAME(CNAME(Name::new(target).unwrap().into_owned())))
}

/// An answer to `packet` with these records.
pub(super) fn answer(packet: &Packet<'_>, records: Vec<ResourceRecord<'static>>) -> Vec<u8> {
    let mut reply = Packet::new_reply(packet.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    reply.questions.clone_from(&packet.questions);
    reply.answers = records;
    reply.build_bytes_vec_compressed().unwrap()
}

pub(super) fn answer_code(packet: &Packet<'_>, code: RCODE) -> Vec<u8> {
    let mut reply = Packet::new_reply(packet.id());
    reply.questions.clone_from(&packet.questions);
    *reply.rcode_mut() = code;
    reply.build_bytes_vec().unwrap()
}

pub(super) fn question(name: &str, kind: TYPE) -> Vec<u8> {
    let mut packet = Packet::new_query(0x1234);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).unwrap(), kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().unwrap()
}

pub(super) fn question_with_edns(name: &str, kind: TYPE, size: u16) -> Vec<u8> {
    let bytes = question(name, kind);
    let mut packet = Packet::parse(&bytes).unwrap();
    *packet.opt_mut() = Some(simple_dns::rdata::OPT { opt_codes: Vec::new(), udp_packet_size: size, version: 0 });
    packet.build_bytes_vec().unwrap()
}

/// Asks, and reads the answer: its code, and its addresses.
pub(super) fn addresses(peer: &mut Peer, flow: Flow, name: &str, kind: TYPE) -> (RCODE, Vec<String>) {
    let bytes = peer.ask(flow, &question(name, kind));
    read(&bytes, name)
}

pub(super) fn read(bytes: &[u8], name: &str) -> (RCODE, Vec<String>) {
    let packet = Packet::parse(bytes).unwrap();
    assert_eq!((packet.id(), packet.questions[0].qname.to_string()), (0x1234, name.trim_end_matches('.').to_owned()));
    let found = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::A(a) => Some(std::net::Ipv4Addr::from(a.address).to_string()),
        RData::AAAA(a) => Some(std::net::Ipv6Addr::from(a.address).to_string()),
        _ => None,
    });
    (packet.rcode(), found.collect())
}

pub(super) fn one(address: &str) -> (RCODE, Vec<String>) {
    (RCODE::NoError, vec![address.to_owned()])
}

pub(super) const NONE: (RCODE, Vec<String>) = (RCODE::NoError, Vec::new());
pub(super) const BLOCKED: (RCODE, Vec<String>) = (RCODE::NameError, Vec::new());
pub(super) const FAILED: (RCODE, Vec<String>) = (RCODE::ServerFailure, Vec::new());
