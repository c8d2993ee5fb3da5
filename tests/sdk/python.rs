//! The Python package in Daytona's names: each group of calls, and what it promises of its ends.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, available};
use crate::programs::{done, packages, program, python, root, walk};

fn walks(part: &str) {
    let sandboxes = Sandboxes::new(&format!("sdk-{part}"));
    walk(&mut python(&sandboxes), &sandboxes, &root().join("tests/sdk/walk.py"), part);
}

#[test]
fn commands_and_code_run_and_end_as_daytonas_callers_know_it() {
    walks("commands");
}

#[test]
fn files_go_in_and_out_and_are_found_and_changed() {
    walks("files");
}

#[test]
fn sessions_remember_and_their_logs_are_followed() {
    walks("sessions");
}

#[test]
fn terminals_are_typed_into_resized_and_left() {
    walks("terminals");
}

#[test]
fn an_interpreter_remembers_and_has_contexts() {
    walks("interpreter");
}

#[test]
fn a_sandbox_is_made_stopped_started_forked_and_removed() {
    walks("life");
}

#[test]
fn what_a_program_makes_goes_with_it_however_it_ends() {
    walks("ends");
}

#[test]
fn images_are_made_by_steps_and_those_are_done_once() {
    walks("images");
}

#[test]
fn a_repository_is_cloned_changed_and_pushed() {
    walks("git");
}

#[test]
fn language_servers_inside_complete_and_list_symbols() {
    walks("languages");
}

#[test]
fn what_a_sandbox_may_reach_and_who_reaches_it_is_what_the_program_says() {
    walks("network");
}

#[test]
fn programs_that_wait_for_many_at_once_are_not_blocked_and_call_things_off() {
    walks("concurrent");
}

#[test]
fn the_classes_that_do_not_block_are_those_that_do() {
    let sandboxes = Sandboxes::new("sdk-generated");
    let run =
        program(&sandboxes, "/usr/bin/python3").arg(root().join("sdk/python/generate_aio.py")).arg("--check").output();
    let run = Run::from(run.expect("start Python"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn without_a_binary_the_program_hears_what_to_do() {
    let sandboxes = Sandboxes::new("sdk-nowhere");
    let script =
        "import belljar\ntry: belljar.Daytona().create()\nexcept belljar.DaytonaConnectionError as error: print(error)";
    let run = python(&sandboxes).env("BELLJAR", "/nowhere/belljar").args(["-c", script]).output();
    let run = Run::from(run.expect("start Python"));
    assert_eq!(
        run.stdout, "BELLJAR: `/nowhere/belljar` is no program; name the binary, or unset the variable\n",
        "{run:?}"
    );
}

#[test]
fn its_types_hold_as_strictly_as_mypy_can_look() {
    let checker = packages("mypy");
    if !available("mypy: `tests/clients` installs it", checker.exists()) {
        return;
    }
    let sandboxes = Sandboxes::new("sdk-types");
    let mut check = program(&sandboxes, "/usr/bin/python3");
    check.args(["-m", "mypy", "--cache-dir", "cache", "--config-file"]).arg(root().join("sdk/python/pyproject.toml"));
    let said = done(check.arg(root().join("sdk/python/belljar")).env("PYTHONPATH", checker));
    assert!(said.starts_with("Success: no issues found"), "{said}");
}
