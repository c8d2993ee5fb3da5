//! Requests as clients send them, and as attackers do.

use super::*;

/// Reads all of it, `piece` bytes at a time: the names, how many bytes passed, and whether it was refused.
fn read_in(bytes: &[u8], piece: usize) -> (Vec<Option<String>>, usize, bool) {
    let (mut requests, mut names, mut passed, mut end) = (Requests::default(), Vec::new(), 0, 0);
    loop {
        match requests.read(&bytes[passed..end]) {
            Step::More if end == bytes.len() => return (names, passed, false),
            Step::More => end = (end + piece).min(bytes.len()),
            Step::Pass(count) => passed += count,
            Step::Name(name, count) => {
                names.push(name);
                passed += count;
            }
            Step::Refuse => return (names, passed, true),
            Step::Opaque => return (names, bytes.len(), false),
        }
    }
}

fn names(text: &str) -> Vec<Option<String>> {
    let whole = read_in(text.as_bytes(), usize::MAX);
    for piece in [1, 2, 3, 5, 64] {
        assert_eq!(read_in(text.as_bytes(), piece), whole, "in pieces of {piece}: {text:?}");
    }
    assert!(!whole.2, "refused: {text:?}");
    whole.0
}

fn is_refused(text: &str) -> bool {
    let (names, _, refused) = read_in(text.as_bytes(), usize::MAX);
    assert_eq!(read_in(text.as_bytes(), 1).2, refused, "{text:?}");
    refused || names.contains(&None)
}

fn some(names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| Some((*name).to_owned())).collect()
}

#[test]
fn each_request_of_a_kept_connection_has_its_name() {
    let text = "GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\nPOST /x HTTP/1.1\r\nhost:b.example.\r\nContent-Length: 5\r\n\r\nhelloGET http://c.example/ \
                HTTP/1.1\r\nHost: c.example\r\n\r\n";
    assert_eq!(names(text), some(&["a.example", "b.example", "c.example"]));
}

#[test]
fn a_chunked_body_is_followed_to_its_end() {
    let text = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n1F;x=y\r\n0123456789012345678901234567890\r\n\
                0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
    assert_eq!(names(text), some(&["a.example", "b.example"]));
}

#[test]
fn a_bare_cr_is_refused_wherever_it_stands() {
    for end in ["\r\r\n\r\n", "\r\n\r\r\n", "\r\r\n\r\r\n"] {
        let text = format!("GET / HTTP/1.1\r\nHost: a.example{end}");
        for piece in [1, 2, 3, usize::MAX] {
            assert_eq!(read_in(text.as_bytes(), piece), (Vec::new(), 0, true), "in pieces of {piece}: {text:?}");
        }
    }
}

#[test]
fn the_longest_line_is_read_wherever_it_is_cut() {
    let with = |length: usize| {
        let line = format!("5;{}", "x".repeat(length - 2));
        format!("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{line}\r\nhello\r\n0\r\n\r\n")
    };
    assert_eq!(names(&with(LONGEST_LINE)), some(&["a.example"]));
    assert!(is_refused(&with(LONGEST_LINE + 1)));
}

#[test]
fn a_request_inside_a_body_is_a_body() {
    let inner = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let text = format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{inner}", inner.len());
    assert_eq!(names(&text), some(&["a.example"]));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let with = |lines: &str| format!("POST / HTTP/1.1\r\nHost: a.example\r\n{lines}\r\nx");
    for lines in [
        "Host: b.example\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 0x1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: a\r\n continued\r\n",
        "X: a\nY: b\r\n",
        "X: a\rY: b\r\n",
        "X: a\0b\r\n",
        ": empty\r\n",
        "no colon\r\n",
    ] {
        assert!(is_refused(&with(lines)), "{lines:?}");
    }
}

