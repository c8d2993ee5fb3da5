//! `--publish`: a port of the sandbox is reached from the host, and nothing gets out by it.

use crate::common::ports::{connect, free_port, get, is_closed, is_reset, local, noise, publisher_of, reset};
use crate::common::ranges::ranged;
use crate::common::{Started, call, command, eventually, is_root, python, result, shell, shell_result, stdout};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, TcpListener};
use std::time::Duration;

/// A server of the sandbox: takes one connection after another, and does with each what the code `each` says of `one`.
fn server(each: &str) -> String {
    format!(
        "import socket, struct, sys, threading\n\
         s = socket.create_server(('127.0.0.1', 8000), backlog=1024)\n\
         def serve(one):\n{}\n\
         print('ready', flush=True)\n\
         while True:\n    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()\n",
        each.lines().map(|line| format!("    {line}\n")).collect::<String>()
    )
}

const ECHO: &str =
    "while True:\n    data = one.recv(1 << 16)\n    if not data: break\n    one.sendall(data)\none.close()";

/// `belljar code python` with that code, once it has printed a line, and the port of the host that leads to its port 8000.
fn serving(options: &[&str], code: &str) -> (Started, u16) {
    let port = free_port();
    let publish = format!("{port}:8000");
    let words = [&["code", "python", "--publish", &publish][..], options, &["-e", code]].concat();
    let mut started = Started::new(&mut command(words));
    assert_eq!(started.first_line(), "ready");
    (started, port)
}

fn end(started: Started) {
    started.signal(Signal::SIGTERM);
    started.finish();
}

#[test]
fn a_server_inside_is_reached_from_the_host_and_gone_with_the_sandbox() {
    let port = free_port();
    let publish = format!("{port}:8000");
    let script = "mkdir -p /tmp/w; cd /tmp/w; echo hello > f; exec python3 -m http.server 8000 --bind 127.0.0.1";
    let started = Started::new(&mut command(["run", "--publish", &publish, "--", "sh", "-c", script]));
    let answer = get(port, "/f");
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("hello\n"), "{answer}");
    end(started);
    assert!(is_closed(port));
}

#[test]
fn a_port_for_which_any_was_asked_is_told_at_once_and_in_the_result() {
    let words = ["run", "--json", "--publish", "0:8000", "--publish", "[::1]:0:81", "--", "true"];
    let run = call(words);
    let published = &result(&run)["published"];
    let port = published[0]["port"].as_u64().expect("a port");
    assert!(port > 0);
    assert_eq!((&published[0]["address"], &published[0]["to"]), (&"127.0.0.1".into(), &8000.into()));
    assert_eq!((&published[1]["address"], &published[1]["to"]), (&"::1".into(), &81.into()));
    let line = format!("belljar: 127.0.0.1:{port} leads to port 8000 inside\n");
    assert!(run.stderr.starts_with(&line), "{run:?}");
    assert_eq!(shell_result(&[], "true")["published"], serde_json::json!([]));
}

#[test]
fn the_end_of_what_one_side_sends_is_passed_on_and_the_other_side_goes_on() {
    // It hears all before it answers.
    let (started, port) = serving(
        &[],
        &server("n = 0\nwhile (data := one.recv(1 << 16)): n += len(data)\none.sendall(b'%d' % n)\none.close()"),
    );
    let mut stream = local(port);
    stream.write_all(&noise(300_000)).expect("send");
    stream.shutdown(Shutdown::Write).expect("end");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("hear");
    assert_eq!(answer, "300000");
    end(started);
    // It ends its side first, and goes on to listen.
    let each = "one.sendall(b'bye')\none.shutdown(socket.SHUT_WR)\nprint(one.recv(99), one.recv(99), flush=True)";
    let (mut started, port) = serving(&[], &server(each));
    let mut stream = local(port);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("hear");
    assert_eq!(answer, "bye");
    stream.write_all(b"still here").expect("send");
    drop(stream);
    assert_eq!(started.first_line(), "b'still here' b''");
    end(started);
}

