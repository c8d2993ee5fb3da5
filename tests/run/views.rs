//! What programs read to size themselves is the sandbox's limits, not the machine's; and nobody inside can change what
//! the others read. Case 71 of the catalogue of attacks, and decision 013.

use crate::common::{Scratch, available, call, caller, installed, python, shell};
use std::process::Command;

/// What the shell printed, in a run that went well and complained about nothing.
fn printed(options: &[&str], script: &str) -> String {
    let run = shell(options, script);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout
}

/// CPUs that the tests may use.
fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

/// Every rate that this machine can tell apart, with the number of CPUs that is shown for it.
fn rates() -> Vec<(&'static str, u32)> {
    let rates = [("0.5", 1), ("1", 1), ("1.5", 2), ("2", 2), ("3.2", 4)];
    available("a second CPU, to tell rates apart by", cpus() > 1);
    rates.into_iter().map(|(rate, count)| (rate, count.min(cpus()))).collect()
}

/// `program` prints the number of CPUs that is expected, at every rate.
fn counts(words: &[&str], mount: &[&str]) {
    for (rate, count) in rates() {
        let run = call([&["run", "--cpus", rate], mount, &["--"], words].concat());
        assert_eq!((run.code, run.stdout.trim()), (Some(0), count.to_string().as_str()), "{words:?} {rate}: {run:?}");
    }
}

#[test]
fn tools_count_the_cpus_of_the_rate() {
    counts(&["nproc"], &[]);
    counts(&["nproc", "--all"], &[]);
    counts(&["getconf", "_NPROCESSORS_ONLN"], &[]);
    counts(&["getconf", "_NPROCESSORS_CONF"], &[]);
    counts(&["grep", "-c", "^processor", "/proc/cpuinfo"], &[]);
    counts(&["grep", "-c", "^cpu[0-9]", "/proc/stat"], &[]);
}

#[test]
fn nobody_is_shown_more_cpus_than_the_caller_may_use() {
    let scratch = Scratch::new("affinity");
    let script = "last=$(grep -o '[0-9]*$' <(taskset -pc $$)); echo $last; \
        taskset -c $last \"$BELLJAR\" run --cpus 64 -- sh -c 'nproc; cat /sys/devices/system/cpu/online'";
    let run = caller(&scratch, script);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!((run.code, lines.len()), (Some(0), 3), "{run:?}");
    assert_eq!((lines[1], lines[2]), ("1", lines[0]));
}

#[test]
fn python_counts_the_cpus_of_the_rate() {
    let code = "
import os, multiprocessing
counts = {os.cpu_count(), len(os.sched_getaffinity(0)), multiprocessing.cpu_count()}
if hasattr(os, 'process_cpu_count'): counts.add(os.process_cpu_count())
print(*counts)";
    for (rate, count) in rates() {
        let run = python(&["--cpus", rate], code);
        assert_eq!((run.code, run.stdout), (Some(0), format!("{count}\n")), "{rate}: {}", run.stderr);
    }
}

#[test]
fn node_counts_the_cpus_of_the_rate_and_the_memory_of_the_limit() {
    if !installed("node") {
        return;
    }
    let code = "const os = require('os'), v8 = require('v8'); \
        console.log(os.cpus().length, os.availableParallelism?.() ?? os.cpus().length, os.totalmem(), \
        os.freemem(), v8.getHeapStatistics().heap_size_limit <= 512 * 2 ** 20)";
    for (rate, count) in rates() {
        let run = call(["code", "node", "--cpus", rate, "--memory", "512M", "-e", code]);
        let expected = format!("{count} {count} 536870912 536870912 true\n");
        assert_eq!((run.code, run.stdout), (Some(0), expected), "{rate}: {}", run.stderr);
    }
}

// The compiler of Go is not needed to run what it compiled: the program is static and asks the kernel itself.
#[test]
fn a_static_go_program_counts_the_cpus_of_the_rate() {
    if !installed("go") {
        return;
    }
    let scratch = Scratch::new("go-cpus");
    let source = scratch.file(
        "cpus.go",
        "package main\nimport (\"os\"; \"runtime\"; \"strconv\")\nfunc main() { if runtime.GOMAXPROCS(0) != runtime.NumCPU() { os.Exit(1) }; os.Stdout.WriteString(strconv.Itoa(runtime.NumCPU())) }\n",
    );
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(scratch.0.join("cpus")).arg(source).current_dir(&scratch.0);
    build.env("CGO_ENABLED", "0").env("GO111MODULE", "off").env("GOCACHE", scratch.0.join("cache"));
    assert!(build.status().expect("start go").success());
    counts(&["/mnt/cpus"], &["--mount", &format!("{}:/mnt/cpus", scratch.0.join("cpus").display())]);
}

