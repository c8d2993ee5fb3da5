//! How long the kernel takes to install each built-in seccomp profile: as our search tree, and as the linear program
//! that seccompiler makes of the same allow-list. Prints a table; exits with 1 when the default profile takes too long.

use belljar::seccomp;
use seccompiler::{TargetArch, sock_filter};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// What we promise of the default profile.
const MOST: Duration = Duration::from_micros(100);

/// The median time of 401 installations, each in a new thread, whose filters are gone with it.
fn installation(program: &[sock_filter]) -> Duration {
    let install = || {
        let start = Instant::now();
        seccompiler::apply_filter(program).expect("install a filter");
        start.elapsed()
    };
    let one = || thread::scope(|scope| scope.spawn(install).join().expect("join the thread"));
    let mut times: Vec<Duration> = (0..401).map(|_| one()).collect();
    times.sort();
    times[200]
}

/// The profile's allow-list as one filter of seccompiler's.
fn linear(json: &str) -> Vec<sock_filter> {
    let profile: Value = serde_json::from_str(json).expect("a profile");
    let filters = profile.as_object().expect("an object").values();
    let rules: Vec<Value> = filters
        .filter(|filter| filter["match_action"] == "allow")
        .flat_map(|filter| filter["filter"].as_array().expect("rules").clone())
        .collect();
    let one = json!({ "one": { "mismatch_action": { "errno": 38 }, "match_action": "allow", "filter": rules } });
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("a known architecture");
    seccompiler::compile_from_json(one.to_string().as_bytes(), arch).expect("compile")["one"].clone()
}

fn main() -> ExitCode {
    println!("| seccomp profile | tree, instructions | tree, µs | linear, instructions | linear, µs | linear / tree |");
    println!("|---|---:|---:|---:|---:|---:|");
    let mut good = true;
    for (name, json) in [
        ("default", include_str!("../seccomp/default.json")),
        ("strict", include_str!("../seccomp/strict.json")),
        ("debug", include_str!("../seccomp/debug.json")),
    ] {
        let tree: Vec<sock_filter> = seccomp::builtin(name)
            .expect("a built-in profile")
            .iter()
            .map(|i| sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k })
            .collect();
        let linear = linear(json);
        let (ours, theirs) = (installation(&tree), installation(&linear));
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        println!(
            "| {name} | {} | {:.0} | {} | {:.0} | {:.1} |",
            tree.len(),
            micros(ours),
            linear.len(),
            micros(theirs),
            micros(theirs) / micros(ours)
        );
        good &= name != "default" || ours <= MOST;
    }
    println!("\ninstalling `default`: at most {} µs: {}", MOST.as_micros(), if good { "met" } else { "MISSED" });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
