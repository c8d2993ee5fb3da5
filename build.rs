//! Compiles the profiles of `seccomp/` with the same code that compiles a user's, so that a start has nothing to do; and
//! the shared objects that warm interpreters load, which belong to no crate: nothing is linked to them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use seccompiler::TargetArch;

#[allow(dead_code)]
#[path = "src/seccomp/error.rs"]
mod error;
#[allow(dead_code)]
#[path = "src/seccomp/profile.rs"]
mod profile;
#[allow(dead_code)]
#[path = "src/seccomp/tree.rs"]
mod tree;

const PROFILES: [&str; 9] =
    ["default", "strict", "debug", "packages", "build", "zygote", "packet", "dialer", "publisher"];

const FORK: &str = "src/warm/fork.rs";
const RECEIVE: &str = "src/warm/receive.rs";
/// What Python runs comes in the same file, behind the shared object, where no loader looks.
const DRIVER: &str = "src/warm/zygote.py";
/// Between the two; `src/warm.rs` splits by it.
const BETWEEN: &[u8] = b"\n#belljar\n";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    for source in ["error", "profile", "tree"] {
        println!("cargo::rerun-if-changed=src/seccomp/{source}.rs");
    }
    println!("cargo::rerun-if-changed=seccomp");
    for part in [FORK, RECEIVE, DRIVER, "src/warm/arenas.rs", "src/warm/serve.rs", "src/warm/calls.rs"] {
        println!("cargo::rerun-if-changed={part}");
    }
    match compile_profiles().and_then(|()| compile_objects()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error={problem}");
            ExitCode::FAILURE
        }
    }
}

fn compile_profiles() -> Result<(), String> {
    let directory =
        |variable: &str| env::var_os(variable).map(PathBuf::from).ok_or(format!("cargo sets no {variable}"));
    // The target's architecture, not the one that the build runs on.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|e| e.to_string())?;
    let arch = TargetArch::try_from(arch.as_str()).map_err(|_| format!("no system call table for {arch}"))?;
    let mut source = String::new();
    for name in PROFILES {
        let path = directory("CARGO_MANIFEST_DIR")?.join(format!("seccomp/{name}.json"));
        let program = compile(&path, arch).map_err(|problem| format!("{}: {problem}", path.display()))?;
        write_array(&mut source, name, &program);
    }
    let target = directory("OUT_DIR")?.join("seccomp.rs");
    fs::write(&target, source).map_err(|e| format!("{}: {e}", target.display()))
}

/// Their calls of the C library and of Python stay open: the interpreter that loads one has them.
fn compile_objects() -> Result<(), String> {
    let fork = compile_object(FORK, "fork", &[])?;
    compile_object(FORK, "spawn", &["--cfg", "node", "-Clink-arg=-Wl,-z,noseparate-code"])?;
    compile_object(RECEIVE, "receive", &["-Clink-arg=-Wl,-z,noseparate-code"])?;
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let whole = [read(&fork)?, BETWEEN.to_vec(), read(Path::new(DRIVER))?].concat();
    fs::write(&fork, whole).map_err(|e| format!("{}: {e}", fork.display()))
}

fn compile_object(source: &str, name: &str, options: &[&str]) -> Result<PathBuf, String> {
    let variable = |name: &str| env::var_os(name).ok_or(format!("cargo sets no {name}"));
    let object = PathBuf::from(variable("OUT_DIR")?).join(name).with_extension("so");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args(["--edition", "2024", "--crate-name", name, "--crate-type", "cdylib", "--target"]);
    rustc.arg(variable("TARGET")?).arg("-o").arg(&object).arg(source).args(options);
    for option in
        ["target-feature=-crt-static", "opt-level=2", "panic=abort", "strip=symbols", "link-self-contained=no"]
    {
        rustc.args(["-C", option]);
    }
    for word in ["-nostdlib", "-nostartfiles", "-Wl,-z,now"] {
        rustc.arg(format!("-Clink-arg={word}"));
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={}", linker.to_string_lossy()));
    }
    let output = rustc.output().map_err(|e| format!("start rustc: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(object) } else { Err(format!("{source}: {}", said.trim().replace('\n', " "))) }
}

fn compile(path: &Path, arch: TargetArch) -> Result<Vec<seccompiler::sock_filter>, String> {
    let json = fs::read(path).map_err(|e| e.to_string())?;
    let profile = profile::Profile::parse(&json, arch).map_err(|e| e.to_string())?;
    tree::compile(&profile, arch).map_err(|e| e.to_string())
}

fn write_array(source: &mut String, name: &str, program: &[seccompiler::sock_filter]) {
    let constant = name.to_uppercase();
    // Writing to a string cannot fail.
    let _ = writeln!(source, "pub(super) static {constant}: [sock_filter; {}] = [", program.len());
    for step in program {
        let seccompiler::sock_filter { code, jt, jf, k } = step;
        let _ = writeln!(source, "    sock_filter {{ code: {code:#x}, jt: {jt}, jf: {jf}, k: {k:#x} }},");
    }
    let _ = writeln!(source, "];");
}
