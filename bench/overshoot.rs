//! How far a sandbox gets beyond each of its limits on this machine: rows of a Markdown table, each with the mechanism
//! that held the limit, as the result's `enforcement` names it. The same program measures a host without cgroups and a
//! guest with them. It mounts itself into its sandboxes as the hog, so that it needs nothing else there.

#[path = "overshoot/hogs.rs"]
mod hogs;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const MIB: u64 = 1 << 20;
/// Each row is measured so often; the table shows the middle and the worst.
const ROUNDS: usize = 5;

/// Where the sandboxes see this program.
const INSIDE: &str = "/mnt/hog";

struct Bench {
    belljar: PathBuf,
    mount: String,
}

impl Bench {
    /// The result of a sandbox in which a hog rages.
    fn rage(&self, options: &str, hog: &str) -> Value {
        let mut command = self.command(options, hog);
        let output = command.output().expect("start belljar");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no result: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn command(&self, options: &str, hog: &str) -> Command {
        let mut command = Command::new(&self.belljar);
        // Kernels without Landlock hold the same limits.
        command.args(["run", "--json", "--allow-missing", "landlock", "--mount", &self.mount]);
        if !options.contains("--timeout") {
            command.args(["--timeout", "60s"]);
        }
        command.args(options.split_whitespace()).args(["--", INSIDE]).args(hog.split_whitespace());
        command.stdin(Stdio::null());
        command
    }
}

/// `by` of a limit's enforcement, and whether that is exact.
fn held_by(result: &Value, limit: &str) -> String {
    let enforcement = &result["enforcement"][limit];
    let by = enforcement["by"].as_str().unwrap_or("the supervisor counts");
    let exact = enforcement["exact"].as_bool().unwrap_or(true);
    format!("{by} | {}", if exact { "exact" } else { "approximate" })
}

fn usage(result: &Value, field: &str) -> u64 {
    result["usage"][field].as_u64().unwrap_or_else(|| panic!("no {field} in {result}"))
}

/// The hog's own words.
fn told(result: &Value) -> u64 {
    let said = result["stdout"].as_str().unwrap_or_default().trim();
    said.parse().unwrap_or_else(|_| panic!("the hog said `{said}`: {result}"))
}

fn ended(result: &Value, status: &str) {
    assert_eq!(result["status"], status, "{result}");
}

/// Prints a row of what was measured in each round.
fn row(limit: &str, asked: &str, mechanism: &str, unit: &str, mut measured: Vec<f64>) {
    measured.sort_by(f64::total_cmp);
    let (middle, worst) = (measured[measured.len() / 2], measured[measured.len() - 1]);
    let decimals = match unit {
        "CPUs" => 2,
        "at most" | "files made" | "bytes above" => 0,
        _ => 1,
    };
    println!("| {limit} | {asked} | {mechanism} | {middle:.decimals$} {unit} | {worst:.decimals$} {unit} |");
}

fn rounds(mut one: impl FnMut() -> (f64, String)) -> (Vec<f64>, String) {
    let all: Vec<(f64, String)> = (0..ROUNDS).map(|_| one()).collect();
    (all.iter().map(|(measured, _)| *measured).collect(), all[0].1.clone())
}

/// Bytes above the memory limit: the supervisor's figure, and what the host's own memory shows as a witness.
fn memory(bench: &Bench) {
    let limit = 256 * MIB;
    for (what, hog) in [
        ("memory, one process", "memory 1"),
        ("memory, eight processes", "memory 8"),
        ("memory, shared", "shared"),
        ("memory, files", "files"),
    ] {
        let mut witnessed = Vec::new();
        let (measured, mechanism) = rounds(|| {
            let witness = hogs::Witness::start();
            let result = bench.rage("--memory 256M --disk 8G --cpus 64", hog);
            let seen = witness.finish();
            ended(&result, "out_of_memory");
            witnessed.push((seen as f64 - limit as f64) / MIB as f64);
            let over = usage(&result, "peak_memory_bytes") as f64 - limit as f64;
            (over / MIB as f64, held_by(&result, "memory"))
        });
        row(what, "256 MiB", &mechanism, "MiB above", measured);
        row(&format!("{what}, by the host's /proc/meminfo"), "256 MiB", &mechanism, "MiB above", witnessed);
    }
}

/// The share of a CPU in two seconds, in percent above what was allowed.
fn rate(bench: &Bench) {
    for cpus in ["0.2", "0.5", "1.5"] {
        let (measured, mechanism) = rounds(|| {
            let result = bench.rage(&format!("--cpus {cpus} --timeout 2s"), "spin 4");
            ended(&result, "timed_out");
            let share = usage(&result, "cpu_ms") as f64 / usage(&result, "wall_ms") as f64;
            (share, held_by(&result, "cpu"))
        });
        row("CPU rate over 2 s, four processes", &format!("{cpus} CPUs"), &mechanism, "CPUs", measured);
    }
}

fn pids(bench: &Bench) {
    let (measured, mechanism) = rounds(|| {
        let result = bench.rage("--pids 64 --timeout 2s", "bomb");
        ended(&result, "timed_out");
        (usage(&result, "peak_pids") as f64, held_by(&result, "pids"))
    });
    row("processes, a fork bomb", "64", &mechanism, "at most", measured);
    let (measured, mechanism) = rounds(|| {
        let result = bench.rage("--pids 64", "children");
        (told(&result) as f64, held_by(&result, "pids"))
    });
    row("processes, by the bomb's own count", "64", &mechanism, "at most", measured);
}

fn disk(bench: &Bench) {
    let (measured, mechanism) = rounds(|| {
        let result = bench.rage("--disk 64M", "fill");
        (told(&result) as f64 / MIB as f64, held_by(&result, "disk"))
    });
    row("writable layer, bytes", "64 MiB", &mechanism, "MiB written", measured);
    let (measured, mechanism) = rounds(|| {
        let result = bench.rage("--disk 64M", "inodes");
        (told(&result) as f64, held_by(&result, "disk"))
    });
    row("writable layer, inodes", "16384", &mechanism, "files made", measured);
}

fn time(bench: &Bench) {
    for (what, hog) in [("one process", "spin 1"), ("four processes", "spin 4"), ("short-lived processes", "chain")] {
        let (measured, mechanism) = rounds(|| {
            let result = bench.rage("--cpu-time 500ms --cpus 64", hog);
            ended(&result, "cpu_time_exceeded");
            (usage(&result, "cpu_ms") as f64 - 500.0, held_by(&result, "cpu_time"))
        });
        row(&format!("CPU time, {what}"), "500 ms", &mechanism, "ms late", measured);
    }
    for (what, hog) in [("asleep", "sleep"), ("four that spin", "spin 4")] {
        let mut seen = Vec::new();
        let (measured, mechanism) = rounds(|| {
            let begun = Instant::now();
            let result = bench.rage("--timeout 500ms", hog);
            ended(&result, "timed_out");
            seen.push((begun.elapsed().as_micros() as f64 / 1000.0) - 500.0);
            (usage(&result, "wall_ms") as f64 - 500.0, held_by(&result, "timeout"))
        });
        row(&format!("wall clock, {what}"), "500 ms", &mechanism, "ms late", measured);
        row(&format!("wall clock, {what}, until belljar has ended"), "500 ms", &mechanism, "ms late", seen);
    }
}

fn output(bench: &Bench) {
    let (measured, mechanism) = rounds(|| {
        let result = bench.rage("--output-limit 1M:kill", "shout");
        ended(&result, "output_limit");
        let kept = result["stdout"].as_str().expect("its output").len();
        (kept as f64 - MIB as f64, held_by(&result, "output"))
    });
    row("output, captured", "1 MiB", &mechanism, "bytes above", measured);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    // Cargo gives benchmarks a flag of its own.
    if let Some(hog) = arguments.get(1).filter(|word| !word.starts_with('-')) {
        return hogs::rage(hog, arguments.get(2).and_then(|number| number.parse().ok()).unwrap_or(1));
    }
    let belljar = PathBuf::from(std::env::var_os("BELLJAR_RELEASE_BIN").expect("BELLJAR_RELEASE_BIN names the binary"));
    let own = std::env::current_exe().expect("our own path");
    let bench = Bench { belljar, mount: format!("{}:{INSIDE}", own.display()) };
    println!("| limit | asked for | held by | | middle of {ROUNDS} | worst |\n|---|---|---|---|---:|---:|");
    memory(&bench);
    rate(&bench);
    pids(&bench);
    disk(&bench);
    time(&bench);
    output(&bench);
    ExitCode::SUCCESS
}
