//! How large the machine is for the caller, and since when it runs: what the sandbox's own answers to programs that
//! size themselves are made from (`mounts::views`).

use crate::sys::proc;
use nix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Bytes of one read of `/proc/cpuinfo`. The kernel writes a processor's block when it is asked for its first byte,
/// and goes on to the next only where the reader wants more than that block: a small read makes it write one, on a
/// machine of hundreds.
const READ: usize = 512;

/// No processor's block is longer, whatever flags it has.
const LONGEST_DESCRIPTION: usize = 16 << 10;

/// The facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// CPUs that the caller may use, by number: upwards and round, from the one that belljar runs on.
    pub processors: Vec<u32>,
    /// `/proc/cpuinfo` up to the end of the first processor's block; `None` where the kernel knows no such blocks.
    pub description: Option<String>,
    /// Time since the machine started, sleep included.
    pub uptime: Duration,
    /// When that was, in seconds since 1970.
    pub booted: u64,
    /// Whether there is a `/proc/cgroups`; new kernels have it only for the first version of cgroups.
    pub lists_cgroups: bool,
}

impl Machine {
    /// The same with the description, which the kernel takes its time to write.
    pub fn described(self) -> Machine {
        let description = File::open("/proc/cpuinfo").ok().and_then(first_processor);
        Machine { description, ..self }
    }

    /// Looks at the machine, but for its description.
    pub fn probe() -> Machine {
        let clock = |clock| clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
        // Of one moment, as nearly as can be: the kernel's own `btime` is this difference.
        let (now, uptime) = (clock(ClockId::CLOCK_REALTIME), clock(ClockId::CLOCK_BOOTTIME));
        Machine {
            processors: from_current(proc::usable_cpus(), nix::sched::sched_getcpu().ok()),
            description: None,
            uptime,
            booted: now.saturating_sub(uptime).as_secs(),
            lists_cgroups: Path::new("/proc/cgroups").exists(),
        }
    }
}

/// `usable`, which is in ascending order, from `current` on and round.
fn from_current(mut usable: Vec<u32>, current: Option<usize>) -> Vec<u32> {
    let current = current.and_then(|current| u32::try_from(current).ok());
    let place = usable.iter().position(|cpu| Some(*cpu) == current).unwrap_or(0);
    usable.rotate_left(place);
    usable
}

/// What `cpuinfo` says up to the end of the first block that is a processor's. Other blocks may stand before it
/// (`system type`, on some architectures).
fn first_processor(mut cpuinfo: impl Read) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; READ];
    let mut ended = false;
    while !ended && text.len() < LONGEST_DESCRIPTION {
        match cpuinfo.read(&mut buffer) {
            Ok(0) => ended = true,
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
        if let Some(end) = end_of_first_processor(&text, ended) {
            text.truncate(end);
            // The name of a processor is whatever its maker wrote there.
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
    }
    None
}

/// Where the first processor's block ends: after the empty line behind it or, of a text that `ended`, at its end.
fn end_of_first_processor(text: &[u8], ended: bool) -> Option<usize> {
    let (mut end, mut inside) = (0, false);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        inside |= is_processor(line);
        if inside && line == b"\n" {
            return Some(end);
        }
    }
    (inside && ended).then_some(end)
}

fn is_processor(line: &[u8]) -> bool {
    line.split(|byte| *byte == b':').next().is_some_and(|key| key.trim_ascii() == b"processor") && line.contains(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cpu_is_the_one_that_is_run_on() {
        assert_eq!(from_current(vec![0, 1, 4, 5], Some(4)), [4, 5, 0, 1]);
        // Moved away meanwhile, or nobody says.
        assert_eq!(from_current(vec![2, 3], Some(7)), [2, 3]);
        assert_eq!(from_current(vec![2, 3], None), [2, 3]);
    }

    /// Hands out `text` in pieces of a few bytes, and counts them.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(7).min(buffer.len());
            let (piece, rest) = self.0.split_at(length);
            buffer[..length].copy_from_slice(piece);
            (self.0, self.1) = (rest, self.1 + length);
            Ok(length)
        }
    }

    #[test]
    fn no_more_is_read_than_the_first_processor() {
        let text = "processor\t: 0\nmodel name\t: A\n\nprocessor\t: 1\nmodel name\t: A\n\n".repeat(100);
        let mut pieces = Pieces(text.as_bytes(), 0);
        assert_eq!(first_processor(&mut pieces).as_deref(), Some("processor\t: 0\nmodel name\t: A\n\n"));
        assert!(pieces.1 < 40, "{} bytes read", pieces.1);
    }

    #[test]
    fn what_stands_before_the_first_processor_is_kept() {
        let loongson = "system type\t\t: generic\n\nprocessor\t\t: 0\npackage\t\t\t: 0\n\nprocessor\t\t: 1\n\n";
        let first = "system type\t\t: generic\n\nprocessor\t\t: 0\npackage\t\t\t: 0\n\n";
        assert_eq!(first_processor(Pieces(loongson.as_bytes(), 0)).as_deref(), Some(first));
    }

    #[test]
    fn odd_descriptions_are_taken_as_they_are_or_not_at_all() {
        let first = |text: &[u8]| first_processor(Pieces(text, 0));
        // Nothing behind the last block; a name that is no UTF-8.
        assert_eq!(first(b"processor: 0\nmodel name: A").as_deref(), Some("processor: 0\nmodel name: A"));
        assert_eq!(
            first(b"processor: 0\nmodel name: \xff\n\n").as_deref(),
            Some("processor: 0\nmodel name: \u{fffd}\n\n")
        );
        // No block that is a processor's, as on s390; nothing at all; no end.
        let mainframe =
            b"vendor_id : IBM/S390\n# processors : 2\nprocessor 0: version = FF\nprocessor 1: version = FF\n\n";
        assert_eq!(first(mainframe), None);
        assert_eq!(first(b""), None);
        assert_eq!(first(b"processors\n\nprocessor\n\n"), None);
        assert_eq!(first(&b"processor: 0\n".repeat(10_000)), None);
    }

    #[test]
    fn this_machine_has_a_processor_that_started_in_the_past() {
        let machine = Machine::probe().described();
        assert_eq!(machine.processors.len(), proc::usable_cpus().len());
        let stat = std::fs::read_to_string("/proc/stat").expect("read /proc/stat");
        let btime = stat.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<u64>().ok()).expect("btime");
        assert!(machine.booted.abs_diff(btime) <= 1, "{} is not {btime}", machine.booted);
        assert!(machine.description.is_some_and(|text| text.lines().any(|line| is_processor(line.as_bytes()))));
    }
}
