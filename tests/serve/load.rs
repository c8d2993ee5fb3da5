//! Many clients at once: every answer is right, and nothing is left that was not there before.

use crate::common::chance::{Chance, scaled_from};
use crate::common::eventually;
use crate::server::Server;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Requests in all, of how many clients.
const REQUESTS: usize = 10_000;
const CLIENTS: usize = 50;

/// One connection, for many requests.
struct Client {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Client {
    fn of(server: &Server) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("set a time");
        Client { stream: BufReader::new(stream), token: server.token.clone() }
    }

    fn ask(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat()).expect("say it");
        let (mut line, mut length, mut chunked, mut status) = (String::new(), 0, false, 0);
        loop {
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).expect("read"), 0, "the server closed: {method} {path}");
            let lower = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().expect("a status");
            }
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
            chunked |= lower == "transfer-encoding: chunked";
            if lower.is_empty() {
                break;
            }
        }
        let mut told = vec![0; length];
        self.stream.read_exact(&mut told).expect("read");
        while chunked {
            line.clear();
            self.stream.read_line(&mut line).expect("read");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
            let mut piece = vec![0; size + 2];
            self.stream.read_exact(&mut piece).expect("read");
            told.extend_from_slice(&piece[..size]);
            chunked = size > 0;
        }
        (status, told)
    }

    fn json(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (status, told) = self.ask(method, path, "application/json", &body);
        (status, serde_json::from_slice(&told).unwrap_or(Value::Null))
    }
}

/// Open descriptors of a process, and its children.
fn held(pid: u32) -> (usize, usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").count();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    (descriptors, children.split_whitespace().count())
}

/// Bytes in memory.
fn resident(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

/// One request of a client's, checked.
fn one(client: &mut Client, chance: &mut Chance, me: usize, at: usize, boxes: &[String]) {
    let id = chance.one(boxes);
    let tool = format!("/toolbox/{id}");
    match chance.below(10) {
        0..4 => {
            let (status, told) = client.json(
                "POST",
                &format!("{tool}/process/execute"),
                &json!({ "command": format!("echo {me}-{at}") }),
            );
            assert_eq!((status, told), (200, json!({ "exitCode": 0, "result": format!("{me}-{at}\n") })));
        }
        4 => {
            let file = format!("/tmp/{me}-{at}");
            let part = "Content-Disposition: form-data; name=\"files[0]";
            let data: Vec<u8> = (0..chance.below(200_000)).map(|byte| (byte * at as u64) as u8 | 0x80).collect();
            let head = format!("--x\r\n{part}.path\"\r\n\r\n{file}\r\n--x\r\n{part}.file\"; filename=\"f\"\r\n\r\n");
            let body = [head.as_bytes(), &data, b"\r\n--x--\r\n"].concat();
            let (status, told) =
                client.ask("POST", &format!("{tool}/files/bulk-upload"), "multipart/form-data; boundary=x", &body);
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&told));
            let (status, told) = client.ask("GET", &format!("{tool}/files/download?path={file}"), "text/plain", b"");
            assert!(status == 200 && told == data, "{status}: {} bytes of {}", told.len(), data.len());
            assert_eq!(client.json("DELETE", &format!("{tool}/files?path={file}"), &Value::Null).0, 204);
        }
        5 => {
            let (status, told) = client.json("GET", &format!("/api/sandbox/{id}"), &Value::Null);
            assert_eq!((status, &told["id"], &told["state"]), (200, &json!(id), &json!("started")));
        }
        6 => {
            let (status, told) = client.json("GET", "/api/sandbox", &Value::Null);
            assert!(
                status == 200
                    && told["items"].as_array().or(told.as_array()).is_some_and(|all| all.len() >= boxes.len()),
                "{told}"
            );
        }
        7 => {
            let (status, told) = client.json("GET", &format!("{tool}/files?path=/tmp"), &Value::Null);
            assert!(status == 200 && told.is_array(), "{told}");
        }
        8 => {
            // What fails is told as such, also when many ask.
            let (status, told) = client.json("GET", &format!("{tool}/files/info?path=/none/{me}"), &Value::Null);
            assert_eq!((status, &told["statusCode"]), (404, &json!(404)), "{told}");
        }
        _ => {
            let (status, made) = client.json("POST", "/api/sandbox", &json!({ "networkBlockAll": true }));
            assert_eq!(status, 200, "{made}");
            let path = format!("/api/sandbox/{}", made["id"].as_str().expect("an id"));
            assert_eq!(client.json("DELETE", &path, &Value::Null).0, 200);
        }
    }
}

#[test]
fn ten_thousand_requests_of_fifty_clients_are_all_answered_and_leave_nothing() {
    let mut server = Server::new("load");
    let pid = server.process().id();
    let mut first = Client::of(&server);
    let boxes: Vec<String> = (0..5)
        .map(|_| {
            let (status, made) = first.json("POST", "/api/sandbox", &json!({ "networkBlockAll": true }));
            assert_eq!(status, 200, "{made}");
            made["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let whole = scaled_from(CLIENTS, REQUESTS);
    let round = |clients: usize, requests: usize, salt: u64| {
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for me in 0..clients {
                let (server, boxes, done) = (&server, &boxes, &done);
                scope.spawn(move || {
                    let (mut client, mut chance) = (Client::of(server), Chance::new(&format!("load-{salt}-{me}")));
                    for at in 0..requests / clients {
                        one(&mut client, &mut chance, me, at, boxes);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), requests / clients * clients);
    };
    // All of them once: what is kept for the next request is there then.
    round(CLIENTS, CLIENTS * 2, 1);
    drop(first);
    assert!(eventually(20, || held(pid).1 <= 1), "{:?}", held(pid));
    let (before, memory) = (held(pid), resident(pid));
    round(CLIENTS, whole, 1000);
    assert!(eventually(20, || held(pid) <= before), "before {before:?}, now {:?}", held(pid));
    let grown = resident(pid).saturating_sub(memory);
    assert!(grown < 64 << 20, "it has grown by {grown} bytes");
    assert_eq!(server.sandboxes.states().len(), boxes.len());
}
