//! Which addresses are reached: those that are allowed, and no other, however they are written, carried or approached.

use crate::common::{is_root, stdout};
use crate::world::{answers, has_seen, has_tun, host, python, python_result, shell};

const BANNER: &str = "SSH-2.0-test";

/// Every address that leads to this machine, to its neighbours or to whoever runs it, and to which somebody listens here.
const SPECIAL: &[&str] = &[
    "10.30.0.1",
    "10.20.0.1",
    "10.20.0.254",
    "172.16.5.1",
    "192.168.5.1",
    "169.254.169.254",
    "169.254.7.7",
    "100.64.0.1",
    "100.100.100.200",
    "198.18.0.1",
    "168.63.129.16",
    "192.0.2.7",
    "198.51.100.7",
    "203.0.113.7",
    "192.31.196.1",
    "2620:4f:8000:1::1",
    "2001:db8::5",
    "3fff::5",
    "2001:2::5",
    "fd00:5::1",
    "fd00:ec2::254",
    "fec0::5",
    "64:ff9b:1::5",
    "64:ff9b::a1e:1",
    "2002:a1e:1::1",
    "2001:0:c034:c101::f5e1:fffe",
    "::a1e:1",
    "::ffff:10.30.0.1",
];

/// The expression `tcp(ADDRESS, 22)` for each, and what all must answer.
fn all_answer(addresses: &[&str], answer: &'static str) -> Vec<(String, &'static str)> {
    addresses.iter().map(|address| (format!("quick(tcp, '{address}', 22)"), answer)).collect()
}

fn borrowed<'a>(calls: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    calls.iter().map(|(call, answer)| (call.as_str(), *answer)).collect()
}

#[test]
fn the_tests_own_network_has_somebody_at_every_special_address() {
    for address in SPECIAL {
        let url = if address.contains(':') { format!("http://[{address}]/") } else { format!("http://{address}/") };
        let said = host("curl", &["-sgm", "4", &url]);
        assert!(said.contains("GET /"), "nobody is at {address}: {said:?}");
    }
}

#[test]
fn an_allowed_address_and_port_is_reached_and_nothing_else_of_it() {
    let options = ["--allow", "192.52.193.1:22", "--allow", "[2620:4f:8000:2::1]:22"];
    answers(
        &options,
        &[
            ("tcp('192.52.193.1', 22)", BANNER),
            ("tcp('2620:4f:8000:2::1', 22)", BANNER),
            ("tcp('::ffff:192.52.193.1', 22)", BANNER),
            ("quick(tcp, '192.52.193.1', 80)", "ECONNREFUSED"),
            ("quick(tcp, '192.52.193.1', 23)", "ECONNREFUSED"),
            ("quick(tcp, '192.52.193.2', 22)", "ECONNREFUSED"),
            ("quick(tcp, '2620:4f:8000:2::2', 22)", "ECONNREFUSED"),
            ("quick(udp, '192.52.193.2', 7)", "EHOSTUNREACH"),
            ("quick(udp, '2620:4f:8000:2::2', 7)", "EACCES"),
        ],
    );
    assert!(!has_seen(&["tcp 192.52.193.1 23"]));
}

#[test]
fn open_reaches_public_addresses_and_no_special_one() {
    let mut calls = all_answer(&["192.52.193.1", "192.52.193.2", "2620:4f:8000:2::1"], BANNER);
    calls.extend(all_answer(SPECIAL, "ECONNREFUSED"));
    calls.extend(all_answer(&["192.0.0.1", "fd62:6a61:7200::1"], "ECONNREFUSED"));
    calls.extend(all_answer(&["224.0.0.1", "255.255.255.255"], "ENETUNREACH"));
    answers(&["--net", "open"], &borrowed(&calls));
}

#[test]
fn open_sends_no_datagram_and_no_echo_request_to_a_special_address() {
    let calls: Vec<(String, &str)> = SPECIAL
        .iter()
        .filter(|address| !address.starts_with("::ffff"))
        .map(|address| {
            let call = format!("quick(udp, '{address}', 7, b'special-datagram')");
            (call, if address.contains(':') { "EACCES" } else { "EHOSTUNREACH" })
        })
        .collect();
    answers(&["--net", "open"], &borrowed(&calls));
    assert!(!has_seen(&["special-datagram"]));
}

