//! OCI runtime bundles: those that others make run as they are, and none gets at the host.

use crate::common::images::{BUSYBOX, Home, Image, shell};
use crate::common::{Run, Scratch, allowed_to_be_missing, belljar, installed, result, said};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A bundle of a test's own.
struct Bundle {
    scratch: Scratch,
    config: Value,
}

impl Bundle {
    /// With a root file system that has a shell.
    fn new(name: &str) -> Option<Bundle> {
        if !installed("busybox") {
            return None;
        }
        let scratch = Scratch::new(name);
        let root = scratch.0.join("bundle/rootfs");
        std::fs::create_dir_all(&root).expect("make the root");
        shell(&root, &format!("set -e; umask 022; {BUSYBOX}"));
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": ["sh", "-c", "echo from the bundle"], "cwd": "/",
                "env": ["PATH=/bin", "KEPT=yes"],
            },
            "root": { "path": "rootfs" },
            "hostname": "jar",
            "mounts": [],
            "linux": { "namespaces": [{ "type": "network" }] },
        });
        Some(Bundle { scratch, config })
    }

    fn path(&self) -> PathBuf {
        self.scratch.0.join("bundle")
    }

    /// Writes the configuration and runs the bundle.
    fn run(&self, words: &[&str]) -> Run {
        std::fs::write(self.path().join("config.json"), self.config.to_string()).expect("write the configuration");
        // Whom root's sandboxes are on the host.
        if nix::unistd::geteuid().is_root() {
            shell(&self.path(), "chown -Rh 65534:65534 .");
        }
        run(&self.path(), words)
    }

    fn shell(&self, script: &str) -> Run {
        self.run(&["--", "sh", "-c", script])
    }
}

fn run(bundle: &Path, words: &[&str]) -> Run {
    let mut line = vec!["run", "--bundle"];
    let path = bundle.to_string_lossy();
    line.push(&path);
    line.extend(words);
    crate::common::command(&line).output().expect("start belljar").into()
}

#[test]
fn a_bundle_runs_its_command_and_the_result_names_it() {
    let Some(bundle) = Bundle::new("command") else { return };
    let run = bundle.run(&["--json"]);
    let result = result(&run);
    assert_eq!((&result["stdout"], &result["exit_code"]), (&json!("from the bundle\n"), &json!(0)), "{result}");
    assert_eq!(result["image"], json!(format!("bundle:{}", bundle.path().display())));
}

#[test]
fn what_the_command_line_says_wins() {
    let Some(bundle) = Bundle::new("wins") else { return };
    let run = bundle.run(&[
        "--hostname",
        "mine",
        "--env",
        "KEPT=no",
        "--user",
        "7",
        "--",
        "sh",
        "-c",
        "cat /etc/hostname; echo $KEPT; id -u",
    ]);
    assert_eq!(said(&run), (Some(0), "mine\nno\n7\n", ""));
    assert_eq!(said(&bundle.shell("cat /etc/hostname; echo $KEPT; id -u")), (Some(0), "jar\nyes\n0\n", ""));
}

#[test]
fn the_root_is_never_written_to_and_read_only_where_that_is_wanted() {
    let Some(mut bundle) = Bundle::new("written") else { return };
    assert_eq!(said(&bundle.shell("echo 1 >/new && rm /bin/wc && cat /new")), (Some(0), "1\n", ""));
    let root = bundle.path().join("rootfs");
    assert!(!root.join("new").exists() && root.join("bin/wc").symlink_metadata().is_ok());
    bundle.config["root"]["readonly"] = json!(true);
    bundle.config["mounts"] = json!([{ "destination": "/t", "type": "tmpfs" }]);
    let run = bundle.shell("touch /new; touch /bin/new; touch /t/new && ls /t");
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "new\n"), "{run:?}");
    assert_eq!(run.stderr.matches("Read-only file system").count(), 2, "{run:?}");
}

#[test]
fn its_mounts_come_in_their_order_with_what_they_restrict() {
    let Some(mut bundle) = Bundle::new("mounts") else { return };
    for (name, text) in [("data/sub/keep", "below\n"), ("more/file", "file\n")] {
        let path = bundle.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("make it");
        std::fs::write(path, text).expect("write it");
    }
    bundle.config["mounts"] = json!([
        { "destination": "/d", "type": "bind", "source": "data", "options": ["rbind", "ro"] },
        { "destination": "/d/sub", "type": "tmpfs", "options": ["size=64k", "noexec", "mode=700"] },
        { "destination": "/m", "type": "bind", "source": "more", "options": ["bind", "rw"] },
    ]);
    let script = "ls /d/sub; stat -c %a /d/sub; echo x 2>&- >/d/no || echo sealed; echo new >/m/new; \
        cp /bin/busybox /d/sub 2>&-; cat /bin/busybox >/d/sub/b 2>&- || echo full; rm /d/sub/*; \
        printf '#!/bin/sh\\n' >/d/sub/s && chmod +x /d/sub/s && /d/sub/s 2>&- || echo not executed";
    let run = bundle.shell(script);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "700\nsealed\nfull\nnot executed\n"), "{run:?}");
    assert_eq!(std::fs::read_to_string(bundle.path().join("more/new")).expect("read it"), "new\n");
    assert_eq!(std::fs::read_to_string(bundle.path().join("data/sub/keep")).expect("read it"), "below\n");
}