#[test]
fn ten_megabytes_go_both_ways_at_once_and_come_as_they_were() {
    let (started, port) = serving(&[], &server(ECHO));
    let sent = noise(10 << 20);
    let mut stream = local(port);
    let mut writer = stream.try_clone().expect("a second descriptor");
    let bytes = sent.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(&bytes).expect("send");
        writer.shutdown(Shutdown::Write).expect("end");
    });
    let mut came = Vec::new();
    stream.read_to_end(&mut came).expect("hear");
    thread.join().expect("join the writer");
    assert!(came == sent, "{} of {} bytes, or others", came.len(), sent.len());
    end(started);
}

#[test]
fn a_thousand_connections_at_once_are_served() {
    let code = "import asyncio, resource\n\
                resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n\
                async def echo(reader, writer):\n    \
                    while data := await reader.read(9):\n        writer.write(data)\n    writer.close()\n\
                async def main():\n    \
                    server = await asyncio.start_server(echo, '127.0.0.1', 8000, backlog=2048)\n    \
                    print('ready', flush=True)\n    await server.serve_forever()\n\
                asyncio.run(main())";
    let (started, port) = serving(&[], code);
    // Twice, since the first thousand has to leave room for the second.
    for _ in 0..2 {
        let mut streams: Vec<_> = (0..1000).map(|_| local_at_once(port)).collect();
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&[number as u8; 3]).expect("send");
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let mut answer = [0; 3];
            stream.read_exact(&mut answer).expect("hear");
            assert_eq!(answer, [number as u8; 3], "connection {number}");
        }
        drop(streams);
        // Each is over on both sides when its slot is free again.
        let publisher = publisher_of(started.pid().as_raw());
        let status = || std::fs::read_to_string(format!("/proc/{publisher}/net/sockstat")).unwrap_or_default();
        let inside = |text: String| {
            text.lines().find_map(|line| line.strip_prefix("TCP: inuse ")?.split(' ').next()?.parse::<u32>().ok())
        };
        assert!(eventually(20, || inside(status()).is_some_and(|count| count < 10)), "{}", status());
    }
    end(started);
}

#[test]
fn a_port_is_published_whatever_the_network() {
    for net in [&["--net", "none"][..], &["--net", "open"], &["--allow", "192.0.2.1:443"]] {
        // One that listens at every address, since there may be another than the loopback's.
        let (started, port) = serving(net, &server(ECHO).replace("'127.0.0.1'", "''"));
        let mut stream = local(port);
        stream.write_all(b"x").expect("send");
        stream.read_exact(&mut [0]).expect("hear");
        end(started);
        assert!(is_closed(port));
    }
}

/// A connection to something that is known to be there.
fn local_at_once(port: u16) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set a time");
    stream
}

#[test]
fn where_nobody_listens_inside_a_connection_is_reset() {
    let (started, port) = serving(&[], "import time\nprint('ready', flush=True)\ntime.sleep(60)");
    assert!(is_reset(port) && is_reset(port));
    end(started);
}

#[test]
fn a_server_on_the_ipv6_loopback_alone_is_reached_too() {
    let code = server(ECHO).replace("('127.0.0.1', 8000)", "('::1', 8000), family=socket.AF_INET6");
    let port = free_port();
    let publish = format!("[::1]:{port}:8000");
    let mut started = Started::new(&mut command(["code", "python", "--publish", &publish, "-e", &code]));
    assert_eq!(started.first_line(), "ready");
    let mut stream = connect((Ipv6Addr::LOCALHOST, port));
    stream.write_all(b"x").expect("send");
    stream.read_exact(&mut [0]).expect("hear");
    end(started);
}