#[test]
fn the_hosts_loopback_is_its_own_and_the_sandboxs_is_the_sandboxs() {
    let calls = all_answer(&["127.0.0.1", "127.0.0.2", "::1", "192.0.0.2", "0.0.0.0", "::"], "ECONNREFUSED");
    for options in [&["--net", "open"][..], &["--allow", "0.0.0.0/0", "--allow", "::/0"], &["--allow", "192.52.193.1"]]
    {
        answers(options, &borrowed(&calls));
    }
}

#[test]
fn a_wide_rule_means_no_special_address_and_a_narrow_one_does() {
    let wide = ["--allow", "0.0.0.0/0", "--allow", "::/0"];
    let mut calls = all_answer(&["192.52.193.2", "2620:4f:8000:2::2"], BANNER);
    calls.extend(all_answer(SPECIAL, "ECONNREFUSED"));
    answers(&wide, &borrowed(&calls));
    let narrow = ["--allow", "10.30.0.0/16:22", "--allow", "169.254.169.254:22", "--allow", "fd00:5::/32"];
    answers(
        &narrow,
        &[
            ("tcp('10.30.0.1', 22)", BANNER),
            ("tcp('::ffff:10.30.0.1', 22)", BANNER),
            ("tcp('169.254.169.254', 22)", BANNER),
            ("tcp('fd00:5::1', 22)", BANNER),
            ("tcp('10.20.0.254', 22)", "ECONNREFUSED"),
            ("tcp('64:ff9b::a1e:1', 22)", "ECONNREFUSED"),
            ("tcp('169.254.7.7', 22)", "ECONNREFUSED"),
            ("tcp('fd00:ec2::254', 22)", "ECONNREFUSED"),
        ],
    );
}

#[test]
fn deny_beats_allow_and_an_empty_policy_reaches_nothing() {
    let options = ["--allow", "192.52.193.0/24", "--deny", "192.52.193.2", "--deny", "tcp://192.52.193.1:22"];
    answers(
        &options,
        &[
            ("tcp('192.52.193.3', 22)", BANNER),
            ("tcp('192.52.193.2', 22)", "ECONNREFUSED"),
            ("tcp('::ffff:192.52.193.2', 22)", "ECONNREFUSED"),
            ("tcp('192.52.193.1', 22)", "ECONNREFUSED"),
            ("udp('192.52.193.1', 7)", "ping"),
            ("udp('192.52.193.2', 7)", "EHOSTUNREACH"),
        ],
    );
    let nothing = [("tcp('192.52.193.1', 22)", "ECONNREFUSED"), ("look('allowed.example')", "unknown")];
    answers(&["--net", "only"], &nothing);
    answers(&["--net", "open", "--deny", "0.0.0.0/0", "--deny", "::/0", "--deny", "allowed.example"], &nothing);
}

#[test]
fn a_port_of_the_host_is_reached_by_its_name_and_no_other_port() {
    answers(
        &["--allow", "host:8080"],
        &[
            ("http('host.belljar.internal', 'x', port=8080)", "host GET / x"),
            ("http('192.0.0.1', 'x', port=8080)", "host GET / x"),
            ("quick(tcp, '192.0.0.1', 22)", "ECONNREFUSED"),
            ("quick(tcp, '127.0.0.1', 8080)", "ECONNREFUSED"),
            ("quick(tcp, '192.31.196.1', 8080)", "ECONNREFUSED"),
        ],
    );
}

#[test]
fn odd_literals_are_what_the_kernel_makes_of_them_and_no_way_round() {
    let odd = ["0x0a1e0001", "169344001", "012.036.0.1", "10.30.1", "2852039166", "0xa9fea9fe", "127.1", "0"];
    let mut calls = all_answer(&odd, "ECONNREFUSED");
    calls.push(("tcp('3224682753', 22)".to_owned(), BANNER));
    answers(&["--net", "open"], &borrowed(&calls));
}

