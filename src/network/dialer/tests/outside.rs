//! The dialer against what is outside, in a network namespace of its own: names that dnsmasq knows, and public addresses that lead to this
//! namespace without being the machine's own.

use super::server::{BLOCKED, addresses, question};
use super::*;
use crate::network::wire::Naming;
use simple_dns::{RCODE, TYPE};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};

const MARK: &str = "BELLJAR_TEST_OUTSIDE";

/// Runs a test of this file in a namespace where 93.184.0.0/16 leads to this machine; whether this is there already. Where there can be no
/// such namespace the test is passed by.
fn outside(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let script = "ip link set lo up && ip addr add 10.9.9.9/32 dev lo && ip route add local 93.184.0.0/16 dev lo src 10.9.9.9 \
                  && ip route add local 2606:2800::/32 dev lo && exec \"$0\" \"$@\"";
    let program = std::env::current_exe().unwrap();
    let name = format!("network::dialer::tests::outside::{test}");
    let mut command = Command::new("unshare");
    command.args(["-Urn", "sh", "-c", script]).arg(program).args(["--exact", &name, "--test-threads=1"]);
    let Ok(output) = command.env(MARK, "1").output() else { return false };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if text.contains("running 1 test") {
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    } else {
        assert!(std::env::var_os("MUST_WORK").is_none(), "no namespace to test in: {text}");
    }
    false
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// dnsmasq on port 53 of 127.0.0.1, which knows these names. `None`: there is no dnsmasq.
fn dnsmasq(options: &[&str]) -> Option<Running> {
    let fixed = [
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--user=root",
        "--pid-file=",
    ];
    let mut command = Command::new("/usr/sbin/dnsmasq");
    let child = command.args(fixed).args(options).stderr(Stdio::null()).spawn().ok()?;
    let running = Running(child);
    for _ in 0..100 {
        if TcpStream::connect("127.0.0.1:53").is_ok() {
            return Some(running);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("dnsmasq does not listen");
}

#[test]
fn a_name_leads_to_a_connection_that_must_name_it() {
    if !outside("a_name_leads_to_a_connection_that_must_name_it") {
        return;
    }
    let known = [
        "--cname=www.example.org,web.cdn.example",
        "--host-record=web.cdn.example,93.184.216.34,300",
        "--host-record=other.example,93.184.216.34",
        "--host-record=private.example.org,10.0.0.1",
    ];
    let Some(_dnsmasq) = dnsmasq(&known) else { return };
    let listener = TcpListener::bind("0.0.0.0:443").unwrap();
    let mut peer = Peer::start(
        policy(&["www.example.org:443", "other.example:80", "private.example.org"], &[]),
        53,
        "nameserver 127.0.0.1\n",
        "",
    );
    peer.is_refused(1, Protocol::Tcp, "93.184.216.34:443", Refusal::Prohibited);
    assert_eq!(addresses(&mut peer, 2, "www.example.org", TYPE::A), (RCODE::NoError, vec!["93.184.216.34".to_owned()]));
    let (socket, check) = peer.is_connected(3, Protocol::Tcp, "93.184.216.34:443");
    let check = check.unwrap();
    assert_eq!(
        (check.names, check.allowed.unwrap(), check.denied),
        (Naming::Tls, vec!["www.example.org".to_owned()], Vec::new())
    );
    let (mut inside, mut there) = (TcpStream::from(socket), listener.accept().unwrap().0);
    inside.write_all(b"x").unwrap();
    assert_eq!(there.read(&mut [0; 9]).unwrap(), 1);
    // Another port, another address, another protocol, and what a private address answers: no.
    peer.is_refused(4, Protocol::Tcp, "93.184.216.34:444", Refusal::Prohibited);
    peer.is_refused(5, Protocol::Tcp, "93.184.216.35:443", Refusal::Prohibited);
    peer.is_refused(6, Protocol::Udp, "93.184.216.34:443", Refusal::Prohibited);
    assert_eq!(addresses(&mut peer, 7, "private.example.org", TYPE::A), (RCODE::NoError, Vec::new()));
    peer.is_refused(8, Protocol::Tcp, "10.0.0.1:443", Refusal::Prohibited);
    // The connection names itself, wrongly: a second look cuts it.
    peer.tell(&ToDialer::Named { flow: 3, name: Some("other.example".to_owned()), accepted: true });
    assert_eq!(peer.hear().0, ToPacket::Cut { flow: 3 });
    let log = peer.log();
    assert_eq!(log.iter().rev().find_map(|line| line.hint.as_deref()), Some("--allow other.example:443"));
}

#[test]
fn a_new_policy_cuts_connections_by_the_name_that_they_said() {
    if !outside("a_new_policy_cuts_connections_by_the_name_that_they_said") {
        return;
    }
    let Some(_dnsmasq) = dnsmasq(&["--host-record=a.example,93.184.216.34", "--host-record=b.example,93.184.216.34"])
    else {
        return;
    };
    let _listeners = [TcpListener::bind("0.0.0.0:443").unwrap(), TcpListener::bind("0.0.0.0:80").unwrap()];
    let mut peer = Peer::start(policy(&["a.example", "b.example"], &[]), 53, "nameserver 127.0.0.1\n", "");
    addresses(&mut peer, 1, "a.example", TYPE::A);
    addresses(&mut peer, 2, "b.example", TYPE::A);
    let sockets: Vec<OwnedFd> =
        (3..6).map(|flow| peer.is_connected(flow, Protocol::Tcp, "93.184.216.34:443").0).collect();
    let (_web, check) = peer.is_connected(6, Protocol::Tcp, "93.184.216.34:80");
    assert_eq!(check.unwrap().names, Naming::Http);
    for (flow, name) in [(3, "a.example"), (4, "b.example"), (6, "a.example")] {
        peer.tell(&ToDialer::Named { flow, name: Some(name.to_owned()), accepted: true });
    }
    // 4 said the other name, 5 has said nothing yet, 6 could go on to say the other.
    assert_eq!(addresses(&mut peer, 7, "c.example", TYPE::A), BLOCKED);
    assert_eq!(peer.order(&Order::Policy(policy(&["a.example"], &[])), None), Report::Policy { cut: 3 });
    peer.hear();
    assert_eq!(
        (4..7).map(|_| peer.hear().0).collect::<Vec<_>>(),
        (4..7).map(|flow| ToPacket::Cut { flow }).collect::<Vec<_>>()
    );
    drop(sockets);
}

#[test]
fn an_open_policy_reaches_public_addresses_and_compares_denied_names() {
    if !outside("an_open_policy_reaches_public_addresses_and_compares_denied_names") {
        return;
    }
    let _listener = TcpListener::bind("0.0.0.0:443").unwrap();
    let server = UdpSocket::bind("0.0.0.0:443").unwrap();
    let mut peer = Peer::of(open_policy(&[], &[]));
    assert_eq!(peer.is_connected(1, Protocol::Tcp, "93.184.216.34:443").1, None);
    let (socket, _) = peer.is_connected(2, Protocol::Udp, "93.184.216.34:443");
    UdpSocket::from(socket).send(b"x").unwrap();
    assert_eq!(server.recv(&mut [0; 9]).unwrap(), 1);
    // 10.9.9.9 is this machine, and so is whatever is bound to it.
    peer.is_refused(3, Protocol::Tcp, "10.9.9.9:443", Refusal::Prohibited);
    peer.is_refused(4, Protocol::Tcp, "127.0.0.1:443", Refusal::Prohibited);
    peer.is_refused(5, Protocol::Tcp, "8.8.8.8:443", Refusal::Network);
    let mut peer = Peer::of(open_policy(&[], &["evil.example"]));
    assert_eq!(peer.is_connected(1, Protocol::Tcp, "93.184.216.34:443").1.unwrap().denied, ["evil.example"]);
    peer.is_refused(2, Protocol::Udp, "93.184.216.34:443", Refusal::Prohibited);
}

#[test]
fn dnsmasq_answers_as_a_scripted_server_does() {
    if !outside("dnsmasq_answers_as_a_scripted_server_does") {
        return;
    }
    let long: Vec<String> = (0..20).map(|number| format!("--txt-record=long.example.org,{number:0>200}")).collect();
    let mut known = vec![
        "--host-record=v6.example.org,2606:2800::5",
        "--mx-host=example.org,mail.example.org,10",
        "--srv-host=_x._tcp.example.org,a.example.org,5",
    ];
    known.extend(long.iter().map(String::as_str));
    let Some(mut server) = dnsmasq(&known) else { return };
    let mut peer = Peer::start(
        policy(&["example.org", "*.example.org", "[2606:2800::]/32:1"], &[]),
        53,
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        "",
    );
    assert_eq!(
        addresses(&mut peer, 1, "v6.example.org", TYPE::AAAA),
        (RCODE::NoError, vec!["2606:2800::5".to_owned()])
    );
    let count = |peer: &mut Peer, name: &str, kind| {
        let bytes = peer.ask(9, &question(name, kind));
        let packet = simple_dns::Packet::parse(&bytes).unwrap();
        (packet.answers.len(), packet.has_flags(simple_dns::PacketFlag::TRUNCATION))
    };
    assert_eq!(count(&mut peer, "example.org", TYPE::MX), (1, false));
    assert_eq!(count(&mut peer, "_x._tcp.example.org", TYPE::SRV), (1, false));
    // 4 KB: fetched by TCP, and the client is told to come by TCP as well.
    assert_eq!(count(&mut peer, "long.example.org", TYPE::TXT), (0, true));
    // dnsmasq knows no server of its own: it refuses, and that is no answer.
    assert_eq!(addresses(&mut peer, 2, "unknown.example.org", TYPE::A).0, RCODE::ServerFailure);
    let _ = server.0.kill();
    let _ = server.0.wait();
    let since = Instant::now();
    assert_eq!(addresses(&mut peer, 3, "dead.example.org", TYPE::A).0, RCODE::ServerFailure);
    assert!(since.elapsed() < Duration::from_secs(1));
}
