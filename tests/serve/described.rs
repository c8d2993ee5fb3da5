//! What is described of the server (docs/openapi.json), asked with all that a machine can think of.

use crate::server::{Server, packages};
use std::path::Path;
use std::process::Command;

#[test]
fn the_description_is_served_to_whoever_has_the_token() {
    let server = Server::new("described");
    assert_eq!(server.ask("GET", "/openapi.json", "", "").0, 401);
    let (status, text) = server.asked("GET", "/openapi.json", "");
    let told: serde_json::Value = serde_json::from_str(&text).expect("an object");
    assert_eq!((status, &told["openapi"]), (200, &serde_json::json!("3.1.0")));
    let body = &told["paths"]["/toolbox/{id}/process/execute"]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["properties"]["command"]["type"], serde_json::json!(["string", "null"]), "{body}");
    assert_eq!(told["paths"]["/toolbox/{id}/files/info"]["get"]["parameters"][1]["required"], true);
}

/// Schemathesis finds no request that the server has a fault of its own with: whatever is wrong is told as such, and 501 is what
/// belljar does not do.
#[test]
fn nothing_that_is_described_is_answered_by_a_fault() {
    let Some(packages) = packages("schemathesis") else { return };
    let server = Server::new("schemathesis");
    let made = server.asked("POST", "/api/sandbox", "{\"name\": \"box\", \"networkBlockAll\": true}");
    assert_eq!(made.0, 200, "{made:?}");
    let settings = server.sandboxes.0.0.join("schemathesis.toml");
    let text = "[parameters]\n\"path.id\" = \"box\"\n\"path.s\" = \"box\"\n\n[checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"4xx\", \"501\"]\n";
    std::fs::write(&settings, text).expect("write it");
    let description = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
        .join("docs/openapi.json");
    let examples = crate::common::chance::scaled_from(3, 30).to_string();
    let told = Command::new("timeout")
        .args(["600", "/usr/bin/python3", "-c", "from schemathesis.cli import schemathesis; schemathesis()"])
        .arg("--config-file")
        .arg(&settings)
        .arg("run")
        .arg(&description)
        .args(["--url", &server.url(), "-H", &format!("Authorization: Bearer {}", server.token)])
        // What is removed is not there for the next: removing, stopping and the like come by other names.
        .args(["--exclude-path-regex", "^/(api/)?sandbox(es)?/[{][a-z]+[}]$"])
        .args(["--checks", "not_a_server_error", "--phases", "fuzzing", "-n", &examples, "--workers", "4"])
        .current_dir(&server.sandboxes.0.0)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("start schemathesis");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{said}\n{}", String::from_utf8_lossy(&told.stderr));
    let tested = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Tested: "))
        .and_then(|count| count.trim().parse::<usize>().ok());
    assert!(tested.is_some_and(|tested| tested > 100), "{said}");
    assert_eq!(server.ask("GET", "/health", "", "").0, 200);
}