#[test]
fn sockets_that_go_below_ip_cannot_be_made_and_others_lead_nowhere() {
    let text = "
def made(*kind):
    try: socket.socket(*kind).close(); return 'made'
    except OSError as error: return 'not made'
raw = [(socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_RAW, 255), (socket.AF_INET6, socket.SOCK_RAW, 58), (17, 3, 0x300), (17, 2, 3),
       (40, 1, 0), (38, 5, 0), (15, 3, 2), (16, 3, 12), (16, 3, 9), (44, 3, 0), (2, 1, 262), (2, 5, 132), (2, 2, 136), (2, 6, 33), (2, 2, 115)]
print([kind for kind in raw if made(*kind) == 'made'])
for words in ['ip route add 10.30.0.0/16 via 192.0.0.3', 'ip addr add 10.30.0.2/16 dev eth0', 'ip link set eth0 down', 'ip link add v type veth',
              'ip route del default', 'nft list ruleset', 'ip netns add x']:
    done = subprocess.run(words, shell=True, capture_output=True)
    if done.returncode == 0: print(words, 'worked')
for name in ['ipv4/ip_forward', 'ipv4/conf/all/route_localnet', 'ipv6/conf/all/disable_ipv6', 'ipv4/ip_nonlocal_bind']:
    try: open('/proc/sys/net/' + name, 'w').write('1'); print(name, 'written')
    except OSError: pass
print(tcp('192.52.193.1', 22))
";
    for options in [&["--net", "open"][..], &["--net", "open", "--user", "0"]] {
        assert_eq!(python(options, text), format!("[]\n{BANNER}\n"), "{options:?}");
    }
}

#[test]
fn no_other_source_address_can_be_had() {
    let text = "
@guarded
def from_there(family, address, to):
    with socket.socket(family, socket.SOCK_STREAM) as peer:
        peer.settimeout(3)
        try: peer.setsockopt(socket.SOL_IP, 19, 1)
        except OSError: pass
        peer.bind((address, 0))
        peer.connect((to, 22))
        return peer.recv(100).decode().strip()
print(from_there(socket.AF_INET, '10.30.0.9', '192.52.193.1'))
print(from_there(socket.AF_INET6, '2620:4f:8000:2::2', '2620:4f:8000:2::1'))
print(from_there(socket.AF_INET, '127.0.0.1', '192.52.193.1') != 'SSH-2.0-test')
print(from_there(socket.AF_INET, '192.0.0.2', '192.52.193.1'))
";
    assert_eq!(python(&["--net", "open"], text), format!("EADDRNOTAVAIL\nEADDRNOTAVAIL\nTrue\n{BANNER}\n"));
}

#[test]
fn a_socket_that_was_connected_once_leads_nowhere_else() {
    let text = "
@guarded
def again(then):
    peer = socket.create_connection(('192.52.193.1', 22), 3)
    libc.connect(peer.fileno(), struct.pack('=H14s', 0, b''), 16)
    return then(peer)
def listen(peer):
    peer.bind(('', 8022)); peer.listen()
    return 'listens here'
def elsewhere(peer):
    peer.connect(('192.52.193.2', 22))
    return peer.recv(100)
def fast(peer):
    peer.settimeout(None)
    peer.sendto(b'fast-open-data', 0x20000000, ('192.52.193.2', 22))
    return peer.recv(100)
def straight(peer):
    new = socket.socket()
    new.sendto(b'fast-open-data', 0x20000000, ('192.52.193.2', 22))
    return new.recv(100)
import ctypes
libc = ctypes.CDLL(None)
for then in (listen, elsewhere, fast, straight): print(again(then))
";
    let said = python(&["--allow", "192.52.193.1:22"], text);
    assert_eq!(said, "listens here\nECONNREFUSED\nECONNREFUSED\nECONNREFUSED\n");
    assert!(!has_seen(&["fast-open-data"]));
    assert_eq!(host("sh", &["-c", "echo | timeout 2 nc -w 1 192.31.196.1 8022"]), "");
}

#[test]
fn an_unconnected_socket_sends_each_datagram_only_where_it_may() {
    let text = "
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(2)
for address in ['192.52.193.2', '10.30.0.1', '192.52.193.1', '169.254.169.254']:
    try: one.sendto(b'only-there ' + address.encode(), (address, 7))
    except OSError: pass
while True:
    try: print(one.recvfrom(100)); break
    except TimeoutError: print('silence'); break
    except OSError: pass
";
    let said = python(&["--allow", "udp://192.52.193.1:7"], text);
    assert_eq!(said, "(b'only-there 192.52.193.1', ('192.52.193.1', 7))\n");
    let there: Vec<String> =
        crate::world::seen().lines().filter(|line| line.contains("only-there")).map(str::to_owned).collect();
    assert_eq!(there, ["udp 192.52.193.1 7 b'only-there 192.52.193.1'"]);
}

