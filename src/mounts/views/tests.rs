//! Each view in every byte, on hosts that are literals.

use super::*;
use crate::host::StreamKind;
use std::time::Duration;

const CPUINFO: &str = "processor\t: 0\nvendor_id\t: A: B\nphysical id\t: 3\nsiblings\t: 64\ncore id\t\t: 9\ncpu cores\t: 32\n\
    apicid\t\t: 18\ninitial apicid\t: 18\nflags\t\t: fpu vme\npower management:\n\n";

fn host(processors: &[u32]) -> Host {
    Host {
        uid: 1000,
        gid: 1000,
        nested: None,
        real_root: false,
        ranges: None,
        image: None,
        landlock_abi: 6,
        last_capability: 40,
        top_level: Vec::new(),
        etc: Vec::new(),
        masks: Vec::new(),
        mount_is_directory: Vec::new(),
        streams: [StreamKind::Harmless; 3],
        memory: 8 << 30,
        cpus: processors.len() as u32,
        machine: Machine {
            processors: processors.to_vec(),
            description: Some(CPUINFO.to_owned()),
            uptime: Duration::from_millis(12_345),
            booted: 1_700_000_000,
            lists_cgroups: true,
        },
        cgroup: crate::host::cgroup::Cgroup::undelegated("none".to_owned()),
        disks: Vec::new(),
        reach: crate::host::Reach::default(),
        hard_limits: [u64::MAX; 16],
    }
}

fn of(millicpus: u32) -> Spec {
    Spec { millicpus, ..Spec::default() }
}

/// What is written, by its path, and where each link points.
fn files(spec: &Spec, host: &Host, cgroup: Cgroup) -> Vec<(String, String)> {
    let mut skeleton = Skeleton::new();
    plan(spec, host, cgroup, &mut skeleton);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let made = skeleton.make.iter().filter_map(|step| match step {
        Step::File { path, mode, content } => {
            assert_eq!(*mode, 0o444, "{path:?}");
            Some((text(path.as_bytes()), text(content)))
        }
        Step::Link { path, target } => Some((text(path.as_bytes()), format!("-> {}", text(target.as_bytes())))),
        _ => None,
    });
    made.collect()
}

fn file(spec: &Spec, host: &Host, path: &str) -> String {
    let path = format!("sealed/{path}");
    let found = files(spec, host, Cgroup::Files).into_iter().find(|(name, _)| *name == path);
    found.unwrap_or_else(|| panic!("no {path}")).1
}

#[test]
fn as_many_processors_are_shown_as_the_rate_can_keep_busy() {
    let host = host(&[2, 3, 0, 1]);
    for (millicpus, expected) in
        [(1, "2\n"), (500, "2\n"), (1000, "2\n"), (1001, "2-3\n"), (1500, "2-3\n"), (2001, "0,2-3\n"), (9000, "0-3\n")]
    {
        assert_eq!(file(&of(millicpus), &host, "sys/devices/system/cpu/online"), expected, "{millicpus}");
    }
}

#[test]
fn the_payload_is_confined_where_the_caller_has_more() {
    let steps = |millicpus: u32, processors: &[u32]| {
        let mut payload = Vec::new();
        plan_processors(&of(millicpus), &host(processors), &mut payload);
        payload
    };
    assert_eq!(steps(1500, &[70, 3, 5]), [Step::Processors(Processors::new(&[3, 70]))]);
    assert_eq!(steps(1000, &[7]), []);
    assert_eq!(steps(2000, &[0, 1]), []);
}

#[test]
fn numbers_are_listed_as_the_kernel_lists_them() {
    assert_eq!(list(&[0]), "0\n");
    assert_eq!(list(&[0, 1, 2]), "0-2\n");
    assert_eq!(list(&[0, 2, 3, 5, 128]), "0,2-3,5,128\n");
}

#[test]
fn the_memory_is_the_limit_or_the_machine_whichever_is_less() {
    let total = |memory: u64| {
        let spec = Spec { memory, ..Spec::default() };
        file(&spec, &host(&[0]), "meminfo").lines().next().map(str::to_owned)
    };
    assert_eq!(total(256 << 20).as_deref(), Some("MemTotal:         262144 kB"));
    assert_eq!(total(64 << 30).as_deref(), Some("MemTotal:        8388608 kB"));
}

