//! What works: streams in every shape, datagrams, and the protocols above them.

use crate::common::stdout;
use crate::world::{ALL, answers, python, python_result};

#[test]
fn a_hundred_megabytes_go_up_and_come_down_whole() {
    let text = "
piece = bytes(range(256)) * 256
for address in ('192.52.193.1', '2620:4f:8000:2::1'):
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
for address in ('192.52.193.1', '2620:4f:8000:2::1'):
    with socket.create_connection((address, 7), 5) as peer:
        peer.sendall(b'to the end'); peer.shutdown(socket.SHUT_WR); print(everything(peer))
    with socket.create_connection((address, 6001), 5) as peer:
        print(everything(peer)); peer.sendall(b'after-its-end ' + address.encode())
";
    assert_eq!(python(ALL, text), "b'to the end'\nb'first\\n'\n".repeat(2));
    let arrived = |address| crate::world::has_seen(&["half", "after-its-end", address]);
    assert!(crate::common::eventually(3, || arrived("192.52.193.1") && arrived("2620:4f:8000:2::1")));
}

#[test]
fn resets_come_through_in_both_directions() {
    let text = "
for address in ('192.52.193.1', '2620:4f:8000:2::1'): print(tcp(address, 6000, b'x'))
with socket.create_connection(('192.52.193.1', 7), 5) as peer:
    peer.sendall(b'reset-from-inside'); peer.recv(100)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
print(quick(tcp, '192.52.193.1', 1), quick(tcp, '2620:4f:8000:2::1', 1))
";
    assert_eq!(python(ALL, text), "ECONNRESET\nECONNRESET\nECONNREFUSED ECONNREFUSED\n");
    assert!(crate::common::eventually(3, || crate::world::has_seen(&["error 192.52.193.1 7", "ConnectionReset"])));
}

#[test]
fn who_reads_late_or_slowly_or_not_at_all_keeps_nobody_else_waiting() {
    let text = "
stalled = []
for _ in range(40):
    peer = socket.create_connection(('192.52.193.1', 19), 5); peer.sendall(b'100000000\\n'); stalled.append(peer)
late = socket.create_connection(('192.52.193.1', 6002), 10)
start = time.monotonic(); late.sendall(bytes(8 << 20)); late.shutdown(socket.SHUT_WR)
print(everything(late).split()[0], 'after a while' if time.monotonic() - start > .9 else 'at once')
slow = socket.create_connection(('192.52.193.1', 6003), 5); print(everything(slow) == b''.join(b'%d\\n' % number for number in range(10)))
reader = socket.create_connection(('192.52.193.1', 19), 5); reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); reader.sendall(b'300000\\n')
count = 0
while data := reader.recv(997): count += len(data); time.sleep(.0005)
print(count)
print(quick(tcp, '192.52.193.1', 22))
";
    let result = python_result(ALL, text);
    assert_eq!(stdout(&result), "b'8388608' after a while\nTrue\n300000\nSSH-2.0-test\n", "{result}");
}

#[test]
fn datagrams_of_every_length_come_back() {
    let text = "
for address in ('192.52.193.1', '2620:4f:8000:2::1'):
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
    peer = socket.socket(); peer.setblocking(False); peer.connect_ex(('192.52.193.1', 7)); peers.append(peer)
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

#[test]
fn a_dead_target_is_told_as_dead_and_not_as_refused() {
    let result = python_result(
        &["--allow", "192.52.193.0/24"],
        "print(tcp('192.52.193.200', 22, timeout=1)); print(quick(tcp, '192.52.193.1', 2))",
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
