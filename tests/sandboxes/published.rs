//! Published ports of sandboxes that last, `preview`, and `port ls`.

use super::rpc::Driver;
use crate::common::ports::{free_port, get, is_closed, is_reset, local, publisher_of};
use crate::common::sandboxes::Sandboxes;
use crate::common::{Started, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::Read as _;
use std::net::TcpListener;

/// The command of a sandbox with a web server.
const SERVER: [&str; 5] = ["--", "python3", "-m", "http.server", "8000"];

fn create(sandboxes: &Sandboxes, name: &str, options: &[&str]) -> Value {
    let words = [&["create", "--json"][..], options, &[name], &SERVER].concat();
    serde_json::from_str(&sandboxes.done(&words)).expect("an object")
}

fn port_of(published: &Value) -> u16 {
    published[0]["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port")
}

/// A preview that has said where it is.
fn preview(sandboxes: &Sandboxes, words: &[&str]) -> (Started, Value) {
    let words = [&["preview", "--json"][..], words].concat();
    let mut started = Started::new(&mut sandboxes.command(&words));
    let line = started.first_line();
    match serde_json::from_str(&line) {
        Ok(told) => (started, told),
        Err(error) => panic!("{error}: {line}: {:?}", started.finish()),
    }
}

#[test]
fn a_kept_sandbox_has_its_port_as_long_as_it_runs_and_again_when_it_is_started() {
    let sandboxes = Sandboxes::new("published");
    let port = free_port();
    let made = create(&sandboxes, "web", &["--keep", "--publish", &format!("{port}:8000")]);
    let published = json!([{ "address": "127.0.0.1", "port": port, "to": 8000 }]);
    assert_eq!((&made["published"], &sandboxes.inspect("web")["published"]), (&published, &published));
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
    sandboxes.done(&["stop", "web"]);
    assert!(is_closed(port));
    assert_eq!(sandboxes.inspect("web")["published"], json!([]));
    let started: Value = serde_json::from_str(&sandboxes.done(&["start", "--json", "web"])).expect("an object");
    assert_eq!(started["sandboxes"][0]["published"], published, "{started}");
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
}

#[test]
fn of_two_sandboxes_with_the_same_port_the_second_is_an_error_that_leaves_nothing() {
    let sandboxes = Sandboxes::new("published-twice");
    let made = create(&sandboxes, "one", &["--keep", "--publish", "0:8000"]);
    let port = port_of(&made["published"]);
    let publish = format!("{port}:8000");
    let before = sandboxes.leavings().len();
    let run = sandboxes.call(&["create", "--publish", &publish, "two"]);
    let said = format!(
        "belljar: publish: 127.0.0.1:{port} is in use\nhint: give `--publish` another port of the host, or 0 for any that is free\n"
    );
    assert_eq!((run.code, run.stderr), (Some(1), said));
    assert_eq!(sandboxes.leavings().len(), before);
    sandboxes.done(&["stop", "one"]);
    create(&sandboxes, "two", &["--keep", "--publish", &publish]);
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
    // And of one that is started again while somebody has its port.
    sandboxes.done(&["stop", "two"]);
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("take the port");
    let run = sandboxes.call(&["start", "two"]);
    assert!(run.code == Some(1) && run.stderr.contains(&format!("127.0.0.1:{port} is in use")), "{run:?}");
    drop(taken);
    sandboxes.done(&["start", "two"]);
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
}

#[test]
fn a_server_that_is_started_later_is_reached_from_then_on() {
    let sandboxes = Sandboxes::new("published-later");
    sandboxes.create("box", &["--publish", "0:8000"]);
    let port = port_of(&sandboxes.inspect("box")["published"]);
    assert!(is_reset(port));
    sandboxes.done(&[&["exec", "-d", "box"][..], &SERVER].concat());
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
}

#[test]
fn a_copy_of_a_sandbox_does_not_have_its_ports() {
    let sandboxes = Sandboxes::new("published-fork");
    create(&sandboxes, "one", &["--publish", "0:8000"]);
    sandboxes.done(&["fork", "one", "two"]);
    assert_eq!(sandboxes.inspect("two")["published"], json!([]));
}

#[test]
fn a_publisher_that_is_killed_is_told_while_the_sandbox_goes_on() {
    let sandboxes = Sandboxes::new("published-killed");
    let port = port_of(&create(&sandboxes, "web", &["--publish", "0:8000"])["published"]);
    get(port, "/");
    let supervisor = *sandboxes.supervisors().first().expect("a supervisor");
    kill(Pid::from_raw(publisher_of(supervisor)), Signal::SIGKILL).expect("kill it");
    assert!(eventually(5, || is_closed(port)));
    let lost = || sandboxes.inspect("web")["published"][0]["lost"].take();
    assert!(eventually(5, || !lost().is_null()));
    assert_eq!(lost(), "its publisher was ended by SIGKILL");
    assert_eq!(sandboxes.shell("web", "echo there").stdout, "there\n");
    // And with its supervisor everything goes.
    let port = port_of(&create(&sandboxes, "other", &["--publish", "0:8000"])["published"]);
    for supervisor in sandboxes.supervisors() {
        // It may be the publisher, which goes with it.
        let _ = kill(Pid::from_raw(supervisor), Signal::SIGKILL);
    }
    assert!(eventually(5, || is_closed(port)));
}

#[test]
fn a_preview_leads_inside_until_the_sandbox_ends() {
    let sandboxes = Sandboxes::new("preview");
    create(&sandboxes, "web", &[]);
    let (started, told) = preview(&sandboxes, &["web", "8000"]);
    let port = told["port"].as_u64().expect("a port") as u16;
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(told, json!({ "version": 1, "url": url, "address": "127.0.0.1", "port": port, "to": 8000 }));
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
    let mut idle = local(port);
    sandboxes.done(&["stop", "web"]);
    let run = started.finish();
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), "belljar: sandbox: `web` has ended meanwhile: it was stopped\n")
    );
    assert!(is_closed(port));
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_preview_of_rpc_says_where_it_is_and_ends_when_it_is_cancelled() {
    let sandboxes = Sandboxes::new("preview-rpc");
    create(&sandboxes, "web", &[]);
    let mut driver = Driver::new(&sandboxes);
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    driver.asks("p", "preview", json!({ "name": "web", "port": 8000, "listen": listen, "stream": true }));
    assert_eq!(driver.hears()["params"]["data"], format!("http://127.0.0.1:{port}/\n"));
    assert!(get(port, "/").starts_with("HTTP/1.0 200"));
    driver.asks("c", "cancel", json!({ "id": "p" }));
    assert!(eventually(5, || is_closed(port)));
}

