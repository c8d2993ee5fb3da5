//! Tests of the seccomp layer: the tree against seccompiler, the policies against the interpreter, the programs in the
//! kernel, and the messages.

mod equivalence;
mod kernel;
mod messages;
mod policy;
mod publisher;
mod reach;
#[path = "../../tests/common/scale.rs"]
mod scale;

use proptest::test_runner::{Config, RngSeed};
use seccompiler::{BpfMap, TargetArch};

use super::evaluate::{Call, run};
use super::profile::Profile;

/// So many cases as the scale wants of `whole`, and the same again for the same seed.
fn cases(whole: u32) -> Config {
    let rng_seed = RngSeed::Fixed(scale::seed());
    Config { rng_seed, ..Config::with_cases(scale::scaled_from(20, whole as usize) as u32) }
}

/// The architecture that the tests evaluate for, whichever they run on.
const X86_64: u32 = 0xc000_003e;

const SOURCES: [(&str, &str); 5] = [
    ("default", include_str!("../../seccomp/default.json")),
    ("strict", include_str!("../../seccomp/strict.json")),
    ("debug", include_str!("../../seccomp/debug.json")),
    ("packages", include_str!("../../seccomp/packages.json")),
    ("build", include_str!("../../seccomp/build.json")),
];

fn to_libc(program: &[seccompiler::sock_filter]) -> Vec<libc::sock_filter> {
    program.iter().map(|&seccompiler::sock_filter { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k }).collect()
}

fn to_seccompiler(program: &[libc::sock_filter]) -> Vec<seccompiler::sock_filter> {
    program.iter().map(|&libc::sock_filter { code, jt, jf, k }| seccompiler::sock_filter { code, jt, jf, k }).collect()
}

/// A profile as seccompiler compiles it: one linear program per filter, read in order.
struct Reference {
    filters: Vec<(u32, Vec<libc::sock_filter>)>,
}

impl Reference {
    fn new(json: &str, profile: &Profile) -> Self {
        let programs: BpfMap = seccompiler::compile_from_json(json.as_bytes(), TargetArch::x86_64).unwrap();
        let filter =
            |filter: &super::profile::Filter| (u32::from(filter.mismatch.clone()), to_libc(&programs[&filter.name]));
        Self { filters: profile.filters.iter().map(filter).collect() }
    }

    fn verdict(&self, call: &Call) -> u32 {
        let mut verdict = 0;
        for (mismatch, program) in &self.filters {
            verdict = run(program, call).verdict;
            if verdict != *mismatch {
                break;
            }
        }
        verdict
    }
}