#[test]
fn a_reset_of_one_side_is_one_of_the_other() {
    let each = "try:\n    one.sendall(b'x'); one.recv(9)\n    while one.recv(9): pass\n    print('ended', flush=True)\n\
                except ConnectionResetError: print('reset', flush=True)";
    let (mut started, port) = serving(&[], &server(each));
    let mut stream = local(port);
    stream.read_exact(&mut [0]).expect("hear");
    stream.write_all(b"y").expect("send");
    std::thread::sleep(Duration::from_millis(100));
    reset(stream);
    assert_eq!(started.first_line(), "reset");
    end(started);
    let each = "one.recv(1)\none.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\none.close()";
    let (started, port) = serving(&[], &server(each));
    let mut stream = local(port);
    stream.write_all(b"x").expect("send");
    let error = stream.read(&mut [0]).expect_err("no end, but a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    end(started);
}

#[test]
fn a_slow_reader_holds_the_writer_back() {
    let each = "n = 0\none.settimeout(1)\ntry:\n    while True: n += one.send(b'x' * 65536)\nexcept TimeoutError: print(n, flush=True)";
    let (mut started, port) = serving(&[], &server(each));
    let stream = local(port);
    let sent: u64 = started.first_line().parse().expect("a number");
    // What two sockets on each side, and a pipe, have room for.
    assert!(sent > 0 && sent < 16 << 20, "{sent}");
    drop(stream);
    end(started);
}

#[test]
fn what_was_sent_before_the_end_of_the_sandbox_is_delivered() {
    let code = "import socket\ns = socket.create_server(('127.0.0.1', 8000))\nprint('ready', flush=True)\n\
                one = s.accept()[0]\none.recv(1)\none.sendall(b'x' * 2000000)\none.close()";
    let (started, port) = serving(&[], code);
    // Not by `local`, which would be the one that is served; the port is known to be there.
    let mut stream = local_at_once(port);
    stream.write_all(b"x").expect("send");
    let mut came = Vec::new();
    stream.read_to_end(&mut came).expect("hear");
    assert_eq!(came.len(), 2_000_000);
    assert_eq!(started.finish().code, Some(0));
}

#[test]
fn ports_that_cannot_be_had_are_an_error_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = taken.local_addr().expect("a port").port();
    let run = shell(&["--publish", &format!("{port}:80")], "echo ran");
    let said = format!(
        "belljar: publish: 127.0.0.1:{port} is in use\nhint: give `--publish` another port of the host, or 0 for any that is free\n"
    );
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (Some(125), "", said));
    let result = shell_result(&["--publish", &format!("{port}:80")], "echo ran");
    assert_eq!((&result["error"]["kind"], &result["error"]["fields"][0]), (&"invalid".into(), &"publish".into()));
    if !is_root() {
        let run = shell(&["--publish", "80:80"], "echo ran");
        assert!(run.stderr.starts_with("belljar: publish: 127.0.0.1:80 is a privileged port\nhint: give "), "{run:?}");
        assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
    }
    let run = shell(&["--net", "host", "--publish", "0:80"], "echo ran");
    let said = "belljar: publish: with the host's network the sandbox's ports are the host's already\n\
                hint: leave `--publish` out, or leave `--net host` out\n";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(125), "", said));
}

#[test]
fn from_inside_a_published_port_leads_nowhere() {
    let host = TcpListener::bind("127.0.0.1:0").expect("listen");
    let (beside, published) = (host.local_addr().expect("a port").port(), free_port());
    let code = format!(
        "import os, socket\n\
         def reach(port):\n\
         \x20   try: socket.create_connection(('127.0.0.1', port), timeout=3); return 'reached'\n\
         \x20   except OSError as error: return error.strerror\n\
         print(reach({beside}), reach({published}), sep=',')\n\
         print([line.split()[1] for line in open('/proc/net/unix').readlines()[1:]])\n\
         print(sorted(int(pid) for pid in os.listdir('/proc') if pid.isdigit()) == [1, os.getpid()])\n"
    );
    for net in [&["--net", "none"][..], &["--net", "open"]] {
        let publish = format!("{published}:8000");
        let run = python(&[net, &["--json", "--publish", &publish]].concat(), &code);
        assert_eq!(stdout(&result(&run)), "Connection refused,Connection refused\n[]\nTrue\n", "{run:?}");
    }
    // Nobody had come to the host's own port.
    host.set_nonblocking(true).expect("do not wait");
    assert!(host.accept().is_err());
}