#[test]
fn java_counts_the_cpus_of_the_rate_and_takes_a_quarter_of_the_limit() {
    if !installed("javac") {
        return;
    }
    let scratch = Scratch::new("java");
    let source = scratch.file(
        "Size.java",
        "public class Size { public static void main(String[] a) { Runtime r = Runtime.getRuntime(); \
         System.out.println(r.availableProcessors() + \" \" + r.maxMemory() / (1 << 20)); } }",
    );
    let build = Command::new("javac").arg("-d").arg(&scratch.0).arg(source).status();
    assert!(build.expect("start javac").success());
    let mount = format!("{}:/mnt", scratch.0.display());
    for (rate, count) in rates() {
        let run =
            call(["run", "--cpus", rate, "--memory", "1G", "--mount", &mount, "--", "java", "-cp", "/mnt", "Size"]);
        let (processors, heap) = run.stdout.trim().split_once(' ').unwrap_or_else(|| panic!("{run:?}"));
        assert_eq!(processors, count.to_string(), "{rate}");
        // A quarter, less what one of the collectors keeps for itself.
        let heap: u32 = heap.parse().expect("a number");
        assert!((200..=256).contains(&heap), "{rate}: {heap} MiB");
    }
}

#[test]
fn the_memory_is_the_limit() {
    assert_eq!(printed(&["--memory", "256M"], "grep MemTotal /proc/meminfo"), "MemTotal:         262144 kB\n");
    let machine = std::fs::read_to_string("/proc/meminfo").expect("read /proc/meminfo");
    let total = machine.lines().next().expect("a line");
    assert_eq!(printed(&["--memory", "999T"], "head -n1 /proc/meminfo").trim_end(), total);
    if installed("free") {
        let script = "free -b | awk '/^Mem|^Swap/ { print $1, $2, $3, $4, $7 }'";
        assert_eq!(printed(&["--memory", "256M"], script), "Mem: 268435456 0 268435456 268435456\nSwap: 0 0 0 \n");
    }
}

#[test]
fn the_control_group_names_the_limits() {
    let options = ["--memory", "256M", "--cpus", "1.5", "--pids", "77"];
    let script = "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max cgroup.controllers";
    assert_eq!(printed(&options, script), "268435456\n150000 100000\n77\ncpu memory pids\n");
}

/// One program finds everything: what it may use, what is online, what is described, where it runs.
#[test]
fn all_views_name_the_same_cpus() {
    let code = "
import os, re
def listed(text):
    pairs = [part.split('-') for part in text.strip().split(',')]
    return sorted(n for pair in pairs for n in range(int(pair[0]), int(pair[-1]) + 1))
def sys(name): return listed(open('/sys/devices/system/cpu/' + name).read())
def proc(name, pattern): return sorted(map(int, re.findall(pattern, open('/proc/' + name).read(), re.M)))
usable = sorted(os.sched_getaffinity(0))
print(all(usable == found for found in (sys('online'), sys('possible'), sys('present'),
    proc('stat', r'^cpu(\\d+) '), proc('cpuinfo', r'^processor\\s*: (\\d+)$'),
    listed(re.search(r'Cpus_allowed_list:\\s*(.*)', open('/proc/self/status').read())[1]))))";
    for (rate, _) in rates() {
        let run = python(&["--cpus", rate], code);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), "True\n"), "{rate}: {}", run.stderr);
    }
}

#[test]
fn the_time_of_the_start_is_the_machines() {
    let machine = std::fs::read_to_string("/proc/stat").expect("read /proc/stat");
    let btime = |text: &str| text.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<u64>().ok());
    let inside = btime(&printed(&[], "cat /proc/stat")).expect("btime");
    assert!(inside.abs_diff(btime(&machine).expect("btime")) <= 1, "{inside}");
    // ps(1) adds a process's start to it.
    let run = python(
        &[],
        "import os, time; ticks = int(open('/proc/self/stat').read().rsplit(')')[1].split()[19]); \
        btime = int(next(line for line in open('/proc/stat') if line.startswith('btime')).split()[1]); \
        print(abs(time.time() - btime - ticks / os.sysconf('SC_CLK_TCK')) < 10)",
    );
    assert_eq!(run.stdout, "True\n", "{}", run.stderr);
}

#[test]
fn the_usual_tools_read_the_views_without_complaint() {
    for (program, script) in [
        ("top", "top -bn2 -d0.1 | grep -c '^MiB Mem'"),
        ("vmstat", "[ $(vmstat 1 2 | wc -l) = 4 ]; echo $(($? == 0))"),
        ("lscpu", "lscpu >/dev/null; echo $(($? == 0))"),
        ("uptime", "uptime | wc -l"),
    ] {
        if installed(program) {
            assert_eq!(printed(&[], script), if program == "top" { "2\n" } else { "1\n" }, "{program}");
        }
    }
}

/// Every file and directory of the views.
const VIEWS: &str = "find /sys /proc/meminfo /proc/stat /proc/cpuinfo /proc/cgroups";

#[test]
fn no_view_can_be_written_or_its_mode_changed() {
    for options in [&[][..], &["--user", "0"], &["--user", "7:8"]] {
        // Through Landlock, through the mount, and as the owner, which the sandbox's user is.
        let script = format!(
            "for f in $({VIEWS}); do [ -d $f ] && f=$f/new; (echo max >$f) 2>/dev/null && echo wrote $f; \
             (echo max >>$f) 2>/dev/null && echo added $f; truncate -s1 $f 2>/dev/null && echo cut $f; done; \
             for f in $({VIEWS}); do chmod 777 $f 2>/dev/null && echo mode $f; touch -d@0 $f 2>/dev/null && echo time $f; \
             chown 9:9 $f 2>/dev/null && echo owner $f; done; true"
        );
        assert_eq!(printed(options, &script), "", "{options:?}");
    }
}

