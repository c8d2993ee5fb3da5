//! Names: who may be asked for, what comes of the answers, and that a name leads only where it led.

use crate::common::stdout;
use crate::world::{answers, has_seen, python, python_result, seen};

const BANNER: &str = "SSH-2.0-test";

#[test]
fn a_name_that_is_allowed_is_reached_at_the_addresses_that_it_led_to_and_only_then() {
    answers(
        &["--allow", "allowed.example:22"],
        &[
            ("quick(tcp, '192.52.193.1', 22)", "ECONNREFUSED"),
            ("look('allowed.example')", "192.52.193.1"),
            ("look('allowed.example', socket.AF_INET6)", "2620:4f:8000:2::1"),
            ("tcp('allowed.example', 22)", BANNER),
            ("tcp('ALLOWED.Example.', 22)", BANNER),
            ("tcp('192.52.193.1', 22)", BANNER),
            ("tcp('2620:4f:8000:2::1', 22)", BANNER),
            ("tcp('192.52.193.1', 8080)", "ECONNREFUSED"),
            ("tcp('192.52.193.2', 22)", "ECONNREFUSED"),
            ("tcp('192.52.193.3', 22)", "ECONNREFUSED"),
            ("udp('192.52.193.1', 7)", "EHOSTUNREACH"),
        ],
    );
}

#[test]
fn a_name_that_no_rule_allows_never_leaves_the_machine() {
    answers(
        &["--allow", "allowed.example", "--allow", "*.wild.example"],
        &[
            ("quick(look, 'never-asked.example')", "unknown"),
            ("quick(look, 'x.allowed.example')", "unknown"),
            ("quick(look, 'wild.example')", "unknown"),
            ("quick(look, 'never-asked.allowed.example.evil.test')", "unknown"),
            ("look('a.wild.example')", "192.52.193.4"),
            ("look('a.b.wild.example')", "192.52.193.4"),
        ],
    );
    assert!(has_seen(&["dns 10.20.0.254 udp a.b.wild.example 1"]));
    for name in ["never-asked", "x.allowed.example", " wild.example"] {
        assert!(!has_seen(&["dns", name]), "{name} has left the machine");
    }
}

#[test]
fn no_other_resolver_answers_whatever_it_is_asked_by() {
    let text = "
def by_udp(server):
    peer = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(3)
    peer.connect((server, 53)); peer.send(question('foreign-question.example'))
    return peer.recv(4096)[3] & 15
def by_tcp(server):
    peer = socket.create_connection((server, 53), 3)
    asked = question('foreign-question.example'); peer.sendall(struct.pack('!H', len(asked)) + asked)
    return peer.recv(4096)[5] & 15
for server in ['192.52.193.53', '2620:4f:8000:2::53', '10.20.0.254', '192.0.0.1', '192.52.193.1']: print(by_udp(server), by_tcp(server))
print(quick(tcp, '192.52.193.53', 853), quick(tcp, '192.52.193.53', 443), quick(udp, '192.52.193.53', 443))
";
    let said = python(&["--allow", "allowed.example"], text);
    // Each is answered by ours, which does not know the name.
    assert_eq!(said, format!("{}ECONNREFUSED ECONNREFUSED EHOSTUNREACH\n", "3 3\n".repeat(5)));
    assert!(!has_seen(&["dns", "foreign-question"]));
    assert!(!has_seen(&["tcp 192.52.193.53 53"]) && !has_seen(&["udp 192.52.193.53 53"]));
}

#[test]
fn aliases_are_followed_and_only_the_name_that_was_asked_for_is_bound() {
    answers(
        &["--allow", "alias.example:80", "--allow", "alias.example:22"],
        &[
            ("look('alias.example')", "192.52.193.1"),
            ("http('alias.example', 'alias.example')", "outside GET / alias.example"),
            ("look('end.elsewhere')", "unknown"),
            ("http('192.52.193.1', 'end.elsewhere')", "ECONNRESET"),
            ("http('192.52.193.1', 'allowed.example')", "ECONNRESET"),
            ("tcp('alias.example', 22)", BANNER),
        ],
    );
    answers(&["--allow", "loop.example"], &[("quick(look, 'loop.example')", "unknown")]);
}

