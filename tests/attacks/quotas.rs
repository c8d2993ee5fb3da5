//! What belongs to the user or to the whole machine: one sandbox takes a part of it, so that others go on.

use crate::common::{Scratch, bind, call, python};

/// Python that does something until it is refused, and prints how often that went well.
fn often(what: &str) -> u32 {
    let code = format!(
        "import ctypes, os\nL = ctypes.CDLL(None, use_errno=True)\ncount = 0; kept = []\ntry:\n  while count < 5000:\n    {what}; count += 1\nexcept OSError: pass\nprint(count)"
    );
    let run = python(&[], &code);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.stdout.trim().parse().expect("a number")
}

// The machine has 4096 for all its users.
#[test]
fn a_sandbox_has_64_terminals() {
    assert_eq!(often("kept.append(os.open('/dev/ptmx', os.O_RDWR))"), 64);
}

// The user has 128 on the host.
#[test]
fn a_sandbox_has_16_inotify_instances() {
    assert_eq!(often("assert L.inotify_init() >= 0 or exec('raise OSError')"), 16);
}

// The user has 800 KiB on the host. Landlock may keep a queue from being opened that was made; it is there and counts.
#[test]
fn a_sandbox_has_a_quarter_of_its_users_message_queues() {
    let made = often(
        "assert L.mq_open(f'/q{count}'.encode(), 0o102, 0o600, None) >= 0 or ctypes.get_errno() == 13 or exec('raise OSError')",
    );
    assert!((1..=2).contains(&made), "{made}");
}

// The machine has 65536 requests for all its users (fs.aio-max-nr).
#[test]
fn asynchronous_requests_of_the_machine_are_not_for_a_sandbox() {
    let code = "import ctypes\nL = ctypes.CDLL(None, use_errno=True)\nprint(L.syscall(206, 1024, ctypes.byref(ctypes.c_ulong())), ctypes.get_errno())";
    let run = python(&[], code);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "-1 38\n"), "{}", run.stderr);
}

// The user has 16384 pages of pipes on the host (fs.pipe-user-pages-soft).
#[test]
fn a_pipe_stays_as_large_as_it_is() {
    let code = "import fcntl, os\nr, w = os.pipe()\ntry: fcntl.fcntl(w, 1031, 1 << 20)\nexcept OSError as e: print(e.errno, fcntl.fcntl(w, 1032) <= 65536)";
    let run = python(&[], code);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1 True\n"), "{}", run.stderr);
}

#[test]
fn a_sandbox_is_the_first_to_go_when_the_machine_has_no_memory_left() {
    let run = call(["run", "--", "cat", "/proc/self/oom_score_adj", "/proc/1/oom_score_adj"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1000\n1000\n"), "{run:?}");
}

#[test]
fn every_port_can_be_bound_in_a_network_of_ones_own() {
    let code =
        "import socket\nfor port in (1, 22, 80, 443, 1023): socket.socket().bind(('127.0.0.1', port))\nprint('bound')";
    let run = python(&[], code);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "bound\n"), "{}", run.stderr);
}

// 4200 descriptors on their way through sockets kept every other sandbox of the user from starting.
#[test]
fn whoever_has_descriptors_in_flight_keeps_nobody_else_from_starting() {
    let scratch = Scratch::new("in-flight");
    std::fs::set_permissions(&scratch.0, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let code = "
import os, resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
fd, pairs = os.open('/dev/null', 0), []
try:
  while len(pairs) < 200:
    pairs.append(socket.socketpair())
    for _ in range(5): socket.send_fds(pairs[-1][0], [b'x'], [fd] * 250)
except OSError as error: print(error.errno)
open('/mnt/full', 'w'); time.sleep(60)";
    let mount = bind(&scratch.0, "/mnt:rw");
    let mut command = crate::common::command(["run", "--mount", &mount, "--", "python3", "-c", code]);
    let mut holder = command.stdout(std::process::Stdio::null()).spawn().expect("start belljar");
    let begun = std::time::Instant::now();
    while !scratch.0.join("full").exists() && begun.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let run = call(["run", "--", "echo", "ran"]);
    // It may have ended by itself.
    let _ = holder.kill();
    holder.wait().expect("wait");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "ran\n"), "{run:?}");
}