#[test]
fn odd_request_lines_are_refused() {
    for line in [
        "CONNECT b.example:443 HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "get / HTTP/1.1",
        "GET /",
        "GET http://b.example/ HTTP/1.1",
        "GET http://a.example@b.example/ HTTP/1.1",
        "GET https://a.example/ HTTP/1.1",
        "GET a.example HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
        "PRI * HTTP/2.0",
        "",
        " GET / HTTP/1.1",
    ] {
        assert!(is_refused(&format!("{line}\r\nHost: a.example\r\n\r\n")), "{line:?}");
    }
    assert!(is_refused("GET / HTTP/1.0\r\n\r\n"), "no Host");
    let chunked = |version: &str| {
        format!("POST / HTTP/{version}\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    };
    assert!(is_refused(&chunked("1.0")), "chunks before there were any");
    assert_eq!(names(&chunked("1.1")), some(&["a.example"]));
    assert_eq!(names("GET / HTTP/1.0\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"), some(&["a.example"]));
}

#[test]
fn odd_hosts_name_nobody() {
    for host in [
        "",
        "a@b.example",
        "a.example b.example",
        "a.example,b.example",
        "a.example:80:80",
        "a.example:x",
        "b\u{fc}.example",
    ] {
        assert!(is_refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), "{host:?}");
    }
    assert_eq!(names("GET / HTTP/1.1\r\nHost: [2001:DB8::1]:8080\r\n\r\n"), some(&["[2001:db8::1]"]));
}

#[test]
fn odd_chunks_are_refused() {
    for chunks in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "5\nhello\r\n",
        "5\r\nhello!\r\n",
        "5 \r\nhello\r\n",
        "ffffffffffffffff\r\n",
        "0\r\n folded\r\n\r\n",
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert!(read_in(text.as_bytes(), usize::MAX).2, "{chunks:?}");
    }
}

#[test]
fn a_web_socket_is_opaque_once_the_server_agrees() {
    let head = "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    for (answer, opaque) in [("HTTP/1.1 101 Switching", true), ("HTTP/1.1 200 OK", false)] {
        let mut requests = Requests::default();
        assert_eq!(requests.read(head.as_bytes()), Step::Name(Some("a.example".to_owned()), head.len()));
        assert_eq!(requests.read(b"\x81\x05hello"), Step::More);
        answer.as_bytes().chunks(5).for_each(|piece| requests.read_answer(piece));
        assert_eq!(requests.read(b""), Step::Pass(0));
        let expected = if opaque { Step::Opaque } else { Step::Refuse };
        assert_eq!(requests.read(b"\x81\x05hello"), expected);
    }
}

#[test]
fn other_protocols_are_not_waited_for() {
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"SSH-2.0-x\r\n\x00", b"\r\nGET / HTTP/1.1\r\n", b"get / HTTP/1.1\r\n"]
    {
        assert_eq!(Requests::default().read(bytes), Step::Refuse, "{bytes:?}");
    }
}

/// Numbers that look like chance and are the same each time.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).expect("small")).expect("smaller")
    }
}

#[test]
fn however_requests_are_mixed_and_cut_they_are_read_in_one_way() {
    let parts = [
        "GET / HTTP/1.1\r\n",
        "POST /x HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "Host: a.example\r\n",
        "host: b.example:80\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\r\n",
        "abc",
        "3\r\nabc\r\n",
        "3\r\n",
        "0\r\n",
        "0\r\n\r\n",
        "\n",
        "\r",
        " ",
    ];
    let mut number = numbers();
    let mut whole_requests = 0;
    for _ in 0..3_000 {
        let begin = ["", "POST / HTTP/1.1\r\nHost: a.example\r\n"][number(2)];
        let rest = (0..1 + number(10)).map(|_| parts[number(parts.len())]);
        let text: String = std::iter::once(begin).chain(rest).collect();
        let whole = read_in(text.as_bytes(), usize::MAX);
        for piece in [1, 2 + number(7)] {
            let (names, passed, refused) = read_in(text.as_bytes(), piece);
            assert_eq!((&names, refused), (&whole.0, whole.2), "in pieces of {piece}: {text:?}");
            // What is refused later has not gone out before.
            assert!(passed <= whole.1 || !refused, "in pieces of {piece}: {text:?}");
        }
        whole_requests += usize::from(!whole.0.is_empty());
    }
    assert!(whole_requests > 50, "{whole_requests} is too few to show anything");
}
