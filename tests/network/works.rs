//! What works: streams in every shape, datagrams, names, and ordinary clients with ordinary servers.

use crate::common::{installed, stdout};
use crate::world::{answers, files, python, python_result, shell};
use std::process::Command;

const ALL: &[&str] = &["--allow", "203.0.113.0/24", "--allow", "2001:db8:2::/64"];

#[test]
fn a_hundred_megabytes_go_up_and_come_down_whole() {
    let text = "
piece = bytes(range(256)) * 256
for address in ('203.0.113.1', '2001:db8:2::1'):
    count, digest = 100 << 20, hashlib.sha256()
    with socket.create_connection((address, 9), 5) as peer:
        for _ in range(count // len(piece)): peer.sendall(piece); digest.update(piece)
        peer.shutdown(socket.SHUT_WR)
        print(everything(peer).decode() == f'{count} {digest.hexdigest()}\\n')
    came, again = 0, hashlib.sha256()
    with socket.create_connection((address, 19), 5) as peer:
        peer.sendall(b'%d\\n' % count)
        while data := peer.recv(1 << 20): came += len(data); again.update(data)
    print(came == count, digest.digest() == again.digest())
";
    let result = python_result(ALL, text);
    assert_eq!(stdout(&result), "True\nTrue True\n".repeat(2), "{result}");
    let count = |what: &str| result["network"][what].as_u64().expect("a number");
    assert_eq!(count("sent"), 2 * ((100 << 20) + 10), "{}", result["network"]);
    assert!(count("received") > 200 << 20, "{}", result["network"]);
}

#[test]
fn each_side_may_finish_first_and_the_other_goes_on() {
    let text = "
for address in ('203.0.113.1', '2001:db8:2::1'):
    with socket.create_connection((address, 7), 5) as peer:
        peer.sendall(b'to the end'); peer.shutdown(socket.SHUT_WR); print(everything(peer))
    with socket.create_connection((address, 6001), 5) as peer:
        print(everything(peer)); peer.sendall(b'after-its-end ' + address.encode())
";
    assert_eq!(python(ALL, text), "b'to the end'\nb'first\\n'\n".repeat(2));
    let arrived = |address| crate::world::has_seen(&["half", "after-its-end", address]);
    assert!(crate::common::eventually(3, || arrived("203.0.113.1") && arrived("2001:db8:2::1")));
}

#[test]
fn resets_come_through_in_both_directions() {
    let text = "
for address in ('203.0.113.1', '2001:db8:2::1'): print(tcp(address, 6000, b'x'))
with socket.create_connection(('203.0.113.1', 7), 5) as peer:
    peer.sendall(b'reset-from-inside'); peer.recv(100)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
print(quick(tcp, '203.0.113.1', 1), quick(tcp, '2001:db8:2::1', 1))
";
    assert_eq!(python(ALL, text), "ECONNRESET\nECONNRESET\nECONNREFUSED ECONNREFUSED\n");
    assert!(crate::common::eventually(3, || crate::world::has_seen(&["error 203.0.113.1 7", "ConnectionReset"])));
}

#[test]
fn who_reads_late_or_slowly_or_not_at_all_keeps_nobody_else_waiting() {
    let text = "
stalled = []
for _ in range(40):
    peer = socket.create_connection(('203.0.113.1', 19), 5); peer.sendall(b'100000000\\n'); stalled.append(peer)
late = socket.create_connection(('203.0.113.1', 6002), 10)
start = time.monotonic(); late.sendall(bytes(8 << 20)); late.shutdown(socket.SHUT_WR)
print(everything(late).split()[0], 'after a while' if time.monotonic() - start > .9 else 'at once')
slow = socket.create_connection(('203.0.113.1', 6003), 5); print(everything(slow) == b''.join(b'%d\\n' % number for number in range(10)))
reader = socket.create_connection(('203.0.113.1', 19), 5); reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); reader.sendall(b'300000\\n')
count = 0
while data := reader.recv(997): count += len(data); time.sleep(.0005)
print(count)
print(quick(tcp, '203.0.113.1', 22))
";
    let result = python_result(ALL, text);
    assert_eq!(stdout(&result), "b'8388608' after a while\nTrue\n300000\nSSH-2.0-test\n", "{result}");
}