#[test]
fn what_is_masked_or_read_only_is_so_under_every_name() {
    let Some(mut bundle) = Bundle::new("masked") else { return };
    shell(
        &bundle.path().join("rootfs"),
        "mkdir secret && echo s >secret/s && echo s >etc/secret && ln -s etc/secret link && echo r >etc/ro",
    );
    bundle.config["linux"]["maskedPaths"] = json!(["/secret", "/link", "/nothing", "/proc/kcore", "/sys/firmware"]);
    bundle.config["linux"]["readonlyPaths"] = json!(["/etc/ro", "/bin", "/nothing/at/all", "/proc/sys"]);
    let script = "ls /secret; cat /etc/secret /link; echo x >/etc/ro; touch /bin/x; umount /etc/secret; rm -f /etc/secret; cat /etc/ro";
    let run = bundle.shell(script);
    assert_eq!(run.stdout, "r\n", "{run:?}");
    assert_eq!(run.stderr.matches("Read-only file system").count(), 2, "{run:?}");
}

#[test]
fn its_limits_are_those_of_the_sandbox() {
    let Some(mut bundle) = Bundle::new("limits") else { return };
    bundle.config["linux"]["resources"] = json!({ "memory": { "limit": 33554432 }, "pids": { "limit": 9 }, "cpu": { "quota": 150000, "period": 100000 } });
    bundle.config["process"]["rlimits"] = json!([
        { "type": "RLIMIT_NOFILE", "soft": 33, "hard": 44 }, { "type": "RLIMIT_FSIZE", "soft": 4096, "hard": 4096 },
    ]);
    let run = bundle.run(&["--dry-run"]);
    for line in [
        "limit RLIMIT_NOFILE to 33 (hard 44)",
        "limit RLIMIT_FSIZE to 4096 (hard 4096)",
        "limit RLIMIT_NPROC to 10 (hard 10)",
    ] {
        // Where there is a cgroup, it counts the processes.
        assert!(run.stdout.contains(line) || line.contains("NPROC"), "{line}: {}", run.stdout);
    }
    assert_eq!(said(&bundle.shell("ulimit -Sn; ulimit -Hn; ulimit -f")), (Some(0), "33\n44\n8\n", ""));
    let run = bundle.run(&["--json", "--", "sh", "-c", "a=x; while :; do a=$a$a; done"]);
    assert_eq!(result(&run)["status"], json!("out_of_memory"), "{run:?}");
}

#[test]
fn a_bundle_gets_at_nothing_of_the_host() {
    let Some(mut bundle) = Bundle::new("hostile") else { return };
    let outside = bundle.scratch.0.join("outside");
    std::fs::create_dir(&outside).expect("make it");
    std::fs::write(outside.join("secret"), "of the host").expect("write it");
    let link = |name: &str, to: &Path| std::os::unix::fs::symlink(to, bundle.path().join(name)).expect("link");
    link("link", &outside);
    link("up", Path::new(".."));
    let whole = bundle.config.clone();
    let bind = |source: &str| json!([{ "destination": "/x", "type": "bind", "source": source }]);
    for (place, value, wanted) in [
        ("root", json!({ "path": "/" }), "root.path: `/` does not lie in the bundle"),
        ("root", json!({ "path": "../outside" }), "root.path: `../outside` does not lie in the bundle"),
        ("root", json!({ "path": "link" }), "root.path: `link` leads through a symbolic link"),
        ("root", json!({ "path": "config.json" }), "root.path: `config.json` is no directory"),
        ("root", json!({ "path": "nowhere" }), "root.path: `nowhere`: No such file or directory"),
        ("mounts", bind("/etc/shadow"), "mounts: `/x`: `/etc/shadow` does not lie in the bundle"),
        ("mounts", bind("link/secret"), "mounts: `/x`: `link/secret` leads through a symbolic link"),
        ("mounts", bind("up/outside"), "mounts: `/x`: `up/outside` leads through a symbolic link"),
        ("mounts", bind(""), "mounts: `/x`: `` does not lie in the bundle"),
        ("hooks", json!({ "createRuntime": [{ "path": "/bin/touch" }] }), "hooks: would run programs on the host"),
        (
            "linux",
            json!({ "namespaces": [{ "type": "network", "path": "/proc/1/ns/net" }] }),
            "linux.namespaces[0].path",
        ),
        (
            "linux",
            json!({ "namespaces": [{ "type": "network" }], "seccomp": { "defaultAction": "SCMP_ACT_ALLOW" } }),
            "linux.seccomp: a filter of belljar's own",
        ),
        (
            "linux",
            json!({ "namespaces": [{ "type": "network" }], "devices": [{ "path": "/dev/kvm", "type": "c", "major": 10, "minor": 232 }] }),
            "linux.devices: is nothing that belljar does",
        ),
    ] {
        bundle.config = whole.clone();
        bundle.config[place] = value;
        let run = bundle.run(&[]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""), "{wanted}: {run:?}");
        assert!(run.stderr.contains(wanted) && run.stderr.contains("config.json"), "{wanted}: {run:?}");
    }
}