#[test]
fn an_answer_that_leads_into_the_machine_or_its_networks_leads_nowhere() {
    for options in [&["--net", "open"][..], &["--allow", "*.example"]] {
        answers(
            options,
            &[
                ("look('private.example')", "unknown"),
                ("look('metadata.example')", "unknown"),
                ("look('metadata.example', socket.AF_INET6)", "unknown"),
                ("look('home.example')", "unknown"),
                ("look('home.example', socket.AF_INET6)", "unknown"),
                ("look('carried.example', socket.AF_INET6)", "unknown"),
                ("look('toprivate.example')", "unknown"),
                ("look('mixed.example')", "192.52.193.1"),
                ("tcp('own.example', 22)", "ECONNREFUSED"),
                ("tcp('10.30.0.1', 22)", "ECONNREFUSED"),
                ("tcp('192.31.196.1', 22)", "ECONNREFUSED"),
            ],
        );
    }
    let result = python_result(&["--net", "open"], "print(look('metadata.example'))");
    let targets = result["network"]["targets"].to_string();
    assert!(targets.contains("cloud's metadata service"), "{targets}");
    answers(
        &["--allow", "private.example", "--allow", "10.30.0.0/16"],
        &[("look('private.example')", "10.30.0.1"), ("tcp('private.example', 22)", BANNER)],
    );
}

#[test]
fn a_name_that_leads_here_and_there_never_leads_to_a_private_address() {
    let text = "
answers = set()
for _ in range(12):
    answers.add(look('rebind.example'))
    answers.add(tcp('rebind.example', 22))
    assert tcp('10.30.0.1', 22) == 'ECONNREFUSED'
    time.sleep(.17)
print(sorted(answers))
";
    for options in [&["--net", "open"][..], &["--allow", "rebind.example"]] {
        let said = python(options, text);
        assert!(said.contains("192.52.193.1") && !said.contains("10.30"), "{said}");
    }
}

#[test]
fn a_denied_name_is_refused_under_every_policy() {
    let options = ["--net", "open", "--deny", "other.example", "--deny", "*.wild.example"];
    answers(
        &options,
        &[
            ("quick(look, 'other.example')", "unknown"),
            ("quick(look, 'x.wild.example')", "unknown"),
            ("http('192.52.193.2', 'other.example')", "ECONNRESET"),
            ("http('192.52.193.4', 'a.wild.example')", "ECONNRESET"),
            ("http('192.52.193.2', 'allowed.example')", "outside GET / allowed.example"),
            ("tls('192.52.193.2', 'other.example')", "ECONNRESET"),
            ("tls('192.52.193.2', 'allowed.example')", "outside GET / allowed.example"),
            ("quick(udp, '192.52.193.2', 443)", "EHOSTUNREACH"),
            // As the document says: who knows the address reaches what names nobody.
            ("tcp('192.52.193.2', 22)", BANNER),
        ],
    );
    answers(
        &["--allow", "*.example", "--deny", "other.example"],
        &[("look('other.example')", "unknown"), ("tcp('allowed.example', 22)", BANNER)],
    );
}

#[test]
fn names_are_one_thing_however_they_are_written() {
    let text = r"
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(3); peer.connect(('192.0.0.1', 53))
def ask(*labels):
    packed = b''.join(bytes([len(label)]) + label for label in labels)
    peer.send(struct.pack('!HHHHHH', 7, 0x100, 1, 0, 0, 0) + packed + b'\0' + struct.pack('!HH', 1, 1))
    try: return peer.recv(4096)[3] & 15
    except TimeoutError: return 'silence'
print(ask(b'allowed', b'example'), ask(b'ALLOWED', b'exAMPLE'))
odd = [(b'allowed.example',), (b'allowed\0', b'example'), (b'evil\0.allowed', b'example'), (b'x@allowed', b'example'), (b'allowed', b'example\0'),
       (b'allowed', b'example', b'evil'), (b'evil', b'allowed', b'example'), (b'allowed ', b'example'), (b'allowed\r\n', b'example')]
print([ask(*labels) for labels in odd])
";
    let said = python(&["--allow", "allowed.example"], text);
    let (first, rest) = said.split_once('\n').expect("two lines");
    assert_eq!(first, "0 0");
    assert!(!rest.contains('0'), "an odd name was answered: {rest}");
}

