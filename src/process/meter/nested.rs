//! Sandboxes below a sandbox: their processes show in its procfs too, and are held to their limits by others.

use super::Meter;
use crate::sys::proc;
use std::collections::BTreeMap;
use std::os::fd::AsFd as _;

/// What is known of who is in a sandbox below.
#[derive(Default)]
pub struct Nested {
    /// A process of ours inside, which makes them.
    maker: u32,
    /// Of each process of the last list, whether it is in one.
    known: BTreeMap<u32, bool>,
}

impl Meter {
    /// Looks at no process from here on that is in a sandbox below this one, and not at the one that makes them.
    pub fn leave_nested_out(&mut self, maker: u32) {
        self.nested = Some(Nested { maker, known: BTreeMap::new() });
    }

    /// Takes them off the list.
    pub(super) fn sift(&mut self) {
        let Some(mut nested) = self.nested.take() else { return };
        let mut known = BTreeMap::new();
        let mut listed = std::mem::take(&mut self.listed);
        listed.retain(|pid| {
            if *pid == nested.maker {
                return false;
            }
            let inside = nested.known.get(pid).copied().unwrap_or_else(|| self.is_nested(*pid));
            known.insert(*pid, inside);
            !inside
        });
        nested.known = known;
        self.listed = listed;
        self.nested = Some(nested);
    }

    /// Whether a process has a number in another namespace of pids below that of the procfs. Who goes there is a new process.
    fn is_nested(&mut self, pid: u32) -> bool {
        let read = proc::read_process_file(self.proc.as_fd(), pid, "status", &mut self.buffer);
        let text = read.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let Some(text) = self.seen(text) else { return false };
        let numbers = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| numbers.split_ascii_whitespace().count() > 1)
    }
}
