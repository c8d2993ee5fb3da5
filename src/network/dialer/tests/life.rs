//! Beginning, change and end; the log.

use super::*;
use std::net::TcpListener;

#[test]
fn the_device_is_passed_on_and_not_kept() {
    let mut peer = Peer::of(Policy::default());
    let (read, write) = nix::unistd::pipe().unwrap();
    assert_eq!(peer.order(&Order::Device(Device::Tun), Some(write)), Report::Done);
    let (message, descriptor) = peer.hear();
    assert_eq!((message, descriptor.is_some()), (ToPacket::Device(Device::Tun), true));
    drop(descriptor);
    // Nobody holds the other end any more.
    assert_eq!(nix::unistd::read(&read, &mut [0; 1]), Ok(0));
}

#[test]
fn limits_come_first_and_again_with_a_new_policy() {
    let (supervisor, theirs) = pair();
    let (packet, its) = pair();
    let policy = Policy { rate: Some(1000), flows: 7, ..Policy::default() };
    let log = File::options().append(true).open("/dev/null").unwrap();
    let dialer = std::thread::spawn(move || serve(theirs, its, log, Setup { policy, ..Setup::default() }));
    let mut packet = Channel::new(packet);
    wait(&packet, PollFlags::POLLIN, 10_000);
    let Received::Message(message, None) = packet.receive::<ToPacket>(&mut [0; 99]).unwrap() else { panic!() };
    assert_eq!(message, ToPacket::Limits(Limits { rate: Some(1000), flows: 7 }));
    drop(supervisor);
    dialer.join().unwrap().unwrap();
    assert!(matches!(packet.receive::<ToPacket>(&mut [0; 99]).unwrap(), Received::End));
}

#[test]
fn a_new_policy_cuts_what_it_does_not_allow_and_nothing_else() {
    let (one, two) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (one, two) = (one.local_addr().unwrap().to_string(), two.local_addr().unwrap().to_string());
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let _first = peer.is_connected(1, Protocol::Tcp, &one);
    let _second = peer.is_connected(2, Protocol::Tcp, &two);
    assert_eq!(peer.order(&Order::Policy(policy(&[&two], &[])), None), Report::Policy { cut: 1 });
    assert!(matches!(peer.hear().0, ToPacket::Limits(_)));
    assert_eq!(peer.hear().0, ToPacket::Cut { flow: 1 });
    peer.tell(&ToDialer::Closed { flow: 1, sent: 1, received: 2, end: End::Cut });
    peer.is_refused(3, Protocol::Tcp, &one, Refusal::Prohibited);
    peer.is_connected(4, Protocol::Tcp, &two);
    assert_eq!(peer.order(&Order::Policy(policy(&["0.0.0.0/0"], &["127.0.0.1"])), None), Report::Policy { cut: 2 });
    let summary = peer.end();
    assert_eq!((summary.allowed, summary.refused, summary.sent, summary.received), (3, 4, 1, 2));
}

#[test]
fn a_new_policy_refuses_what_is_still_being_connected() {
    // A listener whose queue is full answers nobody.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let target = listener.local_addr().unwrap();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let source = "192.0.0.2:4000".parse().unwrap();
    (0..8).for_each(|flow| peer.tell(&ToDialer::Open { flow, protocol: Protocol::Tcp, source, target }));
    let mut connected = Vec::new();
    while let Some(said) = peer.hear_within(500) {
        connected.push(said);
    }
    assert!(connected.len() < 8);
    let cut = peer.order(&Order::Policy(Policy::default()), None);
    assert_eq!(cut, Report::Policy { cut: 8 });
    let said: Vec<ToPacket> = std::iter::from_fn(|| peer.hear_within(500)).map(|(said, _)| said).collect();
    let refused =
        said.iter().filter(|said| matches!(said, ToPacket::Refused { refusal: Refusal::Prohibited, .. })).count();
    let cut = said.iter().filter(|said| matches!(said, ToPacket::Cut { .. })).count();
    assert_eq!((cut, refused), (connected.len(), 8 - connected.len()));
}

#[test]
fn a_wish_that_is_given_up_is_forgotten() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let target = listener.local_addr().unwrap();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let source = "192.0.0.2:4000".parse().unwrap();
    (0..8).for_each(|flow| peer.tell(&ToDialer::Open { flow, protocol: Protocol::Tcp, source, target }));
    (0..8).for_each(|flow| peer.tell(&ToDialer::Closed { flow, sent: 0, received: 0, end: End::Reset }));
    std::thread::sleep(Duration::from_millis(300));
    while peer.hear_within(0).is_some() {}
    assert_eq!(peer.order(&Order::Policy(Policy::default()), None), Report::Policy { cut: 0 });
    let summary = peer.end();
    assert_eq!(summary.allowed + summary.failed, 8, "{summary:?}");
}

