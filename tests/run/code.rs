//! `belljar code`: code goes in as text, as a copy of a file, or through standard input, and sees its arguments.

use crate::common::{Run, Scratch, belljar, call, call_with_input, installed, said};
use std::process::Command;

/// Exit code, standard output and standard error of a run that says nothing of its own.
/// A script of the host's bash, in which `$B` is belljar.
fn bash(directory: &Scratch, script: &str) -> Run {
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("B", belljar()).current_dir(&directory.0);
    command.output().expect("start bash").into()
}

const PYTHON: &str = "import sys; print(sys.argv[1:])";
const NODE: &str = "console.log(JSON.stringify(process.argv.slice(2)))";
const SHELL: &str = "echo \"$# $1 $2\"";

#[test]
fn arguments_reach_code_given_as_text() {
    let rows: [(&[&str], &str); 5] = [
        (&["python", "-e", PYTHON, "a", "-b"], "['a', '-b']\n"),
        (&["python3", "-e", PYTHON, "--", "--json"], "['--json']\n"),
        (&["python", "-e", PYTHON], "[]\n"),
        (&["sh", "-e", SHELL, "a", "-b"], "2 a -b\n"),
        (&["bash", "-e", SHELL, "a b", ""], "2 a b \n"),
    ];
    for (words, output) in rows {
        assert_eq!(said(&call([&["code"], words].concat())), (Some(0), output, ""), "{words:?}");
    }
}

#[test]
fn arguments_reach_code_given_as_a_file() {
    let scratch = Scratch::new("file");
    let python = scratch.file("show.py", PYTHON);
    let shell = scratch.file("show.sh", SHELL);
    for (language, file, output) in [("python", python, "['a', '-b']\n"), ("sh", shell, "2 a -b\n")] {
        let run = call(["code", language, file.to_str().expect("a name"), "a", "-b"]);
        assert_eq!(said(&run), (Some(0), output, ""), "{language}");
    }
}

#[test]
fn arguments_reach_code_on_standard_input() {
    for (language, code, output) in [("python", PYTHON, "['a', '-b']\n"), ("sh", SHELL, "2 a -b\n")] {
        let run = call_with_input(["code", language, "-", "a", "-b"], code.as_bytes());
        assert_eq!(said(&run), (Some(0), output, ""), "{language}");
    }
}

#[test]
fn node_sees_its_arguments_however_the_code_comes() {
    if !installed("node") {
        return;
    }
    let scratch = Scratch::new("node");
    let file = scratch.file("show.js", NODE);
    // With `-e` there is no file to stand in argv[1].
    let text = call(["code", "node", "-e", "console.log(JSON.stringify(process.argv.slice(1)))", "a", "-b"]);
    assert_eq!(said(&text), (Some(0), "[\"a\",\"-b\"]\n", ""));
    let file = call(["code", "js", file.to_str().expect("a name"), "a", "-b"]);
    assert_eq!(said(&file), (Some(0), "[\"a\",\"-b\"]\n", ""));
    let input = call_with_input(["code", "javascript", "-", "a", "-b"], NODE.as_bytes());
    assert_eq!(said(&input), (Some(0), "[\"a\",\"-b\"]\n", ""));
}

#[test]
fn a_module_of_node_keeps_its_ending() {
    if !installed("node") {
        return;
    }
    let scratch = Scratch::new("module");
    let file = scratch.file("main.mjs", "console.log(import.meta.url)");
    let run = call(["code", "node", file.to_str().expect("a name")]);
    assert_eq!(said(&run), (Some(0), "file:///run/code/main.mjs\n", ""));
}

#[test]
fn a_traceback_names_the_file() {
    let scratch = Scratch::new("traceback");
    let file = scratch.file("broken.py", "\nraise ValueError(7)\n");
    let run = call(["code", "python", file.to_str().expect("a name")]);
    let trace = "Traceback (most recent call last):\n  File \"/run/code/broken.py\", line 2, in <module>\n    \
        raise ValueError(7)\nValueError: 7\n";
    assert_eq!(said(&run), (Some(1), "", trace));
}

