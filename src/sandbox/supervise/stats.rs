//! What a sandbox uses at one moment, as its supervisor answers it.

use super::Supervisor;
use crate::process::{Limits, Running};
use crate::sandbox::call::Stats;
use crate::spec::Spec;

impl Supervisor<'_> {
    pub(super) fn stats(&self, running: &mut Running) -> Stats {
        let used = running.look();
        let Limits { memory, millicpus, pids } = running.limits();
        Stats {
            memory_bytes: used.memory,
            memory_limit_bytes: memory,
            pids: used.pids,
            pids_limit: pids,
            cpu_ms: used.cpu.as_millis() as u64,
            millicpus_limit: millicpus,
            disk_bytes: self.quota.as_ref().map_or(0, |quota| quota.borrow().bytes()) + used.disk,
            disk_limit_bytes: match self.quota {
                Some(_) => self.disk.get(),
                None => Spec { memory, disk: self.disk.get(), ..Spec::default() }.layer(),
            },
            uptime_ms: self.born.elapsed().as_millis() as u64,
            leases: self.leases.get(),
        }
    }
}
