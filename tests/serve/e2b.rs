//! The official clients of E2B, as they are on PyPI and npm, with real work behind each call.

use crate::server::{Server, walk, walk_with_image};

/// Runs a part of the script as the program of a user.
fn walks(part: &str) {
    walk("e2b", "walk_e2b.py", part, variables);
}

fn variables(server: &Server) -> Vec<(&'static str, String)> {
    let url = server.url();
    vec![("E2B_API_URL", url.clone()), ("E2B_SANDBOX_URL", url), ("E2B_API_KEY", server.token.clone())]
}

#[test]
fn a_sandbox_of_e2bs_is_made_listed_lengthened_copied_and_ends_in_its_time() {
    walks("life");
}

#[test]
fn commands_stream_outlive_their_listener_are_typed_into_and_killed() {
    walks("commands");
}

#[test]
fn terminals_are_typed_into_resized_left_and_killed() {
    walks("terminals");
}

#[test]
fn files_are_written_read_listed_moved_and_reached_by_signed_addresses() {
    walks("files");
}

#[test]
fn directories_are_watched_with_what_is_below_them() {
    walks("watching");
}

#[test]
fn repositories_are_worked_on_by_commands() {
    walks("repositories");
}

#[test]
fn programs_that_wait_for_many_sandboxes_at_once_are_served() {
    walks("concurrent");
}

#[test]
fn a_sandbox_is_paused_without_its_memory_and_its_ports_are_seen() {
    walks("ports");
}

/// The same for the code interpreter.
fn interprets(part: &str) {
    walk("e2b-code-interpreter", "walk_e2b_code.py", part, variables);
}

#[test]
fn python_remembers_shows_results_in_all_forms_and_says_how_it_failed() {
    interprets("python");
}

#[test]
fn contexts_are_made_listed_restarted_and_removed_and_know_nothing_of_each_other() {
    interprets("contexts");
}

#[test]
fn javascript_waits_for_promises_imports_and_is_interrupted() {
    interprets("scripts");
}

#[test]
fn figures_come_as_pictures_and_as_charts_and_tables_as_data() {
    walk_with_image("python", "e2b-code-interpreter", "walk_e2b_code.py", "pictures", variables);
}

#[test]
fn code_runs_in_many_sandboxes_at_once() {
    interprets("concurrent");
}

#[test]
fn the_code_interpreter_of_the_client_for_typescript_does_the_same_work() {
    walk("e2b-code-interpreter-npm", "walk_e2b_code.mjs", "all", variables);
}

#[test]
fn the_client_for_typescript_does_the_same_work() {
    walk("e2b-npm", "walk_e2b.mjs", "all", variables);
}
