//! CPU time that is used where nobody looks: by processes that come and go, by threads that show another state than their process.

use crate::common::{Scratch, bind, python_result, stdout};
use serde_json::Value;

/// Python in which `burn` spends some milliseconds, and every process leaves in a file what its own clock says it has used.
const CLOCKS: &str = "
import ctypes, mmap, os, signal, struct, sys, threading, time
clocks = open('/mnt/clocks', 'r+b') if os.path.exists('/mnt/clocks') else None
clocks = mmap.mmap(clocks.fileno(), 1 << 20) if clocks else mmap.mmap(-1, 1 << 20)
end, slot = time.time() + SECONDS, 0
def used(): return sum(struct.unpack('131072d', clocks))
def note(): struct.pack_into('d', clocks, 8 * slot, time.process_time())
def burn(milliseconds):
  until = time.process_time() + milliseconds / 1000
  while time.process_time() < until: pass
  note()
def gone(pid):
  try: os.kill(pid, 0)
  except ProcessLookupError: return True
";

/// Each with what it does until `end`.
const WAYS: [(&str, &str); 4] = [
    (
        "children that nobody waits for",
        "
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while time.time() < end:
  slot += 1; pid = os.fork()
  if not pid: burn(3 + slot % 6); os._exit(0)
  while not gone(pid) and time.time() < end: time.sleep(0.0002)
slot = 0; note(); print(used())",
    ),
    (
        "children of which the first thread sleeps",
        "
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while time.time() < end:
  slot += 1; pid = os.fork()
  if not pid:
    threading.Thread(target=lambda: (burn(5), os._exit(0))).start(); time.sleep(9)
  while not gone(pid) and time.time() < end: time.sleep(0.0002)
slot = 0; note(); print(used())",
    ),
    (
        "a chain in which each one starts the next and ends",
        "
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if not os.fork():
  while time.time() < end:
    slot += 1; burn(4)
    if os.fork(): os._exit(0)
  os._exit(0)
while time.time() < end: time.sleep(0.05)
time.sleep(0.1); print(used())",
    ),
    (
        "a process whose first thread has ended",
        "
def spin():
  while time.time() < end: note()
  print(used(), flush=True); os._exit(0)
threading.Thread(target=spin).start()
ctypes.CDLL(None).syscall(60, 0)",
    ),
];

fn run(options: &[&str], seconds: u32, way: &str) -> Value {
    let code = format!("{}{way}", CLOCKS.replace("SECONDS", &seconds.to_string()));
    python_result(options, &code)
}

#[test]
fn whoever_comes_and_goes_has_no_more_cpus_than_allowed() {
    for (way, code) in WAYS {
        let result = run(&["--cpus", "0.2"], 2, code);
        let used: f64 = stdout(&result).trim().parse().unwrap_or_else(|_| panic!("{way}: {result}"));
        println!("{way}: {used:.3} s of 0.4");
        assert!(used < 0.65, "{way}: {used} s, {result}");
        let told = result["usage"]["cpu_ms"].as_f64().unwrap_or_default() / 1000.0;
        assert!(told > used / 2.0, "{way}: {used} s, {result}");
    }
}

#[test]
fn whoever_comes_and_goes_uses_up_the_cpu_time() {
    let scratch = Scratch::new("clocks");
    for (way, code) in WAYS {
        let clocks = scratch.file("clocks", vec![0; 1 << 20]);
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&clocks, open).expect("chmod");
        let mount = bind(&scratch.0, "/mnt:rw");
        let options = ["--cpus", "4", "--cpu-time", "1s", "--timeout", "60s", "--mount", &mount];
        let result = run(&options, 50, code);
        assert_eq!(result["status"], "cpu_time_exceeded", "{way}: {result}");
        // What a process has used that was killed in the middle is not among them.
        let bytes = std::fs::read(&clocks).expect("read");
        let used: f64 = bytes.as_chunks::<8>().0.iter().map(|clock| f64::from_ne_bytes(*clock)).sum();
        println!("{way}: {used:.3} s of 1");
        assert!(used < 2.0, "{way}: {used} s, {result}");
    }
}

/// What is waited for is read, and not guessed.
#[test]
fn children_that_are_waited_for_count_once() {
    let code = "
import resource
while time.time() < end:
  if not os.fork(): burn(5); os._exit(0)
  os.wait(); time.sleep(0.003)
print(sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))";
    let result = run(&["--cpus", "4"], 2, code);
    let used: f64 = stdout(&result).trim().parse().expect("a number");
    let told = result["usage"]["cpu_ms"].as_f64().expect("a number") / 1000.0;
    // The sandbox's own making counts too, and takes its time on a busy machine; twice would be more than that.
    assert!(told >= used - 0.02 && told < used * 1.1 + 0.2, "{used} s, {result}");
}
