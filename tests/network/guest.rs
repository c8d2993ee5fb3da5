//! A network in the guests of `tests/vm`, where there are other kernels, and devices that are missing: with nothing but belljar, the
//! guest's Python and its loopback.
//!
//! Outside of a guest these run too, on the machine's own loopback and with whatever device it has.

use crate::common::{self, Run, Started, call, result, stdout};
use crate::world::{self, servers};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// Servers on the loopback, on two ports in a row: an echo, and a source of as many bytes as a line says.
fn serve() -> u16 {
    let pair = || {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("its address").port();
        Some((port, first, TcpListener::bind(("127.0.0.1", port.checked_add(1)?)).ok()?))
    };
    let (port, echoes, sources) = (0..100).find_map(|_| pair()).expect("two ports in a row");
    for (listener, work) in [(echoes, echo as fn(TcpStream)), (sources, source)] {
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|peer| drop(std::thread::spawn(move || work(peer))))
        });
    }
    port
}

/// Not every kernel of a guest speaks it.
fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6").exists()
}

fn echo(mut peer: TcpStream) {
    let mut other = peer.try_clone().expect("a copy");
    let _ = std::io::copy(&mut peer, &mut other);
    let _ = other.shutdown(std::net::Shutdown::Write);
}

fn source(mut peer: TcpStream) {
    let mut line = String::new();
    let _ = BufReader::new(&peer).read_line(&mut line);
    let _ = peer.write_all(&vec![b'x'; line.trim().parse().expect("a number")]);
}

/// `belljar code python OPTIONS`, on the machine itself.
fn python(options: &[&str], text: &str) -> Value {
    let text = world::code(text);
    result(&call([&["code", "python", "--json", "--timeout", "100s"], options, &["-e", &text]].concat()))
}

/// The guest whose kernel has neither device.
fn has_no_device() -> bool {
    std::env::var("BELLJAR_GUEST").is_ok_and(|guest| guest == "no-device")
}

#[test]
fn a_port_of_the_host_is_reached_and_bytes_are_whole_in_both_directions() {
    if has_no_device() {
        return no_device_is_an_error_that_names_the_cure();
    }
    let port = serve();
    let six = if has_ipv6() { ", 'fd62:6a61:7200::1'" } else { "" };
    let addresses = format!("['host.belljar.internal', '192.0.0.1'{six}]");
    let count = if has_ipv6() { 3 } else { 2 };
    let text = format!(
        "
data = os.urandom(3_000_000)
for address in {addresses}:
    with socket.create_connection((address, {port}), 9) as peer:
        sender = threading.Thread(target=lambda: (peer.sendall(data), peer.shutdown(socket.SHUT_WR))); sender.start()
        print(everything(peer) == data); sender.join()
    with socket.create_connection((address, {port} + 1), 9) as peer:
        peer.sendall(b'4000000\\n'); print(len(everything(peer)))
print(sum(tcp('192.0.0.1', {port}, b'x') == 'x' for _ in range(50)))
"
    );
    let rules = [port, port + 1].map(|port| format!("--allow=host:{port}"));
    let told = python(&[&rules[0], &rules[1]], &text);
    assert_eq!(stdout(&told), format!("{}50\n", "True\n4000000\n".repeat(count)), "{told}");
    assert_eq!(told["network"]["allowed"], 50 + 2 * count, "{told}");
}

#[test]
fn what_is_not_allowed_is_refused_at_once_and_named() {
    if has_no_device() {
        return no_device_is_an_error_that_names_the_cure();
    }
    let text = "
print(quick(tcp, '192.0.0.1', 9), quick(tcp, '10.1.2.3', 80), quick(udp, '10.1.2.3', 9))
print(quick(look, 'example.org'), quick(look, 'host.belljar.internal'), quick(tcp, '127.0.0.1', 9))
";
    let told = python(&["--allow", "host:1"], text);
    let expected = "ECONNREFUSED ECONNREFUSED EHOSTUNREACH\nunknown 192.0.0.1 ECONNREFUSED\n";
    assert_eq!(stdout(&told), expected, "{told}");
    assert_eq!(told["network"]["targets"][0]["hint"], "--allow host:9", "{told}");
    // Without servers of names an allowed one is not found, and nothing hangs.
    let open = call(["run", "--json", "--net", "only", "--", "sh", "-c", "cat /etc/resolv.conf"]);
    assert!(stdout(&result(&open)).contains("nameserver 192.0.0.1"), "{open:?}");
}

