//! `belljar image pull` itself: what it reads of its environment, what it says, and how it ends.

use super::images::{Image, Shelf};
use super::real::Registry;
use super::server::{Server, Tunnel};
use crate::common::images::{Home, Image as Root, shell};
use crate::common::{Run, Started, eventually, installed};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A call of which only the test's own environment is known.
fn command(home: &Home, words: &[&str]) -> Command {
    let mut command = home.command(words);
    for name in ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSL_CERT_FILE"] {
        command.env_remove(name);
    }
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.env("HOME", &home.0.0);
    command
}

fn call(command: &mut Command) -> Run {
    command.output().expect("start belljar").into()
}

fn with_input(command: &mut Command, input: &[u8]) -> Run {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("start belljar");
    child.stdin.take().expect("its input").write_all(input).expect("write the password");
    child.wait_with_output().expect("wait for belljar").into()
}

#[test]
fn the_password_is_read_from_standard_input_and_never_shown() {
    let Some(registry) = Registry::closed("user", "s3cret") else { return };
    let image = Image::new("amd64", &[1_000]);
    registry.push("a", "1", &image);
    let home = Home::new("command");
    let name = format!("{}/a:1", registry.host());
    let run = call(&mut command(&home, &["image", "pull", &name]));
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    let message = format!("belljar: image: `http://{}/v2/a/manifests/1`: 401 Unauthorized", registry.host());
    assert!(run.stderr.contains(&message) && run.stderr.contains("\nhint: "), "{}", run.stderr);
    let words = ["image", "pull", &name, "--username", "user", "--password-stdin", "--json"];
    let wrong = with_input(&mut command(&home, &words), b"no-s3cret\n");
    assert_eq!((wrong.code, wrong.stderr.contains("s3cret")), (Some(1), false), "{wrong:?}");
    let right = with_input(&mut command(&home, &words), b"s3cret\n");
    assert_eq!(right.code, Some(0), "{right:?}");
    let object: Value = serde_json::from_str(&right.stdout).expect("an object");
    assert_eq!((&object["digest"], &object["names"][0]), (&image.manifest.digest().to_string().into(), &name.into()));
    assert_eq!(object["fetched_bytes"], image.size());
}

#[test]
fn a_helper_in_the_path_is_asked_for_the_password() {
    let Some(registry) = Registry::closed("user", "s3cret") else { return };
    registry.push("a", "1", &Image::new("amd64", &[10]));
    let home = Home::new("helper");
    home.0.file("config.json", format!(r#"{{"credHelpers":{{"{}":"belljar-test"}}}}"#, registry.host()));
    // By a process of its own: one of ours that is started meanwhile would hold the script open for writing.
    let script = r#"printf '#!/bin/sh\ncat >asked\necho "{\"Username\":\"user\",\"Secret\":\"s3cret\"}"\n' >docker-credential-belljar-test"#;
    shell(&home.0.0, &format!("{script} && chmod 755 docker-credential-belljar-test"));
    let name = format!("{}/a:1", registry.host());
    let mut pull = command(&home, &["image", "pull", &name]);
    pull.env("DOCKER_CONFIG", &home.0.0).current_dir(&home.0.0);
    let run = call(&mut pull);
    let reason = "`docker-credential-belljar-test`: No such file or directory";
    assert!(run.code == Some(1) && run.stderr.contains(reason), "{run:?}");
    let path = std::env::var("PATH").expect("a path");
    let run = call(pull.env("PATH", format!("{}:{path}", home.0.0.display())));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(std::fs::read_to_string(home.0.0.join("asked")).expect("what it was asked"), registry.host());
}

#[test]
fn a_pull_that_is_killed_is_continued_by_the_next() {
    let image = Image::new("amd64", &[1_000_000]);
    let (shelf, layer) = (Shelf::new(&image), image.layers[0].digest());
    let path = layer.to_string();
    let server = Server::new(move |asked| match asked.path.contains(&path) && asked.header("range").is_none() {
        true => shelf.answer(asked).pause(400_000, Duration::from_secs(3)),
        false => shelf.answer(asked),
    });
    let home = Home::new("killed");
    let name = format!("localhost:{}/x:1", server.port);
    let words = ["image", "pull", name.as_str()];
    let partial = home.path().join("partial").join(layer.hex());
    let pull = Started::new(&mut command(&home, &words));
    assert!(eventually(20, || partial.metadata().is_ok_and(|found| found.len() == 400_000)));
    pull.signal(Signal::SIGKILL);
    assert_eq!(pull.end_signal(), Some(Signal::SIGKILL as i32));
    assert!(home.images().is_empty());
    let run = call(&mut command(&home, &words));
    assert_eq!(run.code, Some(0), "{run:?}");
    let ranges: Vec<_> = server.asked_for(&layer.to_string());
    assert_eq!(ranges.last().expect("a request").header("range"), Some("bytes=400000-"));
    assert_eq!((home.files("partial"), home.files("tmp")), (Vec::new(), Vec::new()));
}

#[test]
fn what_was_pulled_runs() {
    let Some(registry) = Registry::open().filter(|_| installed("skopeo") && installed("busybox")) else { return };
    let home = Home::new("runs");
    let layout = Root::busybox().above("mkdir etc; echo pulled >etc/motd").layout(&home.0);
    let name = format!("{}/team/root:1", registry.host());
    let (from, to) = (format!("oci:{}", layout.display()), format!("docker://{name}"));
    let output = Command::new("skopeo").args(["copy", "--quiet", "--dest-tls-verify=false", &from, &to]).output();
    let output = output.expect("start skopeo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run = call(&mut command(&home, &["image", "pull", &name]));
    assert_eq!(run.code, Some(0), "{run:?}");
    let run = home.shell(&name, "cat /etc/motd");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "pulled\n"), "{run:?}");
}

#[test]
fn nobody_is_contacted_unasked() {
    let tunnel = Tunnel::new("127.0.0.1:9".to_owned());
    let home = Home::new("unasked");
    let proxy = format!("http://localhost:{}", tunnel.port);
    for words in [
        &["run", "--image", "ghcr.io/owner/name:1", "--", "true"][..],
        &["run", "--image", "python", "--", "true"],
        &["image", "ls"],
        &["image", "gc"],
        &["image", "inspect", "ghcr.io/owner/name:1"],
    ] {
        call(command(&home, words).env("HTTPS_PROXY", &proxy));
        assert_eq!(tunnel.hosts(), [""; 0], "{words:?}");
    }
}
