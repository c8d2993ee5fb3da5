//! Memory that a command hides from the supervisor, where that holds the memory limit by looking: the list of a process's
//! open files is its user's, and nobody's where the process is not dumpable.

use crate::common::{python, python_result};

/// Not dumpable: nobody reads the list of its files.
const HIDE: &str = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n";

/// Python that fills a file in memory with so many MiB.
fn fill(mebibytes: u32) -> String {
    format!(
        "import os\nfd = os.memfd_create('x')\nfor _ in range({mebibytes}): os.write(fd, bytes(1 << 20))\nprint('done')"
    )
}

#[test]
fn files_in_memory_that_a_process_hides_count() {
    let code = format!("{HIDE}{}", fill(600));
    let result = python_result(&["--memory", "128M"], &code);
    assert_eq!((&result["status"], &result["stdout"]), (&"out_of_memory".into(), &"".into()), "{result}");
}

#[test]
fn a_process_that_hides_its_files_and_stays_below_the_limit_runs() {
    let code = format!("{HIDE}{}", fill(32));
    let run = python(&["--memory", "1G"], &code);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "done\n"), "{}", run.stderr);
}

#[test]
fn a_program_that_may_be_run_and_not_read_hides_nothing() {
    let code = format!(
        "import os, shutil, sys\nshutil.copy(os.path.realpath(sys.executable), '/tmp/p'); os.chmod('/tmp/p', 0o111)\nos.execv('/tmp/p', ['python3', '-c', {:?}])",
        fill(600)
    );
    let result = python_result(&["--memory", "128M"], &code);
    assert_eq!((&result["status"], &result["stdout"]), (&"out_of_memory".into(), &"".into()), "{result}");
}
