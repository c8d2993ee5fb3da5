//! Across the air gap: somebody with an empty home, on a machine without any network, gets the binary and one file for
//! each image, and has Python with pandas, Node with TypeScript, and a compiler.

use crate::common::{Run, Scratch, installed, languages, released};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The image as one file, as it was carried over.
fn carried(name: &str) -> Option<PathBuf> {
    if !installed("unshare") {
        return None;
    }
    languages::archive(name)
}

/// Loads the file and runs `script`, in which `belljar` is the binary, as somebody else than who built the image, with
/// nothing but an empty home, in a network namespace with nothing in it.
fn beyond(file: &Path, scratch: &Scratch, script: &str) -> Run {
    let home = scratch.0.join("home");
    std::fs::create_dir_all(&home).expect("make a home");
    crate::common::copy_program(released(), home.join("belljar"));
    let script = format!(
        "test \"$(id -u)\" = 4711 && ! ip route 2>/dev/null | grep . && cd \"$HOME\" && PATH=$HOME:$PATH && \
         belljar image load \"$FILE\" >/dev/null && {script}"
    );
    let mut command = Command::new("unshare");
    command.args(["-Un", "--map-user=4711", "--map-group=4711", "--", "sh", "-c", &script]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &home).env("FILE", file);
    command.env("BELLJAR_CGROUP_PARENT", "none").output().expect("start unshare").into()
}

fn said(run: &Run) -> (Option<i32>, &str) {
    (run.code, &run.stdout)
}

#[test]
fn python_with_its_libraries_crosses_in_one_file() {
    let scratch = Scratch::new("python");
    let Some(file) = carried("python") else { return };
    let code = "import sys, numpy, pandas, requests, matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as plot; \
        plot.plot([1, 2]); plot.savefig('/tmp/p.png'); \
        frame = pandas.DataFrame({'a': numpy.arange(4)}); print(frame.a.sum(), open('/tmp/p.png', 'rb').read(4)[1:])";
    let script = format!(
        "belljar code python -e \"{code}\" && belljar run --image python -- sh -c 'pip --version | cut -c1-4; python3 -m venv /tmp/v && git --version | cut -c1-3; pylsp --help | head -1 | cut -c1-6'"
    );
    let run = beyond(&file, &scratch, &script);
    assert_eq!(said(&run), (Some(0), "6 b'PNG'\npip \ngit\nusage:\n"), "{}", run.stderr);
}

#[test]
fn node_with_typescript_crosses_in_one_file() {
    let scratch = Scratch::new("node");
    let Some(file) = carried("node") else { return };
    let script = "belljar run --image node -- sh -c 'cd /tmp && echo \"const n: number = 42; console.log(n)\" >a.ts && tsc a.ts && node a.js; \
        npm --version >/dev/null && git --version | cut -c1-3; typescript-language-server --version >/dev/null && echo served' && \
        belljar code node -e 'console.log(6 * 7)'";
    let run = beyond(&file, &scratch, script);
    assert_eq!(said(&run), (Some(0), "42\ngit\nserved\n42\n"), "{}", run.stderr);
}

#[test]
fn a_compiler_crosses_in_one_file() {
    let scratch = Scratch::new("shell");
    let Some(file) = carried("shell") else { return };
    let script = "belljar run --image shell -- bash -c 'cd /tmp && echo \"int puts(const char *); int main(void) { puts(\\\"{}\\\"); }\" >a.c && \
        printf \"a: a.c\\n\" >Makefile && make -s a && ./a | jq -c . ; curl --version | cut -c1-4 | head -1; git --version | cut -c1-3'";
    let run = beyond(&file, &scratch, script);
    assert_eq!(said(&run), (Some(0), "{}\ncurl\ngit\n"), "{}", run.stderr);
}

#[test]
fn the_same_image_saved_twice_is_the_same_file() {
    let scratch = Scratch::new("twice");
    let Some(first) = languages::archive("shell") else { return };
    let second = scratch.0.join("again.tar.zst");
    let output = languages::call(&languages::home(), &["image", "save", "shell", "-o", &second.to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |path: &Path| std::fs::read(path).expect("read it");
    assert!(read(&first) == read(&second), "the files differ");
}
