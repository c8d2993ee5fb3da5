//! Requests that no client would send: each is refused by its own status, and the server goes on.

use crate::common::eventually;
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server with one sandbox, `box`, and no network in it.
fn with_box(name: &str) -> Server {
    let server = Server::new(name);
    let made = server.asked("POST", "/api/sandbox", "{\"name\": \"box\", \"networkBlockAll\": true}");
    assert_eq!(made.0, 200, "{made:?}");
    server
}

/// That the server and the sandbox are as before.
fn is_well(server: &Server) {
    let told = server.asked("POST", "/toolbox/box/process/execute", "{\"command\": \"echo well\"}");
    assert_eq!(told, (200, "{\"exitCode\":0,\"result\":\"well\\n\"}".to_owned()));
}

/// A form as it is written, with the token.
fn form(server: &Server, path: &str, kind: &str, body: &[u8], length: usize) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n",
        server.token
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn forms_that_are_cut_off_or_no_forms_leave_no_file() {
    let server = with_box("hostile-forms");
    let path = "/toolbox/box/files/bulk-upload";
    let kind = "multipart/form-data; boundary=x";
    let part = |name: &str, more: &str, body: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{body}\r\n")
    };
    let to = part("files[0].path", "", "/tmp/file");
    for (kind, body, status) in [
        ("multipart/form-data", "--x--\r\n".to_owned(), "400"),
        ("application/json", "{}".to_owned(), "400"),
        (kind, "no form at all".to_owned(), "400"),
        (kind, format!("{to}--x\r\nContent-Disposition: form-data; name=\"files[0].file\"\r\n\r\nhalf"), "400"),
        (kind, format!("{to}--x\r\nContent-Disposition: nonsense\r\n\r\nx\r\n--x\r\n"), "400"),
        // The file comes before anybody knows where to.
        (kind, format!("{}{to}--x--\r\n", part("files[0].file", "; filename=\"f\"", "x")), "400"),
    ] {
        let answer = server.raw(&form(&server, path, kind, body.as_bytes(), body.len()));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{kind} {body}: {answer}");
    }
    // More than goes in one piece, and then nothing: the file is not there, whole or in part.
    let mut body = format!("{to}--x\r\nContent-Disposition: form-data; name=\"files[0].file\"; filename=\"f\"\r\n\r\n")
        .into_bytes();
    body.resize(body.len() + (9 << 20), b'x');
    server.say(&form(&server, path, kind, &body, body.len() + 1000));
    let left = || server.sandboxes.shell("box", "ls -A /tmp").stdout;
    assert!(eventually(20, || left().is_empty()), "{}", left());
    is_well(&server);
}

#[test]
fn what_removes_a_sandbox_is_done_to_its_end_though_whoever_has_asked_is_gone() {
    let server = with_box("hostile-gone");
    for round in 0..20 {
        let name = format!("kept-{round}");
        server.sandboxes.create(&name, &["--keep"]);
        let head =
            format!("DELETE /api/sandbox/{name} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n\r\n", server.token);
        let mut asked = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
        asked.write_all(head.as_bytes()).expect("ask");
        // Sooner or later in it, or before.
        std::thread::sleep(Duration::from_millis(round));
        drop(asked);
    }
    // Whoever was gone before it had begun has asked for nothing; half of it was done nowhere.
    let left = || server.sandboxes.states().into_iter().filter(|(name, _)| name != "box").collect::<Vec<_>>();
    assert!(eventually(20, || left().iter().all(|(_, state)| state == "running")), "{:?}", left());
    assert!(left().len() < 20, "nobody has begun");
    is_well(&server);
}

