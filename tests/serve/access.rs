//! Who may ask, and what is answered to what no client would send.

use crate::common::eventually;
use crate::server::Server;
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

fn message(body: &str) -> String {
    let object: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    object["message"].as_str().unwrap_or_else(|| panic!("no message: {body}")).to_owned()
}

#[test]
fn nobody_is_answered_without_the_token_and_it_is_shown_once() {
    let server = Server::new("serve-token");
    assert!(server.said.contains(&format!("DAYTONA_API_URL={}/api", server.url())), "{}", server.said);
    assert!(server.said.contains(&server.token), "{}", server.said);
    let file = server.sandboxes.home().join("serve-token");
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    for headers in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic eDp5\r\n", "X-API-Key: \r\n"] {
        let (status, body) = server.ask("GET", "/api/sandbox", headers, "");
        let object: Value = serde_json::from_str(&body).expect("an object");
        assert_eq!(
            (status, &object["code"], &object["source"]),
            (401, &json!("UNAUTHORIZED"), &json!("DAYTONA_API")),
            "{headers}"
        );
        assert_eq!(server.ask("POST", "/toolbox/x/process/execute", headers, "{}").0, 401);
    }
    assert_eq!(server.ask("GET", "/health", "", "").0, 200);
    assert_eq!(server.asked("GET", "/api/sandbox", "").0, 200);
    let again = Server::over(server.kill(), &[]);
    assert!(!again.said.contains(&again.token), "{}", again.said);
    assert_eq!(again.asked("GET", "/api/sandbox", "").0, 200);
}

#[test]
fn a_token_that_others_can_read_is_refused() {
    let server = Server::new("serve-mode");
    let sandboxes = server.kill();
    let file = sandboxes.home().join("serve-token");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("change it");
    let run = sandboxes.call(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.stderr.contains("others can read or change it") && run.stderr.contains("hint: chmod 600"), "{run:?}");
}

#[test]
fn foreign_names_and_pages_are_refused_though_they_know_the_token() {
    let server = Server::new("serve-names");
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let of =
        |host: &str, more: &str| server.ask("GET", "/api/sandbox", &format!("Host: {host}\r\n{token}{more}"), "").0;
    assert_eq!(of("localhost", ""), 200);
    assert_eq!(of("evil.example", ""), 403);
    assert_eq!(of("127.0.0.1.evil.example", ""), 403);
    assert_eq!(of("localhost", "Origin: http://evil.example\r\n"), 403);
    assert_eq!(of("localhost", "Origin: null\r\n"), 403);
    assert_eq!(of("8000-box.evil.example", ""), 403);
    let named = Server::over(server.kill(), &["--name", "box.example"]);
    assert_eq!(named.ask("GET", "/api/sandbox", &format!("Host: box.example\r\n{token}"), "").0, 200);
}

#[test]
fn what_cannot_be_read_is_said_and_ends_nothing() {
    let server = Server::new("serve-odd");
    for (method, path, body, status, word) in [
        ("POST", "/api/sandbox", "{", 400, "the body"),
        ("POST", "/api/sandbox", "[]", 400, "the body"),
        ("POST", "/api/sandbox", "{\"name\": 7}", 400, "the body"),
        ("POST", "/api/sandbox", "{\"name\": \"../x\"}", 400, "name"),
        ("POST", "/api/sandbox", "{\"snapshot\": \"nowhere\"}", 400, "nowhere"),
        ("POST", "/api/sandbox", "{\"labels\": {\"belljar.daytona\": \"x\"}}", 400, "labels"),
        ("POST", "/api/sandbox", "{\"labels\": {\"code-toolbox-language\": \"perl\"}}", 400, "perl"),
        ("POST", "/api/sandbox", "{\"gpu\": 1}", 400, "gpu"),
        ("POST", "/api/sandbox", "{\"volumes\": [{\"volumeId\": \"none\", \"mountPath\": \"/v\"}]}", 400, "none"),
        ("GET", "/api/sandbox?limit=0", "", 400, "limit"),
        ("GET", "/api/sandbox?labels=x", "", 400, "labels"),
        ("GET", "/api/sandbox/none", "", 404, "none"),
        ("GET", "/api/sandbox/..%2f..", "", 404, "not found"),
        ("GET", "/api/nothing", "", 404, "/api/nothing"),
        ("DELETE", "/api/sandbox", "", 405, ""),
        ("POST", "/toolbox/none/process/execute", "{\"command\": \"true\"}", 404, "none"),
        ("POST", "/toolbox/none/process/execute", "{\"command\": \" \"}", 400, "empty"),
        ("POST", "/toolbox/none/process/execute", "{\"command\": \"a\", \"envs\": {\"a b\": \"\"}}", 400, "envs"),
        ("GET", "/toolbox/none/files/info", "", 400, "path"),
        ("GET", "/toolbox/none/nothing", "", 404, "/nothing"),
        ("GET", "/toolbox/none/computeruse/screenshot", "", 503, "no screen"),
        ("GET", "/api/secret", "", 501, "secrets"),
        ("GET", "/api/volumes/none", "", 404, "none"),
        ("GET", "/api/snapshots/none", "", 404, "none"),
    ] {
        let (answered, text) = server.asked(method, path, body);
        assert_eq!(answered, status, "{method} {path} {body}: {text}");
        assert!(word.is_empty() || message(&text).contains(word), "{method} {path} {body}: {text}");
    }
    // A body that is too large is not read to its end.
    let head = format!(
        "POST /api/sandbox HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        server.token,
        1u64 << 40
    );
    let mut request = head.into_bytes();
    request.resize(request.len() + (20 << 20), b' ');
    assert!(server.raw(&request).starts_with("HTTP/1.1 413"));
    assert!(server.raw(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert_eq!(server.asked("GET", "/api/sandbox", "").0, 200);
    assert_eq!(server.sandboxes.states(), []);
}

#[test]
fn clients_that_say_nothing_keep_nobody_from_being_answered() {
    let server = Server::new("serve-silent");
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
            stream.write_all(b"POST /api/sandbox HTTP/1.1\r\nHost: loc").expect("say a little");
            stream
        })
        .collect();
    assert_eq!(server.asked("GET", "/api/sandbox", "").0, 200);
    drop(silent);
}

