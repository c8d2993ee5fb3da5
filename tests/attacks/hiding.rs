//! Memory that a command hides from the supervisor, where that holds the memory limit by looking: the list of a process's
//! open files is its user's, and nobody's where the process is not dumpable.

use crate::common::{ended, installed, python, python_result};
use serde_json::json;

/// Most profiles have no files in memory.
const DEBUG: [&str; 2] = ["--seccomp", "debug"];

/// Not dumpable: nobody reads the list of its files.
const HIDE: &str = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n";

/// Python that fills a file in memory with so many MiB.
fn fill(mebibytes: u32) -> String {
    format!(
        "import os\nfd = os.memfd_create('x')\nfor _ in range({mebibytes}): os.write(fd, bytes(1 << 20))\nprint('done')"
    )
}

#[test]
fn files_in_memory_that_a_process_hides_count() {
    let code = format!("{HIDE}{}", fill(600));
    let result = python_result(&[&["--memory", "128M"], &DEBUG[..]].concat(), &code);
    assert_eq!((&result["status"], &result["stdout"]), (&"out_of_memory".into(), &"".into()), "{result}");
}

#[test]
fn a_process_that_hides_its_files_and_stays_below_the_limit_runs() {
    let code = format!("{HIDE}{}", fill(32));
    let run = python(&[&["--memory", "1G"], &DEBUG[..]].concat(), &code);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "done\n"), "{}", run.stderr);
}

#[test]
fn a_program_that_may_be_run_and_not_read_hides_nothing() {
    let code = format!(
        "import os, shutil, sys\nshutil.copy(os.path.realpath(sys.executable), '/tmp/p'); os.chmod('/tmp/p', 0o111)\nos.execv('/tmp/p', ['python3', '-c', {:?}])",
        fill(600)
    );
    let result = python_result(&[&["--memory", "128M"], &DEBUG[..]].concat(), &code);
    assert_eq!((&result["status"], &result["stdout"]), (&"out_of_memory".into(), &"".into()), "{result}");
}

const MAPPINGS: &str = "
import ctypes, os, socket, time
L = ctypes.CDLL(None, use_errno=True)
L.mmap.restype = L.shmat.restype = ctypes.c_void_p
L.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
L.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
L.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
L.shmdt.argtypes = [ctypes.c_void_p]
def shared(mebibytes): return L.mmap(None, mebibytes << 20, 3, 0x21, -1, 0)
def fill(address, mebibytes): ctypes.memset(address, 1, mebibytes << 20)
";

/// Nobody has it mapped any more, and it is there all the same.
#[test]
fn memory_that_was_let_go_of_and_not_given_back_counts() {
    let ways = [
        "p = shared(64); fill(p, 64); L.madvise(p, 64 << 20, 4)",
        "p = shared(64); fill(p, 64); L.munmap(p + 4096, (64 << 20) - 4096)",
        "p = shared(16)\n  if os.fork() == 0: fill(p, 16); os._exit(0)\n  os.wait(); L.munmap(p + 4096, (16 << 20) - 4096)",
        "p = L.shmat(L.shmget(0, 16 << 20, 0o1600), None, 0); fill(p, 16); L.shmdt(p)",
    ];
    for way in ways {
        let code = format!("{MAPPINGS}\nfor i in range(30):\n  {way}\ntime.sleep(1); print('kept')");
        let result = python_result(&["--memory", "128M"], &code);
        assert_eq!((&result["status"], &result["stdout"]), (&"out_of_memory".into(), &"".into()), "{way}: {result}");
    }
}

#[test]
fn memory_of_the_kernel_counts_that_a_sandbox_has_it_use() {
    let ways = [
        "[L.semget(0, 32000, 0o1600) for i in range(400)]",
        "pairs = [socket.socketpair() for i in range(500)]\n[a.setblocking(False) for a, b in pairs]\nfor a, b in pairs * 8:\n  try: a.send(bytes(60000))\n  except OSError: pass",
        "for i in range(60):\n  if os.fork() == 0: break\nheld = []\nfor i in range(1000):\n  r, w = os.pipe(); os.set_blocking(w, False)\n  try:\n    while os.write(w, bytes(4096)): pass\n  except OSError: pass\n  os.close(w); held.append(r)",
        "for i in range(200):\n  p = L.mmap(None, 1 << 30, 1, 0x4022, -1, 0); L.madvise(p, 1 << 30, 15); L.madvise(p, 1 << 30, 22)",
    ];
    for way in ways {
        let code = format!("{MAPPINGS}\n{way}\ntime.sleep(2); print('kept')");
        // What is seen is that the host uses more. Somebody who lets go of as much at the same moment hides that, as the way before this
        // one does while the kernel still takes down what it had.
        let caught = (0..3).find_map(|_| {
            settle();
            let result = python_result(&["--memory", "64M", "--timeout", "60s"], &code);
            println!("{way}: {result}");
            (result["status"] == "out_of_memory").then_some(result)
        });
        assert_eq!(caught.expect("it counts")["stdout"], "", "{way}");
    }
}

/// Waits until what the kernel uses on the host stands still, as far as it ever does.
fn settle() {
    let used = || {
        let text = std::fs::read_to_string("/proc/meminfo").expect("read");
        let of = |key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_ascii_whitespace().nth(1).and_then(|word| word.parse::<i64>().ok()).unwrap_or(0)
        };
        let known = ["MemFree:", "Buffers:", "Cached:", "AnonPages:", "SReclaimable:"].map(of);
        of("MemTotal:") - known.iter().sum::<i64>()
    };
    let mut before = used();
    for _ in 0..50 {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = used();
        if (now - before).abs() < 4 << 10 {
            return;
        }
        before = now;
    }
}

#[test]
fn whoever_shares_memory_and_opens_sockets_and_stays_below_the_limit_runs() {
    let code = format!(
        "{MAPPINGS}\np = shared(64); fill(p, 8); pairs = [socket.socketpair() for i in range(300)]\ntime.sleep(1); print('done')"
    );
    let run = python(&["--memory", "256M"], &code);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "done\n"), "{}", run.stderr);
}

/// To look at a process takes the longer the more mappings it has; the deadline is kept by timers that look at nothing.
#[test]
fn the_deadline_holds_however_much_there_is_to_look_at() {
    if !installed("python3") {
        return;
    }
    let code = "import ctypes, os, time\n\
        libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p\n\
        for _ in range(40):\n\
        \x20   if os.fork() == 0: break\n\
        start = libc.mmap(None, ctypes.c_size_t(60000 << 12), 0, 0x22, -1, 0)\n\
        for page in range(0, 60000, 2): libc.mprotect(ctypes.c_void_p(start + (page << 12)), 4096, 1)\n\
        time.sleep(60)";
    let result = python_result(&["--timeout", "3s", "--memory", "4G"], code);
    assert_eq!(ended(&result), ("timed_out", &json!(null), &json!("SIGKILL")), "{result}");
    let wall = result["usage"]["wall_ms"].as_u64().expect("a number");
    assert!((3000..4500).contains(&wall), "{result}");
}