#[test]
fn a_preview_ends_with_ctrl_c_and_the_sandbox_goes_on() {
    let sandboxes = Sandboxes::new("preview-interrupted");
    create(&sandboxes, "web", &[]);
    let port = free_port();
    let (started, told) = preview(&sandboxes, &["web", "8000", "--listen", &format!("127.0.0.1:{port}")]);
    assert_eq!(told["port"], port);
    get(port, "/");
    started.signal(Signal::SIGINT);
    assert_eq!(started.end_signal(), Some(Signal::SIGINT as i32));
    assert!(eventually(5, || is_closed(port)));
    assert_eq!(sandboxes.shell("web", "echo there").stdout, "there\n");
}

#[test]
fn a_preview_that_cannot_be_says_why() {
    let sandboxes = Sandboxes::new("preview-refused");
    sandboxes.create("box", &["--keep"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = taken.local_addr().expect("a port").port();
    let said = |words: &[&str]| {
        let run = sandboxes.call(&[&["preview"], words].concat());
        (run.code, run.stderr.lines().next().unwrap_or_default().to_owned())
    };
    let in_use = format!("belljar: listen: 127.0.0.1:{port} is in use");
    assert_eq!(said(&["box", "80", "--listen", &port.to_string()]), (Some(1), in_use));
    assert_eq!(said(&["box", "0"]), (Some(2), "belljar: port: 0 is no port of a sandbox".to_owned()));
    assert_eq!(
        said(&["box", "80", "--listen", "x"]),
        (Some(2), "belljar: listen: `x` is not of the form ADDR:PORT".to_owned())
    );
    assert_eq!(said(&["none", "80"]), (Some(1), "belljar: sandbox: no sandbox `none`".to_owned()));
    sandboxes.done(&["stop", "box"]);
    assert_eq!(said(&["box", "80"]), (Some(1), "belljar: sandbox: `box` is not running".to_owned()));
    sandboxes.create("open", &["--net", "host"]);
    let on_the_host = "belljar: sandbox: the ports of `open` are the host's already".to_owned();
    assert_eq!(said(&["open", "80"]), (Some(1), on_the_host));
}

#[test]
fn a_preview_of_a_sandbox_that_stops_at_that_moment_ends_with_it() {
    let sandboxes = Sandboxes::new("preview-stop");
    for round in 0..4 {
        sandboxes.create("box", &[]);
        let started = Started::new(&mut sandboxes.command(&["preview", "box", "80"]));
        std::thread::sleep(std::time::Duration::from_millis(round * 7));
        sandboxes.done(&["stop", "box"]);
        let run = started.finish();
        let ended = run.stderr.contains("has ended meanwhile")
            || run.stderr.contains("is not running")
            || run.stderr.contains("no sandbox");
        assert!(ended && matches!(run.code, Some(0 | 1)), "{run:?}");
    }
}

#[test]
fn what_listens_inside_is_listed_with_its_program() {
    let sandboxes = Sandboxes::new("port-ls");
    let code = "import socket, time\n\
                a = socket.create_server(('127.0.0.1', 8001)); b = socket.create_server(('::', 8002), family=socket.AF_INET6)\n\
                c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.bind(('0.0.0.0', 53))\n\
                d = socket.create_connection(('127.0.0.1', 8001))\nprint('ready', flush=True)\ntime.sleep(99)";
    let (host, other) = (free_port(), free_port());
    let (publish, to_nothing) = (format!("{host}:8001"), format!("{other}:9"));
    sandboxes.done(&["create", "--publish", &publish, "--publish", &to_nothing, "box", "--", "python3", "-c", code]);
    assert!(eventually(10, || sandboxes.done(&["logs", "box"]) == "ready\n"));
    let listed: Value = serde_json::from_str(&sandboxes.done(&["port", "ls", "--json", "box"])).expect("an object");
    let one = |protocol: &str, address: &str, port: u16| {
        let published = if port == 8001 { vec![format!("127.0.0.1:{host}")] } else { Vec::new() };
        json!({
            "protocol": protocol, "address": address, "port": port, "pid": 2, "program": "python3", "published": published,
        })
    };
    let all = json!([one("tcp", "127.0.0.1", 8001), one("tcp", "::", 8002), one("udp", "0.0.0.0", 53)]);
    let mut ports = listed["ports"].clone();
    // A version may stand in the name: `python3.11`.
    for port in ports.as_array_mut().expect("a list") {
        assert!(port["program"].as_str().expect("a name").starts_with("python3"), "{port}");
        port["program"] = "python3".into();
    }
    assert_eq!(ports, all);
    let people = sandboxes.done(&["port", "ls", "box"]);
    let rows: Vec<Vec<&str>> = people.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PROTOCOL", "ADDRESS", "PORT", "PID", "PROGRAM", "PUBLISHED"]);
    assert_eq!((rows[1][1], rows[1][5]), ("127.0.0.1", format!("127.0.0.1:{host}").as_str()));
    assert_eq!(rows[4], ["tcp", "nothing", "9", "-", "-", &format!("127.0.0.1:{other}")]);
    sandboxes.create("empty", &[]);
    assert_eq!(sandboxes.done(&["port", "ls", "empty"]), "nothing listens\n");
}
