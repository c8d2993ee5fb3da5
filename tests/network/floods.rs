//! Too much of everything: what is bounded stays bounded, others go on, and nothing is left when it is over.

use crate::common::{Started, scale, stdout};
use crate::world::{code, python_result, released_command, servers};
use nix::unistd::Pid;

/// The most descriptors that there were at once, as the kernel rounds them up, and KiB that are resident and nobody else's. Nobody may look
/// at the descriptors themselves.
fn burden(pid: Pid) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
    let line = |key: &str| {
        status.lines().find_map(|line| line.strip_prefix(key)).expect("a line").trim().trim_end_matches(" kB")
    };
    (line("FDSize:").parse().expect("a number"), line("RssAnon:").parse().expect("a number"))
}

/// Lets `text` run, and looks at both processes whenever it says a line that begins with `look`.
fn watched(options: &[&str], text: &str) -> (Vec<[(u64, u64); 2]>, String) {
    let text = code(&format!("def see():\n    print('look', flush=True); time.sleep(.5)\n{text}"));
    let mut run = Started::new(&mut released_command(
        &[&["run", "--timeout", "1800s"], options, &["--", "python3", "-c", &text]].concat(),
    ));
    let (mut burdens, mut said) = (Vec::new(), String::new());
    loop {
        match run.first_line().as_str() {
            "" => break,
            "look" => {
                let found = servers(run.pid());
                assert_eq!(found.len(), 2, "a packet process and a dialer");
                // What has just ended is closed a moment later.
                std::thread::sleep(std::time::Duration::from_millis(200));
                burdens.push([burden(found[0]), burden(found[1])]);
            }
            line => said += &format!("{line}\n"),
        }
    }
    let run = run.finish();
    assert_eq!(run.code, Some(0), "{said}{run:?}");
    eprintln!("descriptors and KiB of both processes: {burdens:?}");
    (burdens, said)
}

#[test]
fn short_connections_leave_nothing_behind() {
    let count = scale::scaled_from(2000, 100_000);
    let text = format!(
        "
targets = [(f'192.52.193.{{number}}', port) for number in (1, 2, 3, 4) for port in (7, 22, 6000)]
failed = 0
def rounds(count):
    global failed
    for number in range(count):
        try:
            with socket.create_connection(targets[number % 12], 9) as peer: peer.sendall(b'x'); peer.recv(100)
        except ConnectionResetError: failed += number % 3 != 2
rounds(500); see(); rounds({count}); see(); print(failed)
"
    );
    let (burdens, said) = watched(&["--allow", "192.52.193.0/24"], &text);
    assert_eq!(said, "0\n");
    let [before, after] = burdens[..] else { panic!("{burdens:?}") };
    for (before, after) in before.iter().zip(after) {
        assert!(after.0 <= before.0, "descriptors before and after {count} connections: {burdens:?}");
        assert!(after.1 <= before.1 + 1024, "KiB before and after {count} connections: {burdens:?}");
    }
}

#[test]
fn half_open_connections_are_bounded_and_keep_nobody_out() {
    let text = "
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
see()
peers = []
for number in range(3000):
    peer = socket.socket(); peer.setblocking(False); peer.connect_ex((f'192.52.193.{200 + number % 40}', 1 + number)); peers.append(peer)
see()
print(quick(tcp, '192.52.193.1', 22), quick(tcp, '192.52.193.2', 22))
for peer in peers: peer.close()
print(quick(tcp, '192.52.193.1', 22))
";
    let (burdens, said) = watched(&["--allow", "192.52.193.0/24"], text);
    assert_eq!(said, "SSH-2.0-test SSH-2.0-test\nSSH-2.0-test\n", "{burdens:?}");
    let [_, [packet, dialer]] = burdens[..] else { panic!("{burdens:?}") };
    assert!(dialer.0 <= 2048 && packet.0 <= 128 && packet.1 < 8192 && dialer.1 < 8192, "{burdens:?}");
}