#[test]
fn the_publisher_has_no_privileges_and_is_in_nobodys_way() {
    let (started, port) = serving(&[], &server(ECHO));
    local(port);
    let publisher = publisher_of(started.pid().as_raw());
    let status = std::fs::read_to_string(format!("/proc/{publisher}/status")).expect("read its status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').split_whitespace().next().unwrap_or_default().to_owned()
    };
    assert_eq!(["CapEff", "CapPrm", "CapInh", "CapAmb"].map(field), ["0000000000000000"; 4]);
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".to_owned(), "2".to_owned()));
    // A process of its own session is not ended by the terminal's Ctrl-C; it is in no namespace of processes of the sandbox.
    assert_eq!(field("NSpid").split(' ').count(), 1);
    assert_eq!(nix::unistd::getsid(Some(Pid::from_raw(publisher))), Ok(Pid::from_raw(publisher)));
    if is_root() {
        assert_eq!(field("Uid"), "65534");
    }
    end(started);
}

#[test]
fn a_publisher_that_is_killed_is_told_in_the_result_and_the_command_goes_on() {
    let port = free_port();
    let code = server(ECHO).replace("while True:\n    threading", "sys.stdin.read(1)\nwhile False:\n    threading");
    let command = command(["code", "python", "--status-fd", "3", "--publish", &format!("{port}:8000"), "-e", &code]);
    let scratch = crate::common::Scratch::new("published");
    let status = scratch.file("status", "");
    // A shell opens the descriptor.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("exec \"$@\" 3>'{}'", status.display()), "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = shell
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("start belljar");
    let publisher = publisher_of(child.id() as i32);
    // Once it serves, its end is one that came early.
    assert!(eventually(10, || std::fs::read_to_string(format!("/proc/{publisher}/status"))
        .is_ok_and(|status| status.contains("Seccomp:\t2"))));
    std::thread::sleep(Duration::from_millis(100));
    nix::sys::signal::kill(Pid::from_raw(publisher), Signal::SIGKILL).expect("kill it");
    assert!(eventually(5, || is_closed(port)));
    child.stdin.take().expect("a pipe").write_all(b"x").expect("go on");
    let output = child.wait_with_output().expect("wait for belljar");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let why = "its publisher was ended by SIGKILL";
    let said = format!("belljar: publish: 127.0.0.1:{port} was closed before the end: {why}\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&status).expect("read the status")).expect("an object");
    assert_eq!(told["published"][0]["lost"], why);
}

#[test]
fn with_its_supervisor_a_published_port_is_gone() {
    let (started, port) = serving(&[], &server(ECHO));
    let mut stream = local(port);
    let publisher = publisher_of(started.pid().as_raw());
    started.signal(Signal::SIGKILL);
    started.finish();
    assert!(eventually(5, || is_closed(port)));
    assert!(eventually(5, || !std::path::Path::new(&format!("/proc/{publisher}/exe")).exists()
        || nix::sys::wait::waitpid(Pid::from_raw(publisher), Some(nix::sys::wait::WaitPidFlag::WNOHANG)).is_ok()));
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_sandbox_with_a_range_of_ids_is_reached_too() {
    if !ranged() {
        return;
    }
    let (started, port) = serving(&["--userns", "range"], &server(ECHO));
    let mut stream = local(port);
    stream.write_all(b"x").expect("send");
    stream.read_exact(&mut [0]).expect("hear");
    end(started);
}

#[test]
fn the_publisher_takes_none_of_the_sandboxs_processes() {
    // The shell and four more; the fifth is one too many, as long as none of them has ended, and ends the shell.
    for (count, seconds, code) in [(4, 1, 0), (5, 20, 2)] {
        let script = format!("{} wait", format!("sleep {seconds} & ").repeat(count));
        let run = shell(&["--pids", "5", "--publish", "0:80"], &script);
        assert_eq!(run.code, Some(code), "{run:?}");
    }
}

#[test]
fn a_dry_run_opens_no_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let publish = format!("{}:80", taken.local_addr().expect("a port").port());
    let run = shell(&["--publish", &publish, "--dry-run"], "true");
    assert_eq!(run.code, Some(0), "{run:?}");
}