#[test]
fn a_sandbox_is_the_same_for_the_server_the_command_line_and_another_server() {
    let server = Server::new("serve-shared");
    let (status, body) = server.asked(
        "POST",
        "/api/sandbox",
        "{\"name\": \"web\", \"labels\": {\"a\": \"b\"}, \"env\": {\"E\": \"1\"}, \"networkBlockAll\": true}",
    );
    assert_eq!(status, 200, "{body}");
    assert_eq!(server.sandboxes.shell("web", "echo $E; echo here >/tmp/file").stdout, "1\n");
    server.sandboxes.create("made-here", &["--keep", "--label", "c=d"]);
    let listed = |server: &Server| -> Vec<(String, Value)> {
        let (_, body) = server.asked("GET", "/api/sandbox?sort=name&order=desc", "");
        let object: Value = serde_json::from_str(&body).expect("an object");
        let items = object["items"].as_array().expect("items").iter();
        items.map(|item| (item["name"].as_str().expect("a name").to_owned(), item["labels"].clone())).collect()
    };
    let both = [("web".to_owned(), json!({ "a": "b" })), ("made-here".to_owned(), json!({ "c": "d" }))];
    assert_eq!(listed(&server), both);
    // Killed in the middle of everything: nobody else is.
    let again = Server::over(server.kill(), &[]);
    assert_eq!(listed(&again), both);
    let (status, body) = again.asked("POST", "/toolbox/web/process/execute", "{\"command\": \"cat /tmp/file\"}");
    assert_eq!((status, body.as_str()), (200, "{\"exitCode\":0,\"result\":\"here\\n\"}"));
}

