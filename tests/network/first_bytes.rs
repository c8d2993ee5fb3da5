//! What a connection says first: on ports 443 and 80 nobody gets through who says another name than the one that led there, none, or two.

use crate::common::stdout;
use crate::world::{answers, has_seen, python, python_result};

#[test]
fn tls_goes_to_the_name_that_led_there_and_to_no_other() {
    answers(
        &["--allow", "allowed.example:443"],
        &[
            ("tls('allowed.example', 'allowed.example')", "outside GET / allowed.example"),
            ("tls('allowed.example', 'ALLOWED.example')", "outside GET / ALLOWED.example"),
            ("tls('192.52.193.1', 'shared.example')", "ECONNRESET"),
            ("tls('192.52.193.1', 'other.example')", "ECONNRESET"),
            ("tls('192.52.193.1', None, 'allowed.example')", "ECONNRESET"),
            ("tls('192.52.193.2', 'allowed.example')", "ECONNREFUSED"),
            ("tcp('192.52.193.1', 443, b'GET / HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n')", "ECONNRESET"),
            ("tcp('192.52.193.1', 443, b'SSH-2.0-x\\r\\n')", "ECONNRESET"),
            ("udp('192.52.193.1', 443)", "EHOSTUNREACH"),
        ],
    );
    assert!(!has_seen(&["http 192.52.193.1", "shared.example", "443"]));
}

#[test]
fn a_hello_in_pieces_is_read_as_a_whole_and_a_lie_in_pieces_is_still_a_lie() {
    let text = "
def hello(name):
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = unchecked().wrap_bio(inside, outside, server_hostname=name)
    try: made.do_handshake()
    except ssl.SSLWantReadError: return outside.read()
def records(bytes, size):
    return b''.join(b'\\x16\\x03\\x01' + struct.pack('!H', len(bytes[at:at + size])) + bytes[at:at + size] for at in range(0, len(bytes), size))
look('allowed.example')
@guarded
def send(data, piece):
    with socket.create_connection(('192.52.193.1', 443), 4) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), piece):
            peer.sendall(data[at:at + piece]); time.sleep(.001)
        return 'answered' if peer.recv(5)[:1] == b'\\x16' else 'nothing'
for name in ('allowed.example', 'other.example'):
    bytes = hello(name)
    print(send(bytes, 40), send(records(bytes[5:], 37), 1000), send(bytes[:len(bytes) - 1], 1000) if name == 'other.example' else '')
print(send(hello('allowed.example')[:50] + hello('other.example')[50:], 5000))
print(send(hello('other.example') + hello('allowed.example'), 5000))
";
    let said = python(&["--allow", "allowed.example:443"], text);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0].trim(), "answered answered", "{said}");
    for line in &lines[1..] {
        assert!(!line.contains("answered") && !line.contains("nothing"), "{said}");
    }
    assert!(!has_seen(&["error 192.52.193.1 443", "other.example"]));
}

#[test]
fn http_goes_to_the_name_that_led_there_in_every_request() {
    answers(
        &["--allow", "allowed.example:80"],
        &[
            ("http('allowed.example', 'allowed.example')", "outside GET / allowed.example"),
            ("http('192.52.193.1', 'Allowed.Example:80')", "outside GET / Allowed.Example:80"),
            ("http('192.52.193.1', 'other.example')", "ECONNRESET"),
            ("http('192.52.193.1', '192.52.193.1')", "ECONNRESET"),
            (
                "http('192.52.193.1', 'allowed.example', 'http://allowed.example/x')",
                "outside GET http://allowed.example/x allowed.example",
            ),
            ("http('192.52.193.1', 'allowed.example', 'http://evil-absolute.example/')", "ECONNRESET"),
            ("http('192.52.193.1', 'allowed.example', '/', more='Host: evil-second.example\\r\\n')", "ECONNRESET"),
            ("http('192.52.193.1', 'allowed.example', '/', more='Host : evil-space.example\\r\\n')", "ECONNRESET"),
            ("http('192.52.193.1', 'allowed.example', '/', more=' folded: evil-folded.example\\r\\n')", "ECONNRESET"),
        ],
    );
    assert!(!has_seen(&["evil-"]));
}