#[test]
fn questions_that_nobody_answers_are_bounded_and_keep_no_other_waiting() {
    let text = "
see()
peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
for number in range(2000):
    peers[number % 50].sendto(question(f'silent{number}.wild.example', number=number), ('192.0.0.1', 53))
    if number % 100 == 99: time.sleep(.01)
see()
print(quick(look, 'allowed.example'), quick(look, 'four.example'))
";
    let (burdens, said) = watched(&["--allow", "*.wild.example", "--allow", "*.example"], text);
    assert_eq!(said, "192.52.193.1 192.52.193.1\n", "{burdens:?}");
    let [_, [packet, dialer]] = burdens[..] else { panic!("{burdens:?}") };
    assert!(dialer.0 <= 1024 && packet.0 <= 128 && packet.1 < 8192 && dialer.1 < 8192, "{burdens:?}");
}

#[test]
fn flows_of_datagrams_are_bounded_and_the_newest_refused_at_once() {
    let text = "
see()
peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
for peer in peers: peer.setblocking(False)
def send(peer, to):
    try: peer.sendto(b'x', to)
    except OSError: pass
for port in range(100, 200):
    for peer in peers: send(peer, ('192.52.193.1', port))
see()
print(quick(tcp, '192.52.193.1', 22), quick(udp, '192.52.193.1', 7))
";
    let (burdens, said) = watched(&["--allow", "192.52.193.1", "--net-connections", "300"], text);
    // There is no room until they are idle for a while.
    assert_eq!(said, "ECONNREFUSED EHOSTUNREACH\n", "{burdens:?}");
    let [_, [packet, dialer]] = burdens[..] else { panic!("{burdens:?}") };
    assert!(packet.0 <= 512 && dialer.0 <= 128 && packet.1 < 8192 && dialer.1 < 8192, "{burdens:?}");
}

#[test]
fn uploads_that_nobody_reads_share_one_bounded_memory() {
    let text = "
see()
peers = []
for number in range(100):
    peer = socket.create_connection(('192.52.193.1', 6004), 5); peer.setblocking(False); peers.append(peer)
sent = 0
for _ in range(100):
    for peer in peers:
        try: sent += peer.send(bytes(1 << 16))
        except OSError: pass
    time.sleep(.01)
see()
print(sent < 100 << 20 or sent)
print(quick(tcp, '192.52.193.1', 22))
@guarded
def upload():
    with socket.create_connection(('192.52.193.1', 9), 9) as peer:
        peer.sendall(bytes(3000000)); peer.shutdown(socket.SHUT_WR); return everything(peer).split()[0].decode()
print(quick(upload))
print(quick(http, 'other.example', 'other.example'), quick(tls, 'other.example', 'other.example'))
";
    let (burdens, said) = watched(&["--allow", "192.52.193.1", "--allow", "other.example"], text);
    let others = "SSH-2.0-test\n3000000\noutside GET / other.example outside GET / other.example\n";
    assert_eq!(said, format!("True\n{others}"), "others go on as if nothing were");
    let [_, [packet, dialer]] = burdens[..] else { panic!("{burdens:?}") };
    assert!(packet.1 < 12_288 && dialer.1 < 8192, "{burdens:?}");
}

#[test]
fn what_is_refused_over_and_over_fills_neither_the_log_nor_the_list() {
    let text = "
for number in range(4000):
    peer = socket.socket(); peer.setblocking(False); peer.connect_ex(('192.52.193.2', 1 + number)); peer.close()
time.sleep(1)
print(quick(tcp, '192.52.193.1', 22))
";
    let result = python_result(&["--allow", "192.52.193.1"], text);
    assert_eq!(stdout(&result), "SSH-2.0-test\n", "{result}");
    let network = &result["network"];
    assert!(network["targets"].as_array().is_some_and(|list| list.len() == 64), "{network}");
    assert!(network["connections"].as_array().is_some_and(|list| list.len() <= 1000), "{network}");
    let refused = network["refused"].as_u64().expect("a number");
    assert_eq!(network["more_targets"], refused - 64, "{network}");
    assert!(refused > 500, "{refused}");
}