#[test]
fn fragments_and_options_of_ip_arrive_nowhere() {
    let text = "
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(1)
IP_MTU_DISCOVER, DONT = 10, 0
peer.setsockopt(socket.SOL_IP, IP_MTU_DISCOVER, DONT)
peer.connect(('192.52.193.1', 7))
for size in (100, 60000):
    peer.send(b'whole' * (size // 5))
    print(len(peer.recv(65536)))
@guarded
def send(peer, data):
    peer.send(data); return len(peer.recv(65536))
print(send(peer, b'in-fragments' + bytes(65495)))
# To 192.52.193.1, and on from there (loose source routing, RFC 791).
IP_OPTIONS, LOOSE = 4, 131
@guarded
def route(address):
    routed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); routed.settimeout(1)
    routed.setsockopt(socket.SOL_IP, IP_OPTIONS, bytes([LOOSE, 7, 4]) + socket.inet_aton('192.52.193.1') + b'\\0')
    routed.connect((address, 7)); routed.send(b'with-options')
for address in ('10.30.0.1', '192.52.193.2', '192.52.193.1'): route(address)
";
    assert_eq!(python(&["--allow", "udp://192.52.193.1:7"], text), "100\n60000\nsilence\n");
    assert!(!has_seen(&["in-fragments"]) && !has_seen(&["with-options"]));
}

#[test]
fn what_a_sandbox_has_of_a_device_is_said() {
    let device = if has_tun() { "tun device" } else { "veth pair" };
    eprintln!("as {}: tested on a {device}", if is_root() { "root" } else { "an ordinary user" });
    let result = shell(&["--allow", "192.52.193.1"], "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' ' | sort");
    let others = "eth0\nlo\n";
    assert_eq!(stdout(&result), others);
    let said = result["enforcement"]["network"].to_string();
    assert!(said.contains(device) && said.contains("addresses and ports"), "{said}");
    assert!(!said.contains("names"), "{said}");
}

#[test]
fn echo_requests_go_only_where_they_may() {
    let text = "
@guarded
def ping(address):
    six = ':' in address
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM, 58 if six else 1) as peer:
        peer.settimeout(2); peer.connect((address, 0))
        peer.send(struct.pack('!BBHHH', 128 if six else 8, 0, 0, 1, 9) + b'data')
        found = peer.recv(100)
        return found[0], found[-4:]
for address in ['192.52.193.1', '2620:4f:8000:2::1', '192.52.193.2', '10.30.0.1', '192.0.0.1']: print(ping(address))
";
    let result = python_result(&["--allow", "192.52.193.1", "--allow", "icmp://2620:4f:8000:2::1"], text);
    assert_eq!(stdout(&result), "(0, b'data')\n(129, b'data')\nEHOSTUNREACH\nEHOSTUNREACH\nEHOSTUNREACH\n", "{result}");
}

#[test]
fn both_devices_serve_root_and_everybody_else_alike() {
    if !is_root() {
        // Whoever is no user 0 makes no device, and the other tests have said which one it is that they were given.
        return eprintln!("only root can give everybody a tun device, or take its own away");
    }
    let scratch = crate::common::Scratch::new("devices");
    let binary = scratch.0.join("belljar");
    crate::common::copy_program(crate::common::belljar(), &binary);
    let ask = crate::world::code(
        "print(tcp('192.52.193.1', 22), tcp('192.52.193.2', 22), tcp('10.30.0.1', 22), tcp('2620:4f:8000:2::1', 22))",
    );
    let program = scratch.file("ask.py", ask);
    let run = format!(
        "env BELLJAR_HOME=/nonexistent BELLJAR_CGROUP_PARENT=none {} run --allow 192.52.193.1 --allow 2620:4f:8000:2::1 --mount {}:/ask.py --json -- python3 /ask.py",
        binary.display(),
        program.display()
    );
    let user = "setpriv --reuid 4242 --regid 4242 --clear-groups";
    let everybody = "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200";
    for (prepare, who, device) in [
        (everybody, user, "tun device"),
        ("true", user, "veth pair"),
        ("mount -t tmpfs none /dev/net", "", "veth pair"),
        (everybody, "", "tun device"),
    ] {
        if device == "veth pair"
            && who == user
            && !std::fs::metadata("/dev/net/tun")
                .is_ok_and(|found| std::os::unix::fs::MetadataExt::mode(&found) & 6 == 0)
        {
            continue;
        }
        let said = host("unshare", &["--mount", "sh", "-c", &format!("cd / && {prepare} && exec {who} {run}")]);
        let result: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(stdout(&result), format!("{BANNER} ECONNREFUSED ECONNREFUSED {BANNER}\n"), "{result}");
        assert!(result["enforcement"]["network"].to_string().contains(device), "{device}, {who:?}: {result}");
    }
}
