//! The page for people, in a real browser.

use crate::common::available;
use crate::server::{Server, is_well, packages, program};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where Debian has it; elsewhere it has another name.
const CHROMIUM: &str = "/usr/bin/chromium-headless-shell";

/// The address that was shown, with its key.
fn page_of(server: &Server) -> String {
    let line = server.said.lines().find(|line| line.contains("/ui/#")).unwrap_or_else(|| panic!("{}", server.said));
    line.trim().to_owned()
}

#[test]
fn in_a_browser_sandboxes_are_made_watched_typed_into_and_stopped() {
    let Some(packages) = packages("puppeteer") else { return };
    let chromium = std::env::var_os("BELLJAR_CHROMIUM").map_or_else(|| CHROMIUM.into(), PathBuf::from);
    if !available("a browser: chromium-headless-shell", Path::new(&chromium).exists()) {
        return;
    }
    let server = Server::with("page", &["--ui"]);
    let shot = server.sandboxes.0.0.join("page.png");
    let mut command = program("walk_page.mjs", "page", &packages);
    command.env("PAGE", page_of(&server)).env("CHROMIUM", chromium).env("SHOT", &shot);
    is_well(&command.env("HOME", &server.sandboxes.0.0).output().expect("start the script"));
    assert!(std::fs::metadata(&shot).expect("a picture").len() > 10_000);
    // For whoever wants to look at it.
    if let Some(to) = std::env::var_os("BELLJAR_TEST_SHOT") {
        std::fs::copy(&shot, to).expect("keep the picture");
    }
}

#[test]
fn the_page_is_there_when_asked_for_and_its_key_is_new_at_each_start() {
    let server = Server::with("page-keys", &["--ui"]);
    let key = page_of(&server).rsplit('#').next().expect("a key").to_owned();
    assert_ne!(key, server.token);
    let (status, page) = server.ask("GET", "/ui/", "", "");
    assert!(status == 200 && page.contains("<title>belljar</title>"), "{status} {page}");
    let ls = r#"{"method": "ls"}"#;
    assert_eq!(server.ask("POST", "/ui/call", "", ls).0, 401);
    let with = |key: &str| format!("Authorization: Bearer {key}\r\n");
    assert_eq!(server.ask("POST", "/ui/call", &with(&key), ls).0, 200);
    assert_eq!(server.ask("GET", "/api/sandbox", &with(&key), "").0, 200);
    // What leads to the machine itself is nothing that the page asks for, whoever has the key.
    let secret = server.sandboxes.home().join("serve-token");
    for params in [
        json!({ "mount": [format!("{}:/x", secret.display())] }),
        json!({ "net": "host" }),
        json!({ "net": "./net.toml" }),
        json!({ "net": ["open"] }),
        json!({ "allow": ["host:1"], "net": "only" }),
        json!({ "spec": secret }),
        json!({ "publish": ["8080:80"] }),
    ] {
        let asked = json!({ "method": "create", "params": params }).to_string();
        let (status, told) = server.ask("POST", "/ui/call", &with(&key), &asked);
        assert!(status == 403 && told.contains("params: "), "{asked}: {status} {told}");
    }
    assert_eq!(server.sandboxes.states(), []);
    let foreign = format!("Origin: http://evil.example\r\n{}", with(&key));
    assert_eq!(server.ask("POST", "/ui/call", &foreign, ls).0, 403);
    let head = server.raw(b"GET /ui/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").to_ascii_lowercase();
    for line in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(head.contains(line), "{line}: {}", head.split("\r\n\r\n").next().expect("a head"));
    }
    let again = Server::over(server.kill(), &["--ui"]);
    assert_eq!(again.ask("POST", "/ui/call", &with(&key), ls).0, 401);
    let without = Server::over(again.kill(), &[]);
    assert_eq!(without.ask("GET", "/ui/", "", "").0, 401);
    assert_eq!(without.asked("GET", "/ui/", "").0, 404);
    assert!(!without.said.contains("/ui/"), "{}", without.said);
}