#[test]
fn paths_and_names_lead_nowhere_but_into_the_sandbox() {
    let server = with_box("hostile-paths");
    for (method, path) in [
        ("GET", "/toolbox/../api/sandbox/box"),
        ("GET", "/toolbox/%2e%2e/files/info?path=/"),
        ("GET", "/toolbox/box%00/files/info?path=/"),
        ("GET", "/toolbox/--all/files/info?path=/"),
        ("GET", "/api/sandbox/%2Fetc%2Fpasswd"),
        ("GET", "/api/sandbox/-"),
        ("DELETE", "/api/sandbox/*"),
        ("DELETE", "/api/sandbox/%20"),
        ("GET", "//api/sandbox"),
        ("GET", "/api/snapshots/..%2F..%2Fetc"),
    ] {
        let (status, body) = server.asked(method, path, "");
        assert!(matches!(status, 400 | 404), "{method} {path}: {status} {body}");
    }
    for name in ["--keep", "a/b", "..", "", "a b", "a\u{0}b", "\u{202e}x", &"x".repeat(300)] {
        let (status, body) = server.asked("POST", "/api/sandbox", &json!({ "name": name }).to_string());
        assert_eq!(status, 400, "{name:?}: {body}");
    }
    // A path of a sandbox counts inside, and from its own root.
    let secret = server.sandboxes.home().join("serve-token");
    let path = format!("/toolbox/box/files/download?path=/../../../..{}", secret.display());
    let (status, body) = server.asked("GET", &path, "");
    assert_eq!(status, 404, "{body}");
    assert!(!body.contains(&server.token));
    // Words of a program's are no options of anybody's.
    let wish = json!({ "code": "import sys; print(sys.argv[1:])", "argv": ["--net=host", "-c", "--", "\n"] });
    let (status, body) = server.asked("POST", "/toolbox/box/process/code-run", &wish.to_string());
    let told: Value = serde_json::from_str(&body).expect("an object");
    assert_eq!((status, &told["result"]), (200, &json!("['--net=host', '-c', '--', '\\n']\n")));
    is_well(&server);
}

