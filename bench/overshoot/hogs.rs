//! Programs that take all they can get, run inside; and a witness outside.

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use std::fs::{self, File};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CHUNK: usize = 1 << 20;

/// What grows outside while a hog rages inside: memory of the whole host, looked at all the time.
pub struct Witness {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Witness {
    /// Starts looking.
    pub fn start() -> Witness {
        let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let before = host();
        let (stopped, highest) = (Arc::clone(&stop), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(host().saturating_sub(before), Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Witness { stop, peak, thread }
    }

    /// Bytes by which it had grown at most.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("join the witness");
        self.peak.load(Ordering::Relaxed)
    }
}

/// Bytes of private and of shared memory of the host.
fn host() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("read /proc/meminfo");
    let of = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    of("AnonPages:") + of("Shmem:")
}

/// Forks `count - 1` times; all of them go on.
fn multiply(count: usize) {
    for _ in 1..count {
        // SAFETY: this program has one thread when it rages.
        #[allow(unsafe_code)]
        if unsafe { fork() }.is_ok_and(|side| matches!(side, ForkResult::Child)) {
            return;
        }
    }
}

/// `true` in a new child, `false` in its parent; none when there was none.
fn child() -> Option<bool> {
    // SAFETY: this program has one thread when it rages.
    #[allow(unsafe_code)]
    unsafe { fork() }.ok().map(|side| matches!(side, ForkResult::Child))
}

fn spin_for(time: Option<Duration>) {
    let begun = Instant::now();
    while time.is_none_or(|time| begun.elapsed() < time) {
        std::hint::spin_loop();
    }
}

/// Takes all it can get of what `hog` says.
pub fn rage(hog: &str, count: usize) -> ExitCode {
    match hog {
        "memory" => {
            multiply(count);
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1u8; CHUNK]);
            }
        }
        "shared" => {
            let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            loop {
                // SAFETY: a new mapping, of which the whole length is written.
                #[allow(unsafe_code)]
                unsafe {
                    let mapped = libc::mmap(std::ptr::null_mut(), CHUNK, access, flags, -1, 0);
                    assert_ne!(mapped, libc::MAP_FAILED);
                    mapped.cast::<u8>().write_bytes(1, CHUNK);
                }
            }
        }
        "files" => {
            let mut file = File::create("/tmp/file").expect("make a file");
            loop {
                file.write_all(&[1; CHUNK]).expect("write it");
            }
        }
        "fill" => println!("{}", fill()),
        "inodes" => println!("{}", (0u64..).take_while(|name| File::create(format!("/tmp/{name}")).is_ok()).count()),
        "spin" => {
            multiply(count);
            spin_for(None);
        }
        "chain" => loop {
            if child() == Some(true) {
                spin_for(Some(Duration::from_millis(3)));
                return ExitCode::SUCCESS;
            }
            let _ = waitpid(None, None);
        },
        "bomb" => loop {
            let _ = child();
        },
        "children" => println!("{}", children()),
        "sleep" => std::thread::sleep(Duration::from_secs(600)),
        "shout" => loop {
            if std::io::stdout().write_all(&[b'x'; 4096]).is_err() {
                return ExitCode::FAILURE;
            }
        },
        other => panic!("no hog `{other}`"),
    }
    ExitCode::SUCCESS
}

/// Bytes that fit into one file.
fn fill() -> u64 {
    let mut file = File::create("/tmp/file").expect("make a file");
    while file.write_all(&[1; 4096]).is_ok() {}
    file.metadata().expect("its size").len()
}

/// Processes that there can be, this one included.
fn children() -> u64 {
    let mut count = 1;
    loop {
        match child() {
            Some(true) => std::thread::sleep(Duration::from_secs(600)),
            Some(false) => count += 1,
            None => return count,
        }
    }
}