#[test]
fn records_of_every_ordinary_kind_come_and_those_that_carry_keys_do_not() {
    let text = "
def ask(name, kind, stream=False):
    asked = question(name, kind)
    if stream:
        peer = socket.create_connection(('192.0.0.1', 53), 5); peer.sendall(struct.pack('!H', len(asked)) + asked)
        length, = struct.unpack('!H', peer.recv(2, socket.MSG_WAITALL)); answer = peer.recv(length, socket.MSG_WAITALL)
    else:
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(5); peer.connect(('192.0.0.1', 53)); peer.send(asked); answer = peer.recv(65536)
    flags, _, count = struct.unpack_from('!HHH', answer, 2)
    return 'cut' if flags & 0x200 else flags & 15, count, b'one text' in answer or b'mail' in answer
for name, kind in [('allowed.example', 1), ('allowed.example', 28), ('alias.example', 1), ('alias.example', 5), ('txt.example', 16), ('txt.example', 15),
                   ('missing.example', 1), ('allowed.example', 65), ('allowed.example', 64), ('allowed.example', 255), ('big.example', 16)]: print(name, kind, *ask(name, kind))
print(*ask('big.example', 16, True)); print(*ask('allowed.example', 1, True)); print(*ask('missing.example', 1, True))
";
    let said = python(&["--allow", "*.example"], text);
    let expected = "allowed.example 1 0 1 False\nallowed.example 28 0 1 False\nalias.example 1 0 3 False\nalias.example 5 0 1 False\ntxt.example 16 0 1 True\n\
                    txt.example 15 0 1 True\nmissing.example 1 3 0 False\nallowed.example 65 0 0 False\nallowed.example 64 0 0 False\n\
                    allowed.example 255 4 0 False\nbig.example 16 cut 0 False\n0 40 False\n0 1 False\n3 0 False\n";
    assert_eq!(said, expected);
}

#[test]
fn a_server_that_is_silent_keeps_nobody_else_waiting() {
    let text = "
start = time.monotonic()
slow = threading.Thread(target=look, args=('silent.example',)); slow.start()
print(quick(look, 'allowed.example'))
slow.join(); print(time.monotonic() - start < 15)
";
    assert_eq!(python(&["--allow", "*.example"], text), "192.52.193.1\nTrue\n");
}

#[test]
fn a_flood_of_questions_keeps_nobody_from_an_answer_and_ends_nothing() {
    let text = "
peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
for peer in peers: peer.setblocking(False); peer.connect(('192.0.0.1', 53))
def flood():
    for number in range(100):
        for peer in peers:
            try: peer.send(question(f'silent{number}.example', 1, number))
            except OSError: pass
flood()
for peer in peers: peer.send(os.urandom(40)); peer.send(b'')
# As many as may be asked at once are waited for, 10 s at most; then the next ones are asked.
print(any(look('allowed.example') == '192.52.193.1' or time.sleep(.5) for _ in range(30)))
print(tcp('192.52.193.1', 22))
";
    let result = python_result(&["--allow", "*.example", "--allow", "192.52.193.1:22"], text);
    assert_eq!(stdout(&result), format!("True\n{BANNER}\n"), "{result}");
    assert_eq!(result["network"]["lost"], false);
    let asked = seen().lines().filter(|line| line.contains("silent99.example")).count();
    assert!(asked <= 1024, "{asked} questions have left");
}
