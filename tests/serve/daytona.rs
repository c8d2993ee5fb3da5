//! The official client of Daytona, as it is on PyPI, with real work behind each call (`walk.py`).

use crate::server::Server;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `tests/clients` puts the packages.
fn clients() -> PathBuf {
    std::env::var_os("BELLJAR_CLIENTS").map_or_else(|| "/var/lib/belljar-test-clients".into(), PathBuf::from)
}

/// Runs a part of the script as the program of a user.
fn walks(part: &str) {
    let packages = clients().join("daytona");
    if !crate::common::available("the official clients: `tests/clients` installs them", packages.exists()) {
        return;
    }
    let server = Server::new(&format!("daytona-{part}"));
    let script = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
        .join("tests/serve/walk.py");
    // Clients look for a file of settings where they are.
    let told = Command::new("timeout")
        .args(["300".as_ref(), "/usr/bin/python3".as_ref(), script.as_os_str(), part.as_ref()])
        .current_dir(&server.sandboxes.0.0)
        .env("DAYTONA_API_URL", format!("{}/api", server.url()))
        .env("DAYTONA_API_KEY", &server.token)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("start the script");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        told.status.success() && text(&told.stdout).ends_with("ok\n"),
        "{}\n{}",
        text(&told.stdout),
        text(&told.stderr)
    );
    // What the script made it also removed.
    let left: Value = serde_json::from_str(&server.sandboxes.done(&["ls", "--json"])).expect("an object");
    assert_eq!(left["sandboxes"], serde_json::json!([]));
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