#[test]
fn the_second_request_of_a_connection_is_held_to_the_rule_like_the_first() {
    let text = "
look('allowed.example')
def head(name, path='/', more='', method='GET', version='1.1'): return f'{method} {path} HTTP/{version}\\r\\nHost: {name}\\r\\n{more}\\r\\n'.encode()
@guarded
def send(*pieces):
    with socket.create_connection(('192.52.193.1', 80), 4) as peer:
        said = b''
        for piece in pieces:
            peer.sendall(piece)
            if len(pieces) > 1: said += peer.recv(4096)
        peer.shutdown(socket.SHUT_WR)
        return (said + everything(peer)).count(b'outside')
good, bad = head('allowed.example'), head('evil-kept.example')
print(send(good, good), send(good + good + good))
print(send(good, bad), send(good + bad))
body = 'Content-Length: %d\\r\\n' % len(bad)
print(send(head('allowed.example', more=body, method='POST') + bad))
for more in ['Content-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n', 'Content-Length: 0\\r\\nContent-Length: 5\\r\\n', 'Transfer-Encoding: xchunked\\r\\n',
             'Transfer-Encoding:\\x0bchunked\\r\\n', 'Transfer-Encoding: chunked\\r\\nTransfer-Encoding: identity\\r\\n', 'Content-Length: +0\\r\\n']:
    print(send(head('allowed.example', more=more, method='POST') + b'0\\r\\n\\r\\n' + bad), end=' ')
print(send(head('allowed.example', more='Transfer-Encoding: chunked\\r\\n', method='POST', version='1.0') + b'%x\\r\\n' % len(bad) + bad + b'\\r\\n0\\r\\n\\r\\n'))
print(send(b'CONNECT 10.30.0.1:22 HTTP/1.1\\r\\nHost: allowed.example\\r\\n\\r\\n'), send(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'), send(b'\\r\\n' + good), send(b'GET /\\r\\n'))
";
    let said = python(&["--allow", "allowed.example:80"], text);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "2 3", "{said}");
    assert_eq!(lines[2], "1", "{said}");
    for number in [1, 3, 4] {
        assert!(
            lines[number].split(' ').all(|word| ["ECONNRESET", "ENOTCONN", "EPIPE", "0", "1"].contains(&word)),
            "{said}"
        );
    }
    assert!(!has_seen(&["evil-kept"]), "{said}");
}

#[test]
fn a_redirect_leads_only_where_the_policy_leads() {
    let text = "
import urllib.request
def get(url):
    try: return urllib.request.urlopen(url, timeout=4).read().decode().strip()
    except Exception as error: return type(error).__name__
base = 'http://allowed.example/redirect/'
print(get(base + 'http://allowed.example/there'))
for to in ['http://other.example/', 'http://10.30.0.1/', 'http://169.254.169.254/latest/', 'http://192.52.193.2/', 'http://[::ffff:10.30.0.1]/', 'http://127.0.0.1:8080/', 'http://192.52.193.1/']:
    print(get(base + to))
";
    let result = python_result(&["--allow", "allowed.example:80"], text);
    let refused = "URLError\n".repeat(6);
    let said = stdout(&result);
    assert!(said.starts_with(&format!("outside GET /there allowed.example\n{refused}")), "{said}");
    assert!(!said.lines().next_back().is_some_and(|line| line.contains("outside")), "{said}");
    let targets = result["network"]["targets"].to_string();
    for target in ["other.example", "10.30.0.1:80", "169.254.169.254:80", "192.52.193.2:80"] {
        assert!(targets.contains(target), "{target} is not in {targets}");
    }
}

#[test]
fn who_says_nothing_gets_nothing_and_gives_the_place_up() {
    let text = "
look('allowed.example')
@guarded
def wait(port, first):
    with socket.create_connection(('192.52.193.1', port), 14) as peer:
        peer.sendall(first)
        return peer.recv(10)
said = []
threads = [threading.Thread(target=lambda port=port, first=first: said.append(wait(port, first))) for port, first in [(443, b''), (443, b'\\x16\\x03\\x01\\x02\\x00\\x01'), (80, b'GET / HT')]]
start = time.monotonic()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*said)
print(8 < time.monotonic() - start < 13)
";
    let result = python_result(&["--allow", "allowed.example"], text);
    assert_eq!(stdout(&result), "ECONNRESET ECONNRESET ECONNRESET\nTrue\n", "{result}");
    assert!(result["network"]["targets"].to_string().contains("does not say whom it is to"), "{result}");
    assert_eq!(result["network"]["sent"], 0, "what was held has not been sent");
}

#[test]
fn other_ports_are_held_to_the_address_alone_and_the_result_says_that_names_are_approximate() {
    let result = python_result(
        &["--allow", "allowed.example:8443", "--allow", "allowed.example:8080"],
        "look('allowed.example'); print(tls('192.52.193.1', 'shared.example', port=8443)); print(http('192.52.193.1', 'shared.example', port=8080))",
    );
    assert_eq!(stdout(&result), "outside GET / shared.example\noutside GET / shared.example\n", "{result}");
    assert_eq!(result["enforcement"]["network"]["exact"], false, "{result}");
}