#[test]
fn datagrams_of_every_length_come_back() {
    let text = "
for address in ('203.0.113.1', '2001:db8:2::1'):
    with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(3); peer.connect((address, 7))
        for size in (0, 1, 2, 1399, 1472, 9000, 60000):
            data = os.urandom(size); peer.send(data); assert peer.recv(65536) == data, (address, size)
print('all')
";
    assert_eq!(python(ALL, text), "all\n");
}

#[test]
fn a_thousand_connections_at_once_live_together() {
    let text = "
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
peers = []
for number in range(1000):
    peer = socket.socket(); peer.setblocking(False); peer.connect_ex(('203.0.113.1', 7)); peers.append(peer)
start = time.monotonic()
for number, peer in enumerate(peers):
    peer.settimeout(20); select.select([], [peer], [], 20); peer.sendall(b'%d' % number)
print(sum(peer.recv(10) == b'%d' % number for number, peer in enumerate(peers)))
";
    let result = python_result(ALL, text);
    assert_eq!(stdout(&result), "1000\n", "{result}");
    assert_eq!(result["network"]["allowed"], 1000, "{}", result["network"]);
}

#[test]
fn a_web_socket_is_opened_by_its_name_and_carries_anything() {
    let text = "
with socket.create_connection(('allowed.example', 80), 5) as peer:
    peer.sendall(b'GET /chat HTTP/1.1\\r\\nHost: allowed.example\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Key: x\\r\\n\\r\\n')
    head = b''
    while not head.endswith(b'\\r\\n\\r\\n'): head += peer.recv(1)
    print(head.split(b'\\r\\n')[0])
    data = os.urandom(100000); threading.Thread(target=peer.sendall, args=(data,)).start()
    found = b''
    while len(found) < len(data): found += peer.recv(65536)
    print(found == data)
";
    assert_eq!(python(&["--allow", "allowed.example:80"], text), "b'HTTP/1.1 101 Switching Protocols'\nTrue\n");
}

#[test]
fn one_connection_carries_many_requests_and_answers() {
    let text = "
import http.client
def rounds(made):
    total = 0
    for number in range(50):
        made.request('POST', f'/{number}', body=os.urandom(number * 100)); total += len(made.getresponse().read()) > 0
    made.request('GET', '/bytes/1000000'); return total, len(made.getresponse().read())
print(rounds(http.client.HTTPConnection('allowed.example', 80, timeout=5)))
print(rounds(http.client.HTTPSConnection('allowed.example', 443, timeout=5, context=unchecked())))
";
    let result = python_result(&["--allow", "allowed.example"], text);
    assert_eq!(stdout(&result), "(50, 1000000)\n".repeat(2), "{result}");
    assert_eq!(result["network"]["allowed"], 2, "{}", result["network"]);
}

/// Whether a program is there that no test needs: what it would show is shown by others too.
fn has(program: &str) -> bool {
    let there = std::path::Path::new("/usr/bin").join(program).exists();
    if !there {
        eprintln!("not tried, since it is not there: {program}");
    }
    there
}

#[test]
fn programs_that_people_use_find_their_way() {
    let names = &["--allow", "allowed.example"];
    if installed("curl") {
        let script = "curl -sSm 9 http://allowed.example/a && curl -sSkm 9 https://allowed.example/b && curl -sSkm 9 https://allowed.example/bytes/3000000 | wc -c";
        let result = shell(names, script);
        assert_eq!(
            stdout(&result),
            "outside GET /a allowed.example \noutside GET /b allowed.example \n3000000\n",
            "{result}"
        );
    }
    if has("dig") {
        let result = shell(
            names,
            "dig +short allowed.example; dig +short +tcp allowed.example AAAA; dig nowhere.test | grep -c NXDOMAIN",
        );
        assert_eq!(stdout(&result), "203.0.113.1\n2001:db8:2::1\n1\n", "{result}");
    }
    if has("ping") {
        let result = shell(
            ALL,
            "for to in 203.0.113.1 2001:db8:2::1; do ping -c 2 -i 0.2 -W 2 $to | grep -o ' 0% packet loss'; done",
        );
        assert_eq!(stdout(&result), " 0% packet loss\n".repeat(2), "{result}");
    }
}