#[test]
fn nothing_but_the_whole_token_in_its_place_opens() {
    let server = with_box("hostile-tokens");
    let token = &server.token;
    let (half, more) = (&token[..token.len() / 2], format!("{token}0"));
    for headers in [
        String::new(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {half}\r\n"),
        format!("Authorization: Bearer {more}\r\n"),
        format!("Authorization: Bearer {}\r\n", token.to_uppercase()),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Cookie: token={token}\r\n"),
        format!("X-Api-Key: {half}\r\n"),
        format!("X-Daytona-Preview-Token: {token}\r\n"),
    ] {
        for (path, body) in [("/api/sandbox", ""), ("/toolbox/box/process/execute", "{\"command\": \"true\"}")] {
            let (status, told) = server.ask("POST", path, &headers, body);
            assert_eq!(status, 401, "{headers:?}: {told}");
            assert!(!told.contains(token.as_str()), "{told}");
        }
    }
    assert_eq!(server.ask("GET", &format!("/api/sandbox?token={token}&key={token}"), "", "").0, 401);
    // Nobody learns whether there is a sandbox who has no token.
    let of = |id: &str| {
        server.ask("GET", &format!("/toolbox/{id}/files/download?path=/etc/passwd&signature=v1_x"), "", "").0
    };
    assert_eq!((of("box"), of("none")), (401, 401));
    let preview = |host: &str| server.ask("GET", "/", &format!("Host: {host}\r\n"), "").0;
    assert_eq!((preview("8000-box.localhost"), preview("8000-none.localhost")), (401, 401));
    is_well(&server);
}

#[test]
fn a_name_of_somebody_elses_that_leads_here_asks_for_nothing() {
    let server = with_box("hostile-names");
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let of = |line: &str, hosts: &str| {
        first(server.raw(format!("{line}\r\n{hosts}{token}Connection: close\r\n\r\n").as_bytes()))
    };
    let refused = "HTTP/1.1 403 Forbidden";
    assert_eq!(of("GET /api/sandbox HTTP/1.1", "Host: rebound.example:3986\r\n"), refused);
    assert_eq!(of("GET http://rebound.example/api/sandbox HTTP/1.1", "Host: localhost\r\n"), refused);
    assert_eq!(of("GET /api/sandbox HTTP/1.1", "Host: rebound.example\r\nHost: localhost\r\n"), refused);
    assert_eq!(of("GET /api/sandbox HTTP/1.1", "Host: localhost.rebound.example\r\n"), refused);
    assert_eq!(of("GET /api/sandbox HTTP/1.1", "Host: 0x7f.1\r\n"), refused);
    assert_eq!(of("GET /api/sandbox HTTP/1.1", "Host: \r\n"), refused);
    assert_eq!(of("GET /api/sandbox HTTP/1.1", ""), "HTTP/1.1 400 Bad Request");
    assert_eq!(of("GET /health HTTP/1.1", "Host: rebound.example\r\n"), refused);
    is_well(&server);
}

#[test]
fn who_says_too_little_too_slowly_is_left_and_deep_json_is_refused() {
    let server = with_box("hostile-slow");
    let mut slow = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
    slow.write_all(b"GET /api/sandbox HTTP/1.1\r\nHost: localhost\r\nX-").expect("say a little");
    for text in ["[".repeat(1 << 20), "{\"labels\":".repeat(100_000), format!("{{\"name\":{}}}", "[".repeat(200_000))] {
        let (status, body) = server.asked("POST", "/api/sandbox", &text);
        assert_eq!(status, 400, "{body}");
    }
    let (begun, mut answer) = (Instant::now(), Vec::new());
    slow.set_read_timeout(Some(Duration::from_secs(90))).expect("set a time");
    slow.read_to_end(&mut answer).expect("it is closed");
    let told = String::from_utf8_lossy(&answer).into_owned();
    assert!(begun.elapsed() < Duration::from_secs(80) && !told.starts_with("HTTP/1.1 200"), "{told}");
    is_well(&server);
}

#[test]
fn a_websocket_that_lies_about_its_length_is_closed() {
    let server = with_box("hostile-sockets");
    let connect = |token: &str| {
        let request = format!(
            "GET /toolbox/box/process/interpreter/execute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set a time");
        stream.write_all(request.as_bytes()).expect("ask");
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).expect("an answer");
        (stream, String::from_utf8_lossy(&piece[..count]).into_owned())
    };
    assert!(connect("wrong").1.starts_with("HTTP/1.1 401"));
    let many: Vec<TcpStream> = (0..30)
        .map(|_| {
            let (mut stream, told) = connect(&server.token);
            assert!(told.starts_with("HTTP/1.1 101"), "{told}");
            // Text of 2^62 bytes, masked, of which nothing comes.
            let mut frame = vec![0x81, 0xff];
            frame.extend_from_slice(&(1u64 << 62).to_be_bytes());
            frame.extend_from_slice(&[0; 4]);
            stream.write_all(&frame).expect("say it");
            stream
        })
        .collect();
    is_well(&server);
    for mut stream in many {
        let mut rest = Vec::new();
        // Closed, in order or not.
        let read = stream.read_to_end(&mut rest);
        assert!(read.is_ok() || read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    }
    is_well(&server);
}

#[test]
fn a_server_that_is_killed_loses_nothing_that_it_has_acknowledged() {
    let mut server = Server::new("hostile-killed");
    let (acknowledged, next) = (Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    let ready = || acknowledged.lock().expect("the names").len() >= 12;
    let (port, token) = (server.port, server.token.clone());
    let process = server.process();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let name = format!("box-{}", next.fetch_add(1, Ordering::Relaxed));
                    let body = json!({ "name": name, "networkBlockAll": true }).to_string();
                    let request = format!(
                        "POST /api/sandbox HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
                         Content-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
                    let mut answer = String::new();
                    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
                        return;
                    }
                    if !answer.starts_with("HTTP/1.1 200") {
                        return;
                    }
                    acknowledged.lock().expect("the names").insert(name);
                }
            });
        }
        assert!(eventually(60, ready));
        process.kill().expect("kill it");
    });
    let again = Server::over(server.kill(), &[]);
    let states = again.sandboxes.states();
    let acknowledged = acknowledged.into_inner().expect("the names");
    for name in &acknowledged {
        assert!(states.contains(&(name.clone(), "running".to_owned())), "{name}: {states:?}");
    }
    // Of the four that were being made, some are there, and whole.
    let more: Vec<_> = states.iter().filter(|(name, _)| !acknowledged.contains(name)).collect();
    assert!(more.len() <= 4, "{more:?}");
    for name in &acknowledged {
        let told = again.asked("POST", &format!("/toolbox/{name}/process/execute"), "{\"command\": \"echo here\"}");
        assert_eq!(told, (200, "{\"exitCode\":0,\"result\":\"here\\n\"}".to_owned()));
    }
}