#[test]
fn text_longer_than_an_argument_is_code_like_any_other() {
    // The kernel takes no longer word of us either, and so such a text can only come in a spec.
    let scratch = Scratch::new("long");
    let comment = "#".repeat(300_000);
    let spec = format!("code = {{ language = \"python\", text = \"{comment}\\nprint(len(open(__file__).read()))\" }}");
    let spec = scratch.file("long.toml", spec);
    let run = call(["code", "--spec", spec.to_str().expect("a name")]);
    assert_eq!(said(&run), (Some(0), "300034\n", ""));
}

#[test]
fn the_longest_argument_that_the_kernel_takes_is_code() {
    let code = format!("{}\nprint(1)", "#".repeat(131_071 - "\nprint(1)".len()));
    assert_eq!(said(&call(["code", "python", "-e", &code])), (Some(0), "1\n", ""));
}

#[test]
fn no_code_at_all_is_code_that_does_nothing() {
    let scratch = Scratch::new("empty");
    let file = scratch.file("empty.py", "");
    for run in [
        call(["code", "python", "-e", ""]),
        call(["code", "python", file.to_str().expect("a name")]),
        call(["code", "python", "/dev/null"]),
        call_with_input(["code", "python", "-"], b""),
    ] {
        assert_eq!(said(&run), (Some(0), "", ""));
    }
}

#[test]
fn code_may_come_through_a_pipe() {
    let scratch = Scratch::new("pipe");
    let substituted = bash(&scratch, "\"$B\" code python <(echo 'import sys; print(sys.argv[1:])') a");
    assert_eq!(said(&substituted), (Some(0), "['a']\n", ""));
    let fifo = bash(&scratch, "mkfifo f; (echo 'echo \"from a fifo\"' > f &); \"$B\" code sh f");
    assert_eq!(said(&fifo), (Some(0), "from a fifo\n", ""));
}

#[test]
fn code_without_end_is_refused() {
    let run = call(["code", "python", "/dev/zero"]);
    let complaint = "belljar: code: `/dev/zero`: more than 67108864 bytes\n";
    assert_eq!(said(&run), (Some(125), "", complaint));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let scratch = Scratch::new("none");
    let directory = scratch.0.to_str().expect("a name");
    for (file, complaint) in [
        ("/nonexistent.py", "belljar: code: `/nonexistent.py`: No such file or directory\n".to_owned()),
        (directory, format!("belljar: code: `{directory}`: is a directory\n")),
        ("", "belljar: code: the name of the file is empty\n".to_owned()),
    ] {
        assert_eq!(said(&call(["code", "python", file])), (Some(125), "", complaint.as_str()));
    }
}

#[test]
fn the_sandbox_has_a_copy_and_the_hosts_file_stays_as_it_was() {
    let scratch = Scratch::new("copy");
    let code = "import os\ntry:\n    open(__file__, 'w')\nexcept OSError as error:\n    print(error.strerror)\n\
        os.chmod(__file__, 0o600) if os.access(__file__, os.W_OK) else None\nos.unlink(__file__)\nprint('unlinked')\n";
    let file = scratch.file("copy.py", code);
    let run = call(["code", "python", file.to_str().expect("a name")]);
    assert_eq!(said(&run), (Some(0), "Permission denied\nunlinked\n", ""));
    assert_eq!(std::fs::read_to_string(&file).expect("the host's file"), code);
}

#[test]
fn a_name_of_any_shape_is_the_name_inside() {
    let scratch = Scratch::new("names");
    for name in ["with space.py", "-c", "é.py", "a'b.py"] {
        let file = scratch.file(name, "import sys; print(sys.argv[0])");
        let run = call(["code", "python", file.to_str().expect("a name")]);
        assert_eq!(said(&run), (Some(0), format!("/run/code/{name}\n").as_str(), ""));
    }
}

#[test]
fn code_reads_standard_input_that_it_does_not_come_from() {
    let run = call_with_input(["code", "python", "-e", "print(input())"], b"a line\n");
    assert_eq!(said(&run), (Some(0), "a line\n", ""));
}

#[test]
fn an_interpreter_that_is_missing_is_a_command_that_is_missing() {
    let run = call(["code", "--env", "PATH=/nonexistent", "python", "-e", "1"]);
    let complaint = run.stderr.lines().next();
    assert_eq!((run.code, complaint), (Some(127), Some("belljar: `python3`: command not found in the sandbox")));
}