#[test]
fn datagrams_and_echo_requests_go_where_they_may() {
    if has_no_device() {
        return no_device_is_an_error_that_names_the_cure();
    }
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = peer.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok((count, from)) = peer.recv_from(&mut bytes) {
            let _ = peer.send_to(&bytes[..count], from);
        }
    });
    let text = format!(
        "print(udp('192.0.0.1', {port}), udp('192.0.0.1', {port}, b'x' * 9000) == 'x' * 9000, quick(udp, '192.0.0.1', 9))"
    );
    let told = python(&["--allow", &format!("udp://host:{port}")], &text);
    assert_eq!(stdout(&told), "ping True EHOSTUNREACH\n", "{told}");
}

/// Where `BELLJAR_GUEST` says which device there is, it is the one.
#[test]
fn doctor_names_the_device_that_a_sandbox_has_or_the_one_that_is_missing() {
    let doctor = result(&call(["doctor", "--json"]));
    let policy = &doctor["host"]["network_policy"];
    if has_no_device() {
        assert_eq!(policy["available"], false, "{policy}");
        return no_device_is_an_error_that_names_the_cure();
    }
    let expected = match std::env::var("BELLJAR_GUEST").as_deref() {
        Ok("no-tun") => "veth pair",
        Ok(_) => "tun device",
        Err(_) if world::has_tun() => "tun device",
        Err(_) => "veth pair",
    };
    assert_eq!(policy["available"], true, "{policy}");
    assert!(policy["device"].as_str().is_some_and(|device| device.contains(expected)), "{policy}");
    let told = result(&call(["run", "--json", "--net", "only", "--", "true"]));
    assert!(told["enforcement"]["network"].to_string().contains(expected), "{told}");
}

fn no_device_is_an_error_that_names_the_cure() {
    let run: Run = call(["run", "--allow", "host:1", "--", "echo", "ran"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""), "{run:?}");
    for word in ["hint: ", "chmod 666 /dev/net/tun", "`veth`", "`--net none` needs none"] {
        assert!(run.stderr.contains(word), "{word}: {run:?}");
    }
    let policy = result(&call(["doctor", "--json"]))["host"]["network_policy"].clone();
    assert!(policy["hint"].as_str().is_some_and(|hint| hint.contains("/dev/net/tun")), "{policy}");
    let without: Run = call(["run", "--", "echo", "ran"]);
    assert_eq!((without.code, without.stdout.as_str()), (Some(0), "ran\n"), "{without:?}");
}

#[test]
fn a_network_that_is_lost_is_unreachable_at_once() {
    if has_no_device() {
        return no_device_is_an_error_that_names_the_cure();
    }
    let text = "print('ready', flush=True); sys.stdin.readline(); time.sleep(1); print(quick(tcp, '192.0.0.1', 9), quick(tcp, '10.1.2.3', 80))";
    let text = world::code(&text.replace("sys.stdin.readline(); time.sleep(1)", "time.sleep(3)"));
    let mut run = Started::new(&mut common::command(["run", "--allow", "host:9", "--", "python3", "-c", &text]));
    assert_eq!(run.first_line(), "ready");
    kill(servers(run.pid())[0], Signal::SIGKILL).expect("kill it");
    let run = run.finish();
    assert!(run.stdout.ends_with("ENETUNREACH ENETUNREACH\n"), "{run:?}");
    assert!(run.stderr.contains("the network was lost"), "{run:?}");
}