#[test]
fn links_in_its_root_lead_nowhere_outside() {
    let Some(mut bundle) = Bundle::new("links") else { return };
    let outside = bundle.scratch.0.join("outside");
    std::fs::create_dir(&outside).expect("make it");
    let link = |name: &str| {
        std::os::unix::fs::symlink(&outside, bundle.path().join("rootfs").join(name)).expect("link");
    };
    for name in ["work", "target", "masked", "sealed"] {
        link(name);
    }
    std::fs::create_dir(bundle.path().join("data")).expect("make it");
    bundle.config["linux"]["maskedPaths"] = json!(["/masked"]);
    bundle.config["linux"]["readonlyPaths"] = json!(["/sealed"]);
    assert_eq!(said(&bundle.run(&[])), (Some(0), "from the bundle\n", ""));
    let whole = bundle.config.clone();
    for (place, value) in [
        ("process", json!({ "args": ["true"], "cwd": "/work/in" })),
        ("mounts", json!([{ "destination": "/target/deep", "type": "bind", "source": "data", "options": ["rw"] }])),
        ("mounts", json!([{ "destination": "/target/deep", "type": "tmpfs" }])),
        ("mounts", json!([{ "destination": "/target", "type": "tmpfs" }])),
    ] {
        bundle.config = whole.clone();
        bundle.config[place] = value;
        let run = bundle.run(&[]);
        assert_eq!(run.code, Some(125), "{place}: {run:?}");
        assert!(run.stderr.contains("the image has a link there that leads to nothing"), "{run:?}");
    }
    assert_eq!(std::fs::read_dir(&outside).expect("read it").count(), 0, "something was made outside");
    // A link that leads somewhere inside is followed there.
    shell(&bundle.path().join("rootfs"), "ln -s /bin/.. elsewhere");
    bundle.config = whole;
    bundle.config["mounts"] = json!([{ "destination": "/elsewhere/deep", "type": "tmpfs" }]);
    assert_eq!(said(&bundle.shell("echo x >/deep/file; ls /deep")), (Some(0), "file\n", ""));
}

#[test]
fn a_link_upwards_is_followed_though_somebody_renames_files_all_the_time() {
    let Some(mut bundle) = Bundle::new("renames") else { return };
    shell(&bundle.path().join("rootfs"), "ln -s /bin/.. elsewhere");
    bundle.config["mounts"] = json!([{ "destination": "/elsewhere/deep", "type": "tmpfs" }]);
    let (one, two) = (bundle.scratch.file("one", ""), bundle.scratch.0.join("two"));
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                for (from, to) in [(&one, &two), (&two, &one)] {
                    std::fs::rename(from, to).expect("rename it");
                }
            }
        });
        let runs: Vec<Run> = (0..10).map(|_| bundle.shell("ls -d /deep")).collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        for run in runs {
            assert_eq!(said(&run), (Some(0), "/deep\n", ""));
        }
    });
}

#[test]
fn what_the_caller_says_himself_goes() {
    let Some(mut bundle) = Bundle::new("consent") else { return };
    bundle.config["linux"] = json!({ "seccomp": { "defaultAction": "SCMP_ACT_ALLOW" } });
    let run = bundle.run(&["--net", "none", "--seccomp", "strict"]);
    assert_eq!(said(&run), (Some(0), "from the bundle\n", ""));
}

