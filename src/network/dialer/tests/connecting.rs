//! Connections: what is made, what is refused, and how.

use super::*;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

#[test]
fn an_allowed_target_is_connected_and_bytes_flow() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut peer = Peer::of(policy(&[&target], &[]));
    let (socket, check) = peer.is_connected(1, Protocol::Tcp, &target);
    assert_eq!(check, None);
    let (mut inside, mut outside) = (TcpStream::from(socket), listener.accept().unwrap().0);
    inside.write_all(b"hello").unwrap();
    let mut bytes = [0; 5];
    outside.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    peer.tell(&ToDialer::Counted { flow: 1, sent: 3, received: 0 });
    peer.tell(&ToDialer::Closed { flow: 1, sent: 5, received: 7, end: End::Finished });
    let summary = peer.end();
    assert_eq!((summary.allowed, summary.refused, summary.sent, summary.received), (1, 0, 5, 7));
    let log = peer.log();
    assert_eq!(log.iter().map(|line| line.event).collect::<Vec<_>>(), [Happening::Opened, Happening::Closed]);
    assert_eq!((log[0].rule.as_deref(), log[0].verdict), (Some(target.as_str()), Some(Allowance::Allowed)));
    assert_eq!((log[1].flow, log[1].sent, log[1].received), (Some(1), Some(5), Some(7)));
}

#[test]
fn the_socket_never_waits_and_is_closed_on_exec() {
    use nix::fcntl::{FcntlArg, fcntl};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut peer = Peer::of(policy(&[&target], &[]));
    let (socket, _) = peer.is_connected(1, Protocol::Tcp, &target);
    assert!(fcntl(&socket, FcntlArg::F_GETFL).unwrap() & libc::O_NONBLOCK != 0);
    assert!(fcntl(&socket, FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC != 0);
}

#[test]
fn a_denied_target_is_refused_and_nobody_hears_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut peer = Peer::of(open_policy(&[], &[]));
    peer.is_refused(1, Protocol::Tcp, &target, Refusal::Prohibited);
    peer.is_refused(2, Protocol::Udp, &target, Refusal::Prohibited);
    peer.is_refused(
        3,
        Protocol::Tcp,
        &format!("[::ffff:127.0.0.1]:{}", listener.local_addr().unwrap().port()),
        Refusal::Prohibited,
    );
    assert!(listener.accept().is_err());
    let summary = peer.end();
    assert_eq!((summary.allowed, summary.refused, summary.targets.len()), (0, 3, 2));
    assert_eq!(summary.targets[0].hint.as_deref(), Some(format!("--allow {target}").as_str()));
    assert_eq!((summary.targets[0].times, summary.targets[1].times), (2, 1));
}

#[test]
fn metadata_and_private_addresses_are_refused_by_an_open_policy() {
    let mut peer = Peer::of(open_policy(&["169.254.0.0/16"], &[]));
    for (flow, target) in [
        "169.254.169.254:80",
        "10.0.0.1:80",
        "[fd00:ec2::254]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[2002:a9fe:a9fe::1]:80",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
    ]
    .into_iter()
    .enumerate()
    {
        peer.is_refused(flow as Flow, Protocol::Tcp, target, Refusal::Prohibited);
        peer.is_refused(100 + flow as Flow, Protocol::Udp, target, Refusal::Prohibited);
        peer.is_refused(200 + flow as Flow, Protocol::Icmp, target, Refusal::Prohibited);
    }
}

#[test]
fn a_dead_target_is_refused_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let since = Instant::now();
    peer.is_refused(1, Protocol::Tcp, &format!("127.0.0.1:{port}"), Refusal::Port);
    assert!(since.elapsed() < Duration::from_secs(1));
    let summary = peer.end();
    assert_eq!((summary.failed, summary.refused), (1, 0));
    assert_eq!((peer.log()[0].event, peer.log()[0].verdict), (Happening::Refused, Some(Allowance::Failed)));
}

#[test]
fn a_name_in_no_binding_allows_no_address() {
    let mut peer = Peer::of(policy(&["example.org"], &[]));
    peer.is_refused(1, Protocol::Tcp, "93.184.216.34:443", Refusal::Prohibited);
    assert_eq!(peer.log()[0].hint.as_deref(), Some("--allow 93.184.216.34:443"));
}

