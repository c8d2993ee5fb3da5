//! The official clients of Daytona, as they are on PyPI and npm, with real work behind each call.

use crate::server::{Server, walk};

/// Runs a part of the script as the program of a user.
fn walks(part: &str) {
    walk("daytona", "walk_daytona.py", part, variables);
}

fn variables(server: &Server) -> Vec<(&'static str, String)> {
    vec![("DAYTONA_API_URL", format!("{}/api", server.url())), ("DAYTONA_API_KEY", server.token.clone())]
}

#[test]
fn commands_and_code_run_and_end_as_the_client_knows_it() {
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
fn a_sandbox_is_made_listed_stopped_started_forked_and_removed() {
    walks("life");
}

#[test]
fn a_snapshot_is_made_and_a_dockerfile_is_built() {
    walks("images");
}

#[test]
fn what_an_image_starts_by_itself_runs_and_uploads_over_http_are_refused_with_a_cure() {
    walks("uploads");
}

#[test]
fn whoever_has_the_token_hears_of_sandboxes_that_change() {
    walks("events");
}

#[test]
fn the_toolbox_is_reached_as_other_languages_clients_do() {
    walks("toolbox");
}

#[test]
fn the_older_client_does_its_work_by_the_paths_it_knows() {
    walk("daytona-sdk", "walk_daytona_sdk.py", "all", variables);
}

#[test]
fn the_client_for_typescript_works_by_its_other_name_too() {
    walk("daytona-sdk-npm", "walk_daytona.mjs", "all", variables);
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
fn a_server_inside_is_seen_by_whoever_has_the_token() {
    walks("previews");
}

#[test]
fn what_a_sandbox_may_reach_is_what_the_client_says() {
    walks("network");
}

#[test]
fn what_cannot_be_done_is_an_error_of_the_clients_own() {
    walks("refusals");
}

#[test]
fn programs_that_wait_for_many_at_once_use_the_client_that_does_not_block() {
    walks("concurrent");
}

#[test]
fn the_client_for_typescript_does_the_same_work() {
    walk("daytona-npm", "walk_daytona.mjs", "all", variables);
}