#[test]
fn git_clones_over_http() {
    if !installed("git") {
        return;
    }
    let tree = files().join("tree.git");
    let script = "git init -q --bare \"$1\" && cd \"$1\" && echo content | git hash-object -w --stdin >b && git update-index --add --cacheinfo 100644,$(cat b),file &&
        git update-ref HEAD $(git -c user.name=a -c user.email=a@b commit-tree -m first $(git write-tree)) && git update-server-info";
    let done = Command::new("sh").args(["-c", script, "sh"]).arg(&tree).output().expect("start sh");
    assert!(done.status.success(), "{done:?}");
    let result = shell(
        &["--allow", "allowed.example:80"],
        "cd /tmp && git clone -q http://allowed.example/files/tree.git && cat tree/file",
    );
    assert_eq!(stdout(&result), "content\n", "{result}");
    let result =
        shell(&["--allow", "other.example:80"], "cd /tmp && git clone -q http://allowed.example/files/tree.git");
    assert_ne!(result["exit_code"], 0, "{result}");
}

#[test]
fn pip_installs_from_an_index_that_is_allowed() {
    let has_pip = Command::new("/usr/bin/python3")
        .args(["-m", "pip", "--version"])
        .output()
        .is_ok_and(|done| done.status.success());
    if !has_pip {
        // pip is no part of what the tests need elsewhere.
        eprintln!("cannot run here: /usr/bin/python3 has no pip");
        return;
    }
    let make = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/tiny-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('tiny.py', 'said = \"installed\"\\n')
    wheel.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    wheel.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n')
";
    let index = files().join("simple/tiny");
    std::fs::create_dir_all(&index).expect("make an index");
    assert!(Command::new("python3").args(["-c", make]).arg(&index).status().expect("start python").success());
    let script = "python3 -m pip install -q --no-input --disable-pip-version-check --target /tmp/t --trusted-host allowed.example \
                  --index-url http://allowed.example/files/simple tiny && PYTHONPATH=/tmp/t python3 -c 'import tiny; print(tiny.said)'";
    let result = shell(&["--allow", "allowed.example:80"], script);
    assert_eq!(stdout(&result), "installed\n", "{result}");
}

#[test]
fn a_dead_target_is_told_as_dead_and_not_as_refused() {
    let result = python_result(
        &["--allow", "203.0.113.0/24"],
        "print(tcp('203.0.113.200', 22, timeout=1)); print(quick(tcp, '203.0.113.1', 2))",
    );
    assert_eq!(stdout(&result), "silence\nECONNREFUSED\n", "{result}");
    assert_eq!(result["network"]["refused"], 0, "{result}");
    assert_eq!(result["network"]["failed"], 2, "{result}");
}

#[test]
fn programs_inside_speak_to_each_other_on_their_own_loopback() {
    answers(
        &["--net", "only"],
        &[(
            "(lambda one: (one.bind(('127.0.0.1', 80)), one.listen(), socket.create_connection(('127.0.0.1', 80)).getpeername())[2])(socket.socket())",
            "('127.0.0.1', 80)",
        )],
    );
}

#[test]
fn large_bodies_pass_the_check_of_names_whole_and_in_both_directions() {
    let text = "
import http.client
data = os.urandom(1 << 20) * 12
digest = hashlib.sha256(data).hexdigest()
def pieces():
    for at in range(0, len(data), 100_003): yield data[at:at + 100_003]
for made in (http.client.HTTPConnection('allowed.example', 80, timeout=9), http.client.HTTPSConnection('allowed.example', 443, timeout=9, context=unchecked())):
    made.request('POST', '/up', body=data); print(digest in made.getresponse().read().decode())
    made.request('POST', '/up', body=pieces()); print(digest in made.getresponse().read().decode())
    made.request('GET', '/bytes/30000000'); print(len(made.getresponse().read()))
";
    let result = python_result(&["--allow", "allowed.example"], text);
    assert_eq!(stdout(&result), "True\nTrue\n30000000\n".repeat(2), "{result}");
}