#[test]
fn an_own_address_of_the_machine_is_refused_by_an_open_policy() {
    // The address from which this machine would reach others, if it would: no packet is sent.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    if probe.connect("1.1.1.1:53").is_err() {
        return;
    }
    let own = probe.local_addr().unwrap().ip();
    assert_eq!((dial::is_own(own), dial::is_own("1.1.1.1".parse().unwrap())), (Ok(true), Ok(false)));
    let listener = TcpListener::bind((own, 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let range = format!("{}/16", crate::spec::network::Net::new(own, 16).unwrap().address);
    let mut peer = Peer::of(open_policy(&[&range, "0.0.0.0/0"], &[]));
    peer.is_refused(1, Protocol::Tcp, &target, Refusal::Prohibited);
    assert!(peer.log()[0].reason.as_ref().unwrap().contains("which no rule names"), "{:?}", peer.log());
    let mut peer = Peer::of(policy(&[&target], &[]));
    peer.is_connected(1, Protocol::Tcp, &target);
}

#[test]
fn the_gateway_is_the_hosts_loopback_by_either_family() {
    let four = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = four.local_addr().unwrap().port();
    let mut peer = Peer::of(policy(&[&format!("host:{port}")], &[]));
    peer.is_connected(1, Protocol::Tcp, &format!("192.0.0.1:{port}"));
    peer.is_connected(2, Protocol::Tcp, &format!("[fd62:6a61:7200::1]:{port}"));
    peer.is_refused(3, Protocol::Tcp, &format!("192.0.0.1:{}", port ^ 1), Refusal::Prohibited);
    peer.is_refused(4, Protocol::Tcp, &format!("127.0.0.1:{port}"), Refusal::Prohibited);
    let Ok(six) = TcpListener::bind("[::1]:0") else { return };
    let port = six.local_addr().unwrap().port();
    let mut peer = Peer::of(policy(&[&format!("host:{port}")], &[]));
    // Nobody listens on 127.0.0.1 there, most likely; ::1 comes second.
    peer.is_connected(1, Protocol::Tcp, &format!("192.0.0.1:{port}"));
    drop(six);
    peer.is_refused(2, Protocol::Tcp, &format!("192.0.0.1:{port}"), Refusal::Port);
}

#[test]
fn a_udp_flow_gets_a_socket_that_speaks_to_its_target_alone() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap().to_string();
    let mut peer = Peer::of(policy(&[&format!("udp://{target}")], &[]));
    let (socket, _) = peer.is_connected(1, Protocol::Udp, &target);
    let inside = UdpSocket::from(socket);
    inside.send(b"x").unwrap();
    let (count, from) = server.recv_from(&mut [0; 9]).unwrap();
    assert_eq!((count, from, inside.peer_addr().unwrap().to_string()), (1, inside.local_addr().unwrap(), target));
    peer.is_refused(2, Protocol::Tcp, &server.local_addr().unwrap().to_string(), Refusal::Prohibited);
}