// Readers of the file count columns: the kernel puts names into 16 and numbers into 8 or more.
#[test]
fn every_line_of_meminfo_stands_as_the_kernels_does() {
    for line in meminfo(24_684_096 << 10).lines() {
        let (name, rest) = line.split_at(16);
        let (number, unit) = rest.rsplit_once(' ').expect("a unit");
        assert!(name.trim_end().ends_with(':') && number.len() >= 8 && unit == "kB", "{line}");
        assert!(number.trim_start().bytes().all(|byte| byte.is_ascii_digit()), "{line}");
    }
    let kernels = std::fs::read_to_string("/proc/meminfo").expect("read /proc/meminfo");
    let start = |text: &str| {
        text.lines().take(12).filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(start(&meminfo(0)), start(&kernels));
}

#[test]
fn the_processors_of_stat_have_waited_since_the_machine_started() {
    let expected = "cpu  0 0 0 2468 0 0 0 0 0 0\ncpu4 0 0 0 1234 0 0 0 0 0 0\ncpu7 0 0 0 1234 0 0 0 0 0 0\n\
        intr 0\nctxt 0\nbtime 1700000000\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n";
    assert_eq!(file(&of(2000), &host(&[7, 4, 5]), "stat"), expected);
}

#[test]
fn every_processor_is_the_hosts_first_on_a_core_of_its_own() {
    let block = |number: u32, core: u32| {
        format!(
            "processor\t: {number}\nvendor_id\t: A: B\nphysical id\t: 0\nsiblings\t: 2\ncore id\t\t: {core}\ncpu cores\t: 2\n\
            apicid\t\t: {number}\ninitial apicid\t: {number}\nflags\t\t: fpu vme\npower management:\n\n"
        )
    };
    assert_eq!(cpuinfo(CPUINFO, &[5, 6]), block(5, 0) + &block(6, 1));
}

#[test]
fn odd_descriptions_of_processors_are_kept_line_for_line() {
    // Something before the first processor, other tabs, a line without a colon, no empty line at the end.
    let loongson = "system type\t\t: generic\n\nprocessor\t\t: 0\nno colon\ncore\t\t\t: 0";
    let expected = "system type\t\t: generic\n\nprocessor\t\t: 0\nno colon\ncore\t\t\t: 0\n\nprocessor\t\t: 1\nno colon\ncore\t\t\t: 0\n\n";
    assert_eq!(cpuinfo(loongson, &[0, 1]), expected);
}

#[test]
fn what_the_host_does_not_have_is_not_shown() {
    let mut host = host(&[0]);
    (host.machine.description, host.machine.lists_cgroups) = (None, false);
    let names: Vec<String> = files(&of(1000), &host, Cgroup::Files).into_iter().map(|(name, _)| name).collect();
    assert!(!names.iter().any(|name| name.ends_with("cpuinfo") || name.ends_with("cgroups")), "{names:?}");
    let mut init = Vec::new();
    show_proc(&host, &mut init);
    let shown: Vec<String> = init.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["show our own proc/meminfo", "show our own proc/stat"]);
}

#[test]
fn the_files_of_the_control_group_name_the_limits() {
    let spec = Spec { memory: (100 << 20) + 1, millicpus: 1500, pids: 99, ..Spec::default() };
    let named = |name: &str| file(&spec, &host(&[0, 1]), &format!("sys/fs/cgroup/{name}"));
    let names = ["cgroup.controllers", "cpu.max", "memory.high", "memory.max", "pids.max"];
    assert_eq!(names.map(named), ["cpu memory pids\n", "150000 100000\n", "max\n", "104857600\n", "99\n"]);
}

#[test]
fn a_cgroup_of_its_own_is_mounted_where_files_stand_otherwise() {
    let files = files(&of(1000), &host(&[0]), Cgroup::MountPoint);
    assert!(!files.iter().any(|(path, _)| path.contains("cgroup/")), "{files:?}");
    let steps = |cgroup| {
        let mut init = Vec::new();
        show_sys(cgroup, &mut init);
        init.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let covered = [
        "show sealed/sys at root/sys",
        "mount cgroup2 on root/sys/fs/cgroup read-only",
        "show sealed/sys/fs/cgroup at root/sys/fs/cgroup",
    ];
    assert_eq!(steps(Cgroup::MountPoint), covered[..2]);
    assert_eq!(steps(Cgroup::Files), covered);
}
