//! Unpacking a layer next to tar(1), the same archive in turn: `LAYER=debian.tar.gz cargo bench --bench unpack`, with the
//! archive's absolute path. Prints the medians, with those of verifying and removing what was unpacked, by the clock and in CPU time; exits with 1 when
//! unpacking takes more than 1.3 times what tar takes.

use belljar::trees::codec::{Decoder, Pipe};
use belljar::trees::compare::compare;
use belljar::trees::tree::remove;
use belljar::trees::unpack::{Bounds, unpack};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

const ROUNDS: usize = 7;
const ALLOWED: f64 = 1.3;

fn main() -> ExitCode {
    let Some(layer) = std::env::var_os("LAYER").map(PathBuf::from) else {
        println!(
            "unpack: LAYER names no archive to unpack, as in `LAYER=/tmp/debian.tar.gz cargo bench --bench unpack`"
        );
        return ExitCode::SUCCESS;
    };
    let scratch = std::env::current_exe().expect("this program").with_extension("scratch");
    fs::create_dir_all(&scratch).expect("make a directory");
    // Beside each other on one file system, and each with its turn at being the first.
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        times[0].push(timed(|| with_tar(&layer, &scratch)));
        times[1].push(timed(|| with_ours(&layer, &scratch)));
        times[2].push(timed(|| verify(&layer, &scratch)));
        times[3].push(timed(|| {
            remove(File::open(&scratch).expect("open it").as_fd(), OsStr::new("ours")).expect("remove the tree");
        }));
        times[4].push(timed(|| succeed(Command::new("rm").arg("-rf").arg(scratch.join("tar")))));
    }
    fs::remove_dir(&scratch).expect("all is gone");
    let [tar, ours, verify, remove, rm] = times.map(median);
    println!(
        "| {} | median ms | of CPU time |\n| --- | ---: | ---: |",
        layer.file_name().unwrap_or_default().display()
    );
    for (what, (time, cpu)) in
        [("tar -x", tar), ("unpack", ours), ("verify", verify), ("remove", remove), ("rm -rf", rm)]
    {
        println!("| {what} | {:.0} | {:.0} |", time * 1000.0, cpu * 1000.0);
    }
    let ratio = ours.0 / tar.0;
    println!("unpacking takes {ratio:.2} of tar's time, allowed are {ALLOWED}");
    if ratio > ALLOWED { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Seconds of the clock, and of CPU time with that of programs started.
fn timed(work: impl FnOnce()) -> (f64, f64) {
    let (start, before) = (Instant::now(), cpu());
    work();
    (start.elapsed().as_secs_f64(), cpu() - before)
}

fn cpu() -> f64 {
    let of = |who| {
        let usage = getrusage(who).expect("the usage of resources");
        [usage.user_time(), usage.system_time()].iter().map(|time| time.num_microseconds() as f64 / 1e6).sum::<f64>()
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

/// Of each separately.
fn median(times: Vec<(f64, f64)>) -> (f64, f64) {
    let middle = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let (clock, cpu) = times.into_iter().unzip();
    (middle(clock), middle(cpu))
}

fn with_tar(layer: &Path, scratch: &Path) {
    let into = scratch.join("tar");
    fs::create_dir(&into).expect("make a directory");
    // Devices are for root, whom this is not meant for.
    succeed(Command::new("tar").args(["--exclude=./dev/*", "--no-same-owner", "-xf"]).arg(layer).arg("-C").arg(&into));
}

fn with_ours(layer: &Path, scratch: &Path) {
    let into = scratch.join("ours");
    fs::create_dir(&into).expect("make a directory");
    let into = File::open(&into).expect("open it");
    read(layer, |tar| {
        unpack(tar, into.as_fd(), None, &Bounds::default()).unwrap_or_else(|refusal| panic!("{refusal}"));
    });
}

fn verify(layer: &Path, scratch: &Path) {
    let there = File::open(scratch.join("ours")).expect("open it");
    read(layer, |tar| compare(tar, there.as_fd()).unwrap_or_else(|difference| panic!("{difference}")));
}

fn read(layer: &Path, work: impl FnOnce(&mut (dyn std::io::Read + Send))) {
    let decoder = Decoder::new(File::open(layer).expect("open the archive")).expect("a known format");
    std::thread::scope(|scope| work(&mut Pipe::new(scope, decoder).expect("a thread")));
}

fn succeed(command: &mut Command) {
    assert!(command.status().expect("start it").success(), "{command:?}");
}