#[test]
fn echo_requests_get_a_ping_socket_or_the_setting_that_forbids_it() {
    let mut peer = Peer::of(policy(&["icmp://127.0.0.1"], &[]));
    match peer.open(1, Protocol::Icmp, "127.0.0.1:77") {
        (ToPacket::Connected { .. }, Some(_)) => {}
        (ToPacket::Refused { refusal: Refusal::Prohibited, .. }, None) => {
            assert!(peer.log()[0].reason.as_ref().unwrap().contains("net.ipv4.ping_group_range"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_thousand_wishes_at_once_are_all_granted() {
    raise_limit();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let accepting = std::thread::spawn(move || (0..1000).map(|_| listener.accept().unwrap()).collect::<Vec<_>>());
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let source = "192.0.0.2:4000".parse().unwrap();
    let mut sockets = Vec::new();
    for flow in 0..1000 {
        peer.tell(&ToDialer::Open { flow, protocol: Protocol::Tcp, source, target });
    }
    while sockets.len() < 1000 {
        match peer.hear() {
            (ToPacket::Connected { .. }, Some(socket)) => sockets.push(socket),
            other => panic!("{other:?} after {}", sockets.len()),
        }
    }
    assert_eq!(accepting.join().unwrap().len(), 1000);
    assert_eq!(peer.end().allowed, 1000);
}

#[test]
fn attempts_at_dead_targets_give_way_to_new_ones_the_oldest_first() {
    if !alone("connecting::attempts_at_dead_targets_give_way_to_new_ones_the_oldest_first") {
        return;
    }
    // A listener whose queue is full answers nobody.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    nix::sys::socket::listen(&dead, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let alive = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = dead.local_addr().unwrap();
    // With few descriptors there are 16 attempts at once.
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 256, hard).unwrap();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let source = "192.0.0.2:4000".parse().unwrap();
    (0..40).for_each(|flow| peer.tell(&ToDialer::Open { flow, protocol: Protocol::Tcp, source, target }));
    let mut connected = Vec::new();
    let mut displaced = Vec::new();
    while let Some((said, socket)) = peer.hear_within(500) {
        match said {
            ToPacket::Connected { flow, .. } => connected.push((flow, socket)),
            ToPacket::Refused { flow, refusal: Refusal::Silence } => displaced.push(flow),
            other => panic!("{other:?}"),
        }
    }
    assert!(connected.len() < 8, "the queue of the listener");
    assert_eq!(displaced.len() + connected.len(), 40 - 16);
    assert!(displaced.is_sorted(), "{displaced:?}");
    // The next is connected at once.
    let since = Instant::now();
    let target = alive.local_addr().unwrap();
    peer.tell(&ToDialer::Open { flow: 40, protocol: Protocol::Tcp, source, target });
    assert!(matches!(peer.hear().0, ToPacket::Refused { refusal: Refusal::Silence, .. }));
    assert!(matches!(peer.hear().0, ToPacket::Connected { flow: 40, .. }));
    assert!(since.elapsed() < Duration::from_secs(2));
    let log = peer.log();
    let gave_way = log.iter().filter(|line| line.reason.as_ref().is_some_and(|reason| reason.contains("gave way")));
    assert_eq!(gave_way.count(), displaced.len() + 1);
}

#[test]
fn answers_that_nobody_takes_wait_within_bounds_and_none_is_lost() {
    let mut peer = Peer::of(Policy::default());
    let (source, target) = ("192.0.0.2:4000".parse().unwrap(), "93.184.216.34:80".parse().unwrap());
    let mut sent = 0;
    // Until the dialer reads no more, since we read nothing.
    for flow in 0..100_000 {
        peer.packet
            .send(&ToDialer::Open { flow, protocol: Protocol::Tcp, source, target }, None, wire::LONGEST)
            .unwrap();
        sent = flow + 1;
        if peer.packet.wants_to_send() {
            std::thread::sleep(Duration::from_millis(200));
            peer.packet.flush().unwrap();
            if peer.packet.wants_to_send() {
                break;
            }
        }
    }
    assert!(sent < 20_000, "{sent}");
    for flow in 0..sent {
        assert_eq!(peer.hear().0, ToPacket::Refused { flow, refusal: Refusal::Prohibited });
        peer.packet.flush().unwrap();
    }
    assert_eq!(peer.end().refused, sent);
}

#[test]
fn a_number_that_is_used_twice_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let _socket = peer.is_connected(1, Protocol::Tcp, &target.to_string());
    let source = "192.0.0.2:4000".parse().unwrap();
    peer.tell(&ToDialer::Open { flow: 1, protocol: Protocol::Tcp, source, target });
    assert!(peer.hear_within(200).is_none());
}

#[test]
fn where_there_are_no_descriptors_a_wish_is_refused_and_the_dialer_goes_on() {
    // The limit is the process's: it would break the tests beside this one, so this one runs alone.
    if !alone("connecting::where_there_are_no_descriptors_a_wish_is_refused_and_the_dialer_goes_on") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let _first = peer.is_connected(1, Protocol::Tcp, &target);
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 3, hard).unwrap();
    peer.is_refused(2, Protocol::Tcp, &target, Refusal::Host);
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    peer.is_connected(3, Protocol::Tcp, &target);
    let log = peer.log();
    assert!(log.iter().any(|line| line.reason.as_deref() == Some("there are no descriptors left for it")), "{log:?}");
}

fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(65_536), hard).unwrap();
}