#[test]
fn who_goes_away_takes_his_command_with_him() {
    let server = Server::new("serve-gone");
    assert_eq!(server.asked("POST", "/api/sandbox", "{\"name\": \"box\", \"networkBlockAll\": true}").0, 200);
    let body = "{\"command\": \"echo $$ >/tmp/pid; exec sleep 1000\"}";
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
    let request = format!(
        "POST /toolbox/box/process/execute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        server.token,
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("ask");
    let runs = || server.sandboxes.shell("box", "kill -0 $(cat /tmp/pid)").code == Some(0);
    assert!(eventually(20, runs));
    drop(stream);
    assert!(eventually(20, || !runs()));
}

#[test]
fn a_server_at_a_socket_is_for_its_owner_alone_and_takes_the_place_of_one_that_was_killed() {
    let server = Server::new("serve-unix");
    let sandboxes = server.kill();
    let path = sandboxes.0.0.join("socket");
    let words = ["serve", "--unix", path.to_str().expect("text")];
    let start = || {
        let process = sandboxes.command(&words).stdout(std::process::Stdio::null()).spawn().expect("start belljar");
        assert!(eventually(20, || std::os::unix::net::UnixStream::connect(&path).is_ok()));
        process
    };
    let mut first = start();
    assert_eq!(std::fs::metadata(&path).expect("the socket").permissions().mode() & 0o777, 0o600);
    let run = sandboxes.call(&words);
    assert!(run.code == Some(1) && run.stderr.contains("somebody listens"), "{run:?}");
    first.kill().and_then(|()| first.wait()).expect("its end");
    let mut second = start();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(second.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .expect("end it");
    assert!(second.wait().expect("its end").success());
    assert!(!path.exists());
}

#[test]
fn no_rule_of_a_client_leads_to_the_machine_that_serves() {
    let server = Server::new("serve-host");
    for (path, wish) in [
        ("/api/sandbox", json!({ "networkAllowList": "host:8898" })),
        ("/api/sandbox", json!({ "networkAllowList": "0.0.0.0/0, HOST" })),
        ("/api/sandbox", json!({ "domainAllowList": "example.org,tcp://host:1" })),
        (
            "/sandboxes",
            json!({ "templateID": "base", "network": { "allowOut": ["host:8898"], "denyOut": ["0.0.0.0/0"] } }),
        ),
    ] {
        let (status, body) = server.asked("POST", path, &wish.to_string());
        assert!(status == 400 && body.contains("leads to the machine"), "{wish}: {status} {body}");
    }
    let (status, body) =
        server.asked("POST", "/api/sandbox", "{\"name\": \"box\", \"networkAllowList\": \"example.org\"}");
    assert_eq!(status, 200, "{body}");
    for wish in [json!({ "networkAllowList": "host:8898" }), json!({ "domainAllowList": "host" })] {
        assert_eq!(server.asked("POST", "/api/sandbox/box/network-settings", &wish.to_string()).0, 400, "{wish}");
    }
    let known: Value = serde_json::from_str(&server.sandboxes.done(&["inspect", "box"])).expect("an object");
    assert_eq!(known["allow"], json!(["example.org"]));
}

#[test]
fn whoever_says_nothing_gives_his_place_to_whoever_comes_and_asks() {
    let server = Server::new("serve-silent");
    let all: Vec<TcpStream> = (0..600).map_while(|_| TcpStream::connect(("127.0.0.1", server.port)).ok()).collect();
    assert!(all.len() > 300, "{}", all.len());
    let begun = std::time::Instant::now();
    assert_eq!(server.ask("GET", "/health", "", "").0, 200);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn a_token_file_that_is_no_file_of_ones_own_and_a_name_that_is_none_are_refused() {
    let server = Server::new("serve-files");
    let sandboxes = server.kill();
    let pipe = sandboxes.home().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("make it");
    let pipe = pipe.to_string_lossy().into_owned();
    for (words, why) in [
        (["--token-file", &pipe], "no regular file"),
        (["--token-file", "/dev/null"], "no regular file"),
        (["--token-file", "/etc/passwd"], "somebody else"),
        (["--name", ""], "no name of a host"),
        (["--name", "*"], "no name of a host"),
        (["--name", "a b"], "no name of a host"),
    ] {
        let run = sandboxes.call(&[&["serve", "--listen", "127.0.0.1:0"][..], &words].concat());
        assert!(run.code == Some(1) && run.stderr.contains(why) && !run.stderr.contains("chmod"), "{words:?}: {run:?}");
    }
}

#[test]
fn strangers_at_the_channel_of_events_have_room_for_so_many_and_keep_nobody_else_out() {
    let server = Server::new("serve-strangers");
    let come = |more: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("set a time");
        let head = format!(
            "GET /api/socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("say it");
        let mut status = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut status).expect("an answer");
        (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
    };
    let all: Vec<(String, TcpStream)> = (0..100).map(|_| come("")).collect();
    let let_in = all.iter().filter(|(status, _)| status == "101").count();
    assert!(let_in == 64 && all.iter().all(|(status, _)| status == "101" || status == "503"), "{let_in}");
    assert_eq!(server.ask("GET", "/health", "", "").0, 200);
    drop(all);
    // Their places are free when they have gone.
    assert!(eventually(20, || come("").0 == "101"));
}

#[test]
fn whoever_asks_for_a_sandbox_gets_one_that_was_ready() {
    let server = Server::with("serve-ready", &["--ready", "1", "--net", "none"]);
    let headers =
        format!("Authorization: Bearer {0}\r\nX-API-Key: {0}\r\nContent-Type: application/json\r\n", server.token);
    for (path, body, id) in [("/api/sandbox", "{}", "id"), ("/sandboxes", r#"{"templateID":"base"}"#, "sandboxID")] {
        let create = || {
            let (status, told) = server.ask("POST", path, &headers, body);
            assert!(status == 200 || status == 201, "{path}: {status} {told}");
            serde_json::from_str::<serde_json::Value>(&told).expect("an object")[id].as_str().expect("an id").to_owned()
        };
        create();
        let from = server.sandboxes.one_ready();
        assert!(create().contains(&from), "{path}");
        assert_eq!(server.sandboxes.shell(&from, "echo here").stdout, "here\n");
        server.sandboxes.done(&["rm", "-f", &from]);
    }
    let sandboxes = server.kill();
    assert!(
        eventually(20, || sandboxes.leavings().iter().all(|name| !name.starts_with("ready."))),
        "{:?}",
        sandboxes.leavings()
    );
}
