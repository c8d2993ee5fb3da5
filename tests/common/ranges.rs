//! Whether there is a range of subordinate ids for whoever runs the tests, and programs that make use of it.

use super::{available, call, result};
use serde_json::Value;
use std::sync::LazyLock;

/// Whether there is one. Who was given none, as most users are who do not come by tests/run-as-user, has nothing to test;
/// whatever else is missing is the host's fault. Asked once: doctor looks at everything else as well.
pub fn ranged() -> bool {
    static FOUND: LazyLock<Value> = LazyLock::new(|| result(&call(["doctor", "--json"]))["host"]["id_ranges"].take());
    let ids = &*FOUND;
    if ids["available"] == true {
        return true;
    }
    let given = |kind: &str| ids[kind].as_u64().is_some_and(|count| count > 0);
    if ids["newuidmap"] == true && !(given("subuid") && given("subgid")) {
        eprintln!("cannot run here: {}", ids["reason"]);
        return false;
    }
    available(&format!("a range of subordinate ids for this user: {}", ids["reason"]), false)
}

/// The first subordinate user id of whoever runs the tests.
pub fn first_id() -> u32 {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("look a user up").expect("a user");
    let text = std::fs::read_to_string("/etc/subuid").expect("read /etc/subuid");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{}:", user.name))).expect("a line");
    line.split(':').next().and_then(|id| id.parse().ok()).expect("a number")
}

/// Python that becomes another user, without groups, and goes on as that.
pub fn as_user(id: u32, code: &str) -> String {
    format!("import os\nos.setgroups([])\nos.setresgid({id}, {id}, {id})\nos.setresuid({id}, {id}, {id})\n{code}")
}