#[test]
fn a_configuration_that_is_none_is_refused() {
    let Some(bundle) = Bundle::new("none") else { return };
    let file = bundle.path().join("config.json");
    let refused = |wanted: &str| {
        let run = run(&bundle.path(), &[]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""), "{run:?}");
        assert!(run.stderr.contains(wanted), "{wanted}: {run:?}");
        // What is refused has to go before the next comes.
        if file.is_dir() { std::fs::remove_dir(&file) } else { std::fs::remove_file(&file) }.expect("remove it");
    };
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("make a fifo");
    refused("is no regular file");
    std::fs::create_dir(&file).expect("make a directory");
    refused("is no regular file");
    std::os::unix::fs::symlink("/dev/zero", &file).expect("link");
    refused("symbolic link");
    std::fs::write(&file, b"{\"ociVersion\": \"\xff\"}").expect("write it");
    refused("is not UTF-8");
    std::fs::write(&file, "{\"ociVersion\": 1").expect("write it");
    refused("EOF while parsing");
    std::fs::File::create(&file).and_then(|file| file.set_len(5 << 20)).expect("write it");
    refused("more than 4194304 bytes");
}

#[test]
fn a_bundle_and_an_image_are_two_roots() {
    let Some(bundle) = Bundle::new("two") else { return };
    let run = bundle.run(&["--image", "host"]);
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(run.stderr.contains("bundle: has its own root file system, and takes no image"), "{run:?}");
}

#[test]
fn a_command_that_is_quicker_than_its_supervisor_has_ended_well() {
    let Some(mut bundle) = Bundle::new("quick") else { return };
    if !installed("strace") {
        return;
    }
    // One that is not to be found when the other is gone.
    let mount = |path: &str| json!({ "destination": path, "type": "tmpfs", "options": ["size=64k"] });
    bundle.config["mounts"] = json!([mount("/t"), mount("/t/below")]);
    assert_eq!(said(&bundle.run(&["--", "/bin/busybox", "echo", "here"])), (Some(0), "here\n", ""));
    // The supervisor hears of nothing before the mounts are gone.
    let mut slow = Command::new("strace");
    slow.args(["-qq", "-o", "/dev/null", "-e", "trace=recvmsg", "-e", "inject=recvmsg:delay_enter=300000"]);
    slow.arg(belljar()).args(["run"]).args(allowed_to_be_missing()).arg("--bundle").arg(bundle.path());
    slow.args(["--", "/bin/busybox", "echo", "here"]).env("BELLJAR_CGROUP_PARENT", "none").stdin(Stdio::null());
    assert_eq!(said(&slow.output().expect("start strace").into()), (Some(0), "here\n", ""));
}

#[test]
fn what_crun_makes_runs_as_it_is() {
    let Some(bundle) = Bundle::new("crun") else { return };
    if !installed("crun") {
        return;
    }
    shell(&bundle.path(), "crun spec --rootless");
    let run = run(&bundle.path(), &["--", "sh", "-c", "id -u; pwd; cat /etc/hostname; touch /x"]);
    assert_eq!(
        (run.code, run.stdout.replace('\r', "").as_str()),
        (Some(1), "0\n/\ncrun\ntouch: /x: Read-only file system\n"),
        "{run:?}"
    );
}

#[test]
fn what_umoci_unpacks_runs_as_it_is() {
    if !installed("umoci") || !installed("busybox") {
        return;
    }
    let home = Home::new("umoci");
    let config = json!({ "Cmd": ["sh", "-c", "echo $GREETING; pwd; cat /above"], "Env": ["GREETING=hello"], "WorkingDir": "/tmp" });
    let layout = Image::busybox().above("echo above >above").with(config).layout(&home.0);
    // Names of images are tags in umoci's layouts.
    let name = "set -e; sed -i 's/\"digest\"/\"annotations\":{\"org.opencontainers.image.ref.name\":\"t\"},\"digest\"/' \"$1/index.json\"";
    shell(&home.0.0, &name.replace("$1", &layout.to_string_lossy()));
    shell(&home.0.0, &format!("umoci unpack --rootless --image '{}:t' bundle", layout.display()));
    let run = run(&home.0.0.join("bundle"), &[]);
    assert_eq!((run.code, run.stdout.replace('\r', "").as_str()), (Some(0), "hello\n/tmp\nabove\n"), "{run:?}");
}

#[test]
fn what_lies_in_its_own_file_systems_counts_as_memory_and_as_disk() {
    let Some(mut bundle) = Bundle::new("counted") else { return };
    bundle.config["mounts"] = json!([{ "destination": "/t", "type": "tmpfs", "options": ["size=64m"] }]);
    let script = "/bin/busybox dd if=/dev/zero of=/t/f bs=1M count=8 2>&-; sleep 1";
    let run = bundle.run(&["--json", "--", "sh", "-c", script]);
    assert!(result(&run)["usage"]["disk_bytes"].as_u64() >= Some(8 << 20), "{run:?}");
    let script = "/bin/busybox dd if=/dev/zero of=/t/f bs=1M count=60 2>&-; sleep 5";
    let run = bundle.run(&["--json", "--memory", "32M", "--", "/bin/busybox", "sh", "-c", script]);
    assert_eq!(result(&run)["status"], json!("out_of_memory"), "{run:?}");
}
