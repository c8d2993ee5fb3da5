//! Directories that several sandboxes share.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, allowed_to_be_missing, said};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

fn run(sandboxes: &Sandboxes, volume: &str, script: &str) -> Run {
    let mut words = vec!["run"];
    words.extend(allowed_to_be_missing());
    words.extend(["--volume", volume, "--", "sh", "-c", script]);
    sandboxes.call(&words)
}

#[test]
fn a_volume_is_shared_and_outlives_who_has_it() {
    let sandboxes = Sandboxes::new("volume");
    assert_eq!(said(&sandboxes.call(&["volume", "create", "cache"])), (Some(0), "cache\n", ""));
    sandboxes.create("one", &["--volume", "cache:/cache"]);
    sandboxes.create("two", &["--volume", "cache:/seen:ro", "--volume", "cache/deep/down:/down"]);
    assert_eq!(said(&sandboxes.shell("one", "echo hello > /cache/f; mkdir /cache/d")), (Some(0), "", ""));
    assert_eq!(said(&sandboxes.shell("two", "cat /seen/f; echo down > /down/g")), (Some(0), "hello\n", ""));
    let refused = sandboxes.shell("two", "echo x > /seen/f");
    assert!(refused.code != Some(0) && refused.stderr.contains("Read-only file system"), "{refused:?}");
    assert_eq!(sandboxes.shell("one", "cat /cache/deep/down/g; ls /cache").stdout, "down\nd\ndeep\nf\n");
    let listed: Value = serde_json::from_str(&sandboxes.done(&["volume", "ls", "--json"])).expect("an object");
    let volume = &listed["volumes"][0];
    let users: Vec<&str> = volume["sandboxes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(volume["name"] == "cache" && users.len() == 2 && volume["created"].is_string(), "{listed}");
    let path = volume["path"].as_str().expect("a path");
    let top = std::path::Path::new(path).parent().and_then(std::path::Path::parent).expect("volumes");
    assert_eq!(top.metadata().expect("look").permissions().mode() & 0o777, 0o700);
    let used = sandboxes.call(&["volume", "rm", "cache"]);
    assert!(used.code == Some(1) && used.stderr.starts_with("belljar: volume: `cache` is used by "), "{used:?}");
    sandboxes.done(&["rm", "-f", "one", "two"]);
    assert_eq!(said(&run(&sandboxes, "cache:/c", "cat /c/f")), (Some(0), "hello\n", ""));
    let missing = "belljar: volume: there is no volume `none`\nhint: `belljar volume ls` lists them\n";
    assert_eq!(said(&sandboxes.call(&["volume", "rm", "none", "cache"])), (Some(1), "cache\n", missing));
    assert_eq!(sandboxes.done(&["volume", "ls"]), "no volumes; `belljar volume create` makes one\n");
}

#[test]
fn what_is_wrong_with_a_volume_is_said() {
    let sandboxes = Sandboxes::new("volumes");
    let missing = "belljar: volume: there is no volume `nope`\nhint: `belljar volume create nope` makes it\n";
    assert_eq!(said(&run(&sandboxes, "nope:/x", "true")), (Some(125), "", missing));
    for name in ["../up", "a/b", "-x", ""] {
        let run = sandboxes.call(&["volume", "create", "--", name]);
        assert!(run.code == Some(2) && run.stderr.contains("is not a valid volume name"), "{run:?}");
    }
    sandboxes.done(&["volume", "create", "v"]);
    let taken = sandboxes.call(&["volume", "create", "v"]);
    assert!(taken.code == Some(1) && taken.stderr.contains("there is a volume `v` already"), "{taken:?}");
    for wrong in ["v/../../x:/x", "/etc:/x", "v", "v:/x:rx"] {
        let run = run(&sandboxes, wrong, "true");
        assert!(run.code == Some(125) && run.stderr.starts_with("belljar: volume: "), "{wrong}: {run:?}");
    }
    let spec = json!({ "command": ["cat", "/x/f"], "mounts": [{ "volume": "v", "target": "/x", "writable": false }] });
    let file = sandboxes.0.file("spec.json", spec.to_string());
    assert_eq!(run(&sandboxes, "v:/x", "echo in > /x/f").code, Some(0));
    let mut words = vec!["run", "--spec", file.to_str().expect("text")];
    words.extend(allowed_to_be_missing());
    assert_eq!(said(&sandboxes.call(&words)), (Some(0), "in\n", ""));
    let gone = sandboxes.call(&["volume", "rm", "nope"]);
    assert!(gone.code == Some(1) && gone.stderr.contains("there is no volume `nope`"), "{gone:?}");
}

#[test]
fn a_link_in_a_volume_shows_nobody_more_than_the_volume() {
    let sandboxes = Sandboxes::new("planted");
    let secret = sandboxes.0.file("secret", "of the host");
    let host = secret.parent().expect("its directory").to_str().expect("text");
    sandboxes.done(&["volume", "create", "v"]);
    assert_eq!(
        run(&sandboxes, "v:/v", &format!("ln -s '{host}' /v/link; mkdir /v/d; ln -s / /v/d/root")).code,
        Some(0)
    );
    for path in ["v/link", "v/link/x", "v/d/root/etc"] {
        let run = run(&sandboxes, &format!("{path}:/x"), "ls /x");
        assert!(run.code == Some(125) && run.stdout.is_empty() && run.stderr.contains("without a link"), "{run:?}");
    }
    // Exchanged as fast as can be while others want it.
    sandboxes.create("evil", &["--volume", "v:/v", "--cpus", "2"]);
    let exchange = format!(
        "mkdir /v/a /v/a/s; mkdir /v/b; ln -s '{host}' /v/b/s; (while :; do mv /v/a/s /v/a/t; mv /v/b/s /v/a/s; mv /v/a/s /v/b/s; \
         mv /v/a/t /v/a/s; done) >/dev/null 2>&1 &"
    );
    assert_eq!(sandboxes.shell("evil", &exchange).code, Some(0));
    let (end, mut shown, mut refused) = (Instant::now() + Duration::from_secs(4), 0, 0);
    while Instant::now() < end {
        let run = run(&sandboxes, "v/a/s:/x:ro", "cat /x/secret 2>/dev/null; echo done");
        assert!(!run.stdout.contains("of the host"), "{run:?}");
        match run.code {
            Some(0) => shown += 1,
            _ => refused += 1,
        }
    }
    // How often each happens is the machine's affair.
    assert!(shown + refused > 3, "{shown} shown, {refused} refused");
}