#[test]
fn the_end_counts_what_lives_and_says_so_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &[]));
    let _socket = peer.is_connected(1, Protocol::Tcp, &target);
    peer.tell(&ToDialer::Counted { flow: 1, sent: 10, received: 20 });
    let summary = peer.end();
    assert_eq!((summary.sent, summary.received), (10, 20));
    assert_eq!(peer.log().last().map(|line| (line.event, line.sent)), Some((Happening::Closed, Some(10))));
}

#[test]
fn a_packet_process_that_does_not_stop_is_not_waited_for_longer_than_a_second() {
    let mut peer = Peer::of(Policy::default());
    let since = Instant::now();
    assert!(matches!(peer.order(&Order::End, None), Report::Ended(_)));
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
    peer.dialer.take().unwrap().join().unwrap().unwrap();
}

#[test]
fn the_end_of_the_packet_process_ends_the_dialer_which_tells_the_supervisor() {
    let mut peer = Peer::of(Policy::default());
    let (_, other) = pair();
    drop(std::mem::replace(&mut peer.packet, Channel::new(other)));
    assert!(matches!(peer.report(), Report::Ended(_)));
    peer.dialer.take().unwrap().join().unwrap().unwrap();
}

#[test]
fn the_end_of_the_supervisor_ends_the_dialer_and_so_the_packet_process() {
    let mut peer = Peer::of(Policy::default());
    let (_, other) = pair();
    drop(std::mem::replace(&mut peer.supervisor, Channel::new(other)));
    peer.dialer.take().unwrap().join().unwrap().unwrap();
    assert!(matches!(peer.packet.receive::<ToPacket>(&mut [0; 99]).unwrap(), Received::End));
}

#[test]
fn a_message_that_is_none_ends_the_dialer() {
    for bytes in [&[0xff_u8; 40][..], &[0], &vec![7; wire::LONGEST + 1]] {
        let mut peer = Peer::of(Policy::default());
        crate::sys::net::send_packet(peer.packet.as_fd(), bytes, None).unwrap();
        let ended = peer.dialer.take().unwrap().join().unwrap();
        assert!(ended.is_err(), "{}", bytes.len());
    }
}

#[test]
fn what_a_connection_names_is_written_down_and_looked_at_once_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut peer = Peer::of(policy(&["127.0.0.1"], &["evil.example"]));
    let _socket = peer.is_connected(1, Protocol::Tcp, &target);
    peer.tell(&ToDialer::Named { flow: 1, name: Some("Good.Example".to_owned()), accepted: true });
    peer.tell(&ToDialer::Named { flow: 1, name: Some("bad\0name".to_owned()), accepted: false });
    peer.tell(&ToDialer::Closed { flow: 1, sent: 0, received: 0, end: End::Refused });
    let summary = peer.end();
    assert_eq!(summary.refused, 1);
    let log = peer.log();
    assert_eq!(log.last().unwrap().name.as_deref(), Some("good.example"));
    assert!(log.iter().all(|line| line.name.as_deref().is_none_or(|name| !name.contains('\0'))));
}

#[test]
fn the_log_is_bounded_and_its_newer_half_stays() {
    let directory = directory();
    let setup = Setup { log_limit: 8192, ..Setup::default() };
    let mut peer = Peer::with(setup, directory);
    for flow in 0..500 {
        peer.is_refused(flow, Protocol::Tcp, "93.184.216.34:80", Refusal::Prohibited);
        assert!(std::fs::metadata(peer.directory.join("log")).unwrap().len() <= 8192);
    }
    let summary = peer.end();
    let log = peer.log();
    assert!(log.len() > 5 && log.last().unwrap().flow == Some(499), "{log:?}");
    assert!(log.windows(2).all(|pair| pair[0].flow < pair[1].flow));
    assert_eq!(summary.dropped_lines + log.len() as u64, 500);
    assert_eq!((summary.targets.len(), summary.targets[0].times), (1, 500));
}

#[test]
fn distinct_refused_targets_are_bounded() {
    let mut peer = Peer::of(Policy::default());
    for flow in 0..200 {
        peer.is_refused(flow, Protocol::Tcp, &format!("93.184.216.34:{}", flow + 100), Refusal::Prohibited);
    }
    let summary = peer.end();
    assert_eq!((summary.targets.len(), summary.more_targets, summary.refused), (64, 136, 200));
}