// Not by root of the sandbox either, nor under the filter that allows most.
#[test]
fn no_view_can_be_replaced_or_taken_away() {
    for options in [&[][..], &["--user", "0"], &["--user", "0", "--seccomp", "debug"]] {
        let script = format!(
            "cd /tmp; echo x >x; mkdir d; for f in $({VIEWS}); do rm -rf $f 2>/dev/null && echo removed $f; \
             mv $f m 2>/dev/null && echo moved $f; [ -d $f ] || {{ mv -T x $f 2>/dev/null && echo replaced $f; \
             ln -f x $f 2>/dev/null && echo linked $f; ln -sf x $f 2>/dev/null && echo pointed $f; \
             mount --bind x $f 2>/dev/null && echo bound $f; }}; [ -d $f ] && mount --bind d $f 2>/dev/null && echo bound $f; \
             umount -l $f 2>/dev/null && echo unmounted $f; mount -o remount,rw,bind $f 2>/dev/null && echo remounted $f; \
             done; rmdir /sys 2>/dev/null; mv /sys /s 2>/dev/null; cat /sys/devices/system/cpu/online | wc -l"
        );
        assert_eq!(printed(options, &script), "1\n", "{options:?}");
    }
}

#[test]
fn the_control_group_refuses_what_would_raise_a_limit() {
    let run = shell(&["--memory", "64M"], "echo max >/sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/memory.max");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "67108864\n"));
    assert!(run.stderr.contains("Read-only file system"), "{}", run.stderr);
    let code = "
import os
for path in ('/sys/fs/cgroup/memory.max', '/proc/meminfo'):
    for attempt in (lambda: os.open(path, os.O_RDWR), lambda: os.chmod(path, 0o777), lambda: os.unlink(path)):
        try: attempt(); print('allowed')
        except OSError as error: print(error.strerror)";
    let answers = python(&[], code).stdout;
    assert!(!answers.contains("allowed") && answers.lines().count() == 6, "{answers}");
}

// A view and no protection: whoever takes more CPUs gets no more time.
#[test]
fn a_wider_affinity_gives_no_more_than_the_rate() {
    if !available("a second CPU", cpus() > 1) {
        return;
    }
    let code = "
import os, time
os.sched_setaffinity(0, range(1024))
print(len(os.sched_getaffinity(0)) > 1)
end = time.monotonic() + 2
children = [os.fork() or [0 for _ in iter(lambda: time.monotonic() < end, False)] and os._exit(0) for _ in range(2)]
for child in children: os.waitpid(child, 0)
used = sum(os.times()[:4])
print(used < 2.0 * 0.5 * 1.5, used)";
    let run = python(&["--cpus", "0.5", "--timeout", "20s"], code);
    assert!(run.stdout.starts_with("True\nTrue "), "{run:?}");
}

// Nothing of the files is the machine's, but for what cpuid(1) and uptime(1) tell anybody.
#[test]
fn nothing_of_the_machine_leaks_through_the_views() {
    let machine = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let meminfo = printed(&[], "cat /proc/meminfo");
    let is_constant = |line: &str| line.starts_with("Vmalloc") || line.starts_with("Hugepagesize");
    let numbers = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !is_constant(line));
        let found = lines.filter_map(|line| line.split_ascii_whitespace().nth(1).map(str::to_owned));
        found.filter(|number| number.len() > 3).collect()
    };
    let shared: Vec<String> =
        numbers(&meminfo).into_iter().filter(|number| numbers(&machine("/proc/meminfo")).contains(number)).collect();
    assert_eq!(shared, [""; 0]);
    let stat = printed(&[], "grep -v -e ^cpu -e ^btime /proc/stat");
    let expected = "intr 0\nctxt 0\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n";
    assert_eq!(stat, expected);
    // All time was spent waiting: no load.
    let idle = "awk '/^cpu/ && ($2 + $3 + $4 + $6 + $7 + $8 + $9 != 0 || $5 == 0)' /proc/stat";
    assert_eq!(printed(&[], idle), "");
    assert_eq!(printed(&[], "cut -f2,3 /proc/cgroups | sed 1d | sort -u"), "0\t1\n");
    // Nor is anything of the scaffold below what is shown.
    assert_eq!(printed(&[], "ls -A /sys /sys/fs /sys/fs/cgroup/.. | grep -c -e sealed -e shm -e null; true"), "0\n");
}

#[test]
fn the_views_are_not_in_the_commands_quota() {
    let script = "cd /tmp; dd if=/dev/zero of=x bs=1k 2>/dev/null; wc -c <x";
    let written: u64 = printed(&["--disk", "1M"], script).trim().parse().expect("a number");
    // Six small files of `/etc` are, as ever.
    assert!((980 << 10..=1 << 20).contains(&written), "{written}");
}
