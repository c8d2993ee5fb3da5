//! `--userns range`: many ids inside, where the administrator gave them; what they are worth, what holds them, and what is
//! said where there are none.

mod escapes;
mod missing;
mod packages;

use crate::common::images::{Home, Image};
use crate::common::ranges::{as_user, first_id, ranged};
use crate::common::sandboxes::Sandboxes;
use crate::common::{
    Scratch, Started, assert_gone, bind, call, command, installed, is_root, mark, python, python_result, said, shell,
    shell_result,
};
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;

const RANGE: &[&str] = &["--userns", "range"];

/// What a run with a range that went well printed.
fn printed(options: &[&str], script: &str) -> String {
    let run = shell(&[RANGE, options].concat(), script);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
    run.stdout
}

#[test]
fn every_id_from_0_to_65535_can_own_a_file_and_no_other() {
    if !ranged() {
        return;
    }
    let code = "
import os
open('/tmp/f', 'w').close()
for uid, gid in [(1, 0), (0, 1), (1000, 5), (65534, 65534), (65535, 65535), (0, 0)]:
    os.chown('/tmp/f', uid, gid)
    found = os.stat('/tmp/f')
    print(found.st_uid, found.st_gid)
for ids in [(65536, 0), (0, 65536)]:
    try: os.chown('/tmp/f', *ids)
    except OSError as error: print(error.strerror)
";
    let run = python(RANGE, code);
    let expected = "1 0\n0 1\n1000 5\n65534 65534\n65535 65535\n0 0\nInvalid argument\nInvalid argument\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), expected), "{}", run.stderr);
}

#[test]
fn the_command_is_user_0_without_other_groups_unless_another_is_asked_for() {
    if !ranged() {
        return;
    }
    assert_eq!(printed(&[], "id -u; id -g; id -G; echo $HOME"), "0\n0\n0\n/root\n");
    assert_eq!(
        printed(&["--user", "1000:5"], "id -u; id -G; cd; touch a; stat -c %u:%g a ."),
        "1000\n5\n1000:5\n1000:5\n"
    );
}

#[test]
fn a_command_that_joins_is_the_user_that_it_asks_for_and_so_are_its_files() {
    if !ranged() {
        return;
    }
    let sandboxes = Sandboxes::new("users");
    let show = "id -u; id -g; touch /tmp/$1; stat -c %u:%g /tmp/$1; echo $HOME $USER; pwd; sed -n 's/^CapEff:.//p' /proc/self/status";
    let (none, kept) = ("0000000000000000", "00000000000000fb");
    for (made, user, seen) in [
        (&[][..], "0", format!("0\n0\n0:0\n/root root\n/root\n{kept}\n")),
        (&[], "1000", format!("1000\n1000\n1000:1000\n/ 1000\n/\n{none}\n")),
        (&[], "5:6", format!("5\n6\n5:6\n/ 5\n/\n{none}\n")),
        (&[], "65535", format!("65535\n65535\n65535:65535\n/ 65535\n/\n{none}\n")),
        (&["--user", "7"], "7", format!("7\n7\n7:7\n/home/sandbox sandbox\n/home/sandbox\n{none}\n")),
        (&["--user", "7"], "8", format!("8\n8\n8:8\n/ 8\n/\n{none}\n")),
        (&["--user", "7"], "0", format!("0\n0\n0:0\n/ 0\n/\n{kept}\n")),
    ] {
        sandboxes.create("box", &[RANGE, made].concat());
        let run = sandboxes.call(&["exec", "--user", user, "box", "--", "sh", "-c", show, "sh", "file"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(0), seen.as_str()), "{made:?} {user}: {run:?}");
        sandboxes.done(&["rm", "-f", "box"]);
    }
    sandboxes.create("box", RANGE);
    for (user, why) in [
        (
            "root",
            "belljar: user: `root` is not of the form UID[:GID]\nhint: ids are numbers, as in `--user 1000:1000`; names are not looked up\n",
        ),
        ("65536", "belljar: user: 65536:65536 is not in the range\nhint: a range has the ids 0 to 65535\n"),
    ] {
        assert_eq!(said(&sandboxes.call(&["exec", "--user", user, "box", "--", "true"])), (Some(125), "", why));
    }
}

#[test]
fn whoever_comes_as_soon_as_a_sandbox_is_ready_finds_all_of_its_namespaces() {
    if !ranged() {
        return;
    }
    let sandboxes = Sandboxes::new("soon");
    // Many at once, so that the supervisor is often looked at between two messages of its sandbox.
    std::thread::scope(|scope| {
        for caller in 0..6 {
            let sandboxes = &sandboxes;
            scope.spawn(move || {
                for turn in 0..4 {
                    let name = format!("box-{caller}-{turn}");
                    sandboxes.create(&name, RANGE);
                    let run = sandboxes.call(&["exec", "--user", "5", &name, "--", "id", "-u"]);
                    assert_eq!(said(&run), (Some(0), "5\n", ""));
                    sandboxes.done(&["rm", "-f", &name]);
                }
            });
        }
    });
}

#[test]
fn user_0_is_the_caller_outside_and_others_are_subordinate() {
    if !ranged() {
        return;
    }
    let scratch = Scratch::new("owners");
    let script = "touch /mnt/a /mnt/b; chown 1:1 /mnt/b";
    assert_eq!(printed(&["--mount", &bind(&scratch.0, "/mnt:rw")], script), "");
    let owner = |name: &str| std::fs::metadata(scratch.0.join(name)).expect("a file").uid();
    let caller = if is_root() { 65534 } else { nix::unistd::geteuid().as_raw() };
    assert_eq!((owner("a"), owner("b")), (caller, first_id()));
}

#[test]
fn user_0_keeps_seven_capabilities_and_nobody_else_keeps_any() {
    if !ranged() {
        return;
    }
    let show = "grep ^Cap /proc/self/status | cut -f2 | tr '\\n' ' '";
    let (none, kept) = ("0000000000000000", "00000000000000fb");
    assert_eq!(printed(&[], show), format!("{none} {kept} {kept} {kept} {none} "));
    assert_eq!(printed(&["--user", "1000"], show), format!("{none} ").repeat(5));
    // The bounding set is what user 0 may get at most; another user gets nothing from it.
    let other = as_user(1000, &format!("import os; os.execvp('sh', ['sh', '-c', {show:?}])"));
    assert_eq!(python(RANGE, &other).stdout, format!("{none} {none} {none} {kept} {none} "));
}

#[test]
fn the_result_says_which_capabilities_are_kept_and_whoever_requires_none_is_refused() {
    if !ranged() {
        return;
    }
    let result = shell_result(RANGE, "true");
    let kept = "none but CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID, over the sandbox's own ids";
    assert_eq!(result["enforcement"]["capabilities"], json!({ "partly": kept }));
    let refused = shell(&[RANGE, &["--require", "capabilities"]].concat(), "true");
    assert_eq!(refused.code, Some(125));
    assert!(refused.stderr.starts_with(&format!("belljar: capabilities is required: {kept}\nhint: ")), "{refused:?}");
    let other = shell_result(&[RANGE, &["--user", "7", "--require", "capabilities"]].concat(), "true");
    assert_eq!((&other["status"], &other["enforcement"]["capabilities"]), (&json!("exited"), &json!("enforced")));
    assert_eq!(shell_result(&[], "true")["enforcement"]["capabilities"], "enforced");
}

#[test]
fn user_0_may_do_with_the_files_of_other_users_inside_as_it_likes_and_they_may_not() {
    if !ranged() {
        return;
    }
    let script =
        "cd /tmp; echo secret >f; chmod 600 f; chown 33:33 f; cat f; chmod 640 f; chown 0:33 f; stat -c '%u:%g %a' f";
    assert_eq!(printed(&[], script), "secret\n0:33 640\n");
    let code = "open('/tmp/f', 'w').close(); os.chmod('/tmp/f', 0o600)\n";
    let run = python(RANGE, &format!("import os\n{code}{}", as_user(1000, "open('/tmp/f')")));
    assert!(run.code == Some(1) && run.stderr.contains("PermissionError"), "{run:?}");
}

#[test]
fn whoever_became_another_user_stays_it() {
    if !ranged() {
        return;
    }
    let code = "
import os, shutil
shutil.copy('/usr/bin/id', '/tmp/id'); os.chmod('/tmp/id', 0o4755)
os.setgroups([]); os.setresgid(1000, 1000, 1000); os.setresuid(1000, 1000, 1000)
for attempt in [lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chown('/tmp/id', 1000, 1000)]:
    try: attempt(); print('allowed', flush=True)
    except PermissionError: print('refused', flush=True)
os.execv('/tmp/id', ['id', '-u'])
";
    let run = python(RANGE, code);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "refused\nrefused\nrefused\nrefused\n1000\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_terminal_and_the_standard_streams_can_be_opened_again_by_whoever_runs() {
    if !ranged() {
        return;
    }
    for user in ["0", "1000"] {
        let options = ["--user", user];
        assert_eq!(printed(&options, "echo a >/dev/stdout; echo b >/proc/self/fd/1"), "a\nb\n");
        let run = shell(&[RANGE, &options, &["--tty"]].concat(), "stat -c %u $(tty); echo x >$(tty)");
        assert_eq!((run.code, run.stdout.replace('\r', "")), (Some(0), format!("{user}\nx\n")), "{}", run.stderr);
    }
}

#[test]
fn a_fork_bomb_of_a_thousand_users_is_held_as_one_of_a_single_user_is() {
    if !ranged() {
        return;
    }
    let code = "
import os, time
started = 0
for uid in range(1, 1000):
    try:
        os.setresuid(uid, 0, 0)
        if os.fork() == 0: time.sleep(60)
    except BlockingIOError: break
    started += 1
print(started)
";
    let result = python_result(&[RANGE, &["--pids", "20"]].concat(), code);
    // The program itself is one of them.
    assert_eq!((&result["status"], &result["stdout"]), (&json!("exited"), &json!("19\n")), "{result}");
}

#[test]
fn memory_counts_whoever_uses_it() {
    if !ranged() {
        return;
    }
    let fills = [
        "x = [bytearray(b'x' * (1 << 20)) for _ in range(900)]",
        "fd = os.memfd_create('x')\n[os.write(fd, bytes(1 << 20)) for _ in range(900)]",
        "x = mmap.mmap(-1, 900 << 20)\nfor at in range(0, len(x), 4096): x[at] = 1",
    ];
    for fill in fills {
        // A program that was executed as that user, too: the kernel lets others look at it by other rules.
        let program = as_user(
            1000,
            &format!("os.execvp('python3', ['python3', '-c', {:?}])", format!("import mmap, os\n{fill}")),
        );
        for code in [as_user(1000, &format!("import mmap\n{fill}")), program] {
            let result = python_result(&[RANGE, &["--memory", "200M", "--seccomp", "debug"]].concat(), &code);
            assert_eq!(result["status"], "out_of_memory", "{fill}: {result}");
        }
    }
    // Files are full before.
    let fill = as_user(1000, "f = open('/dev/shm/x', 'wb')\n[f.write(bytes(1 << 20)) for _ in range(900)]");
    let result = python_result(&[RANGE, &["--memory", "200M"]].concat(), &fill);
    assert_eq!((&result["status"], &result["limits_reached"]), (&json!("exited"), &json!(["disk"])), "{result}");
}

#[test]
fn the_cpu_rate_holds_whoever_runs() {
    if !ranged() {
        return;
    }
    let spin = "for _ in range(2): os.fork()\nwhile True: pass";
    let options = [RANGE, &["--cpus", "0.2", "--timeout", "2500ms"]].concat();
    let result = python_result(&options, &as_user(1000, spin));
    let share = |name: &str| result["usage"][name].as_f64().expect("a number");
    assert!(share("cpu_ms") / share("wall_ms") < 0.35, "{result}");
    let result = python_result(&[RANGE, &["--cpu-time", "300ms"]].concat(), &as_user(1000, spin));
    assert_eq!(result["status"], "cpu_time_exceeded", "{result}");
}

#[test]
fn processes_of_all_users_end_with_the_sandbox() {
    if !ranged() {
        return;
    }
    let mark = mark("users");
    let sleep = format!("os.execvp('sh', ['sh', '-c', 'sleep 60; : {mark}'])");
    let code = format!(
        "import os, time\nfor uid in 1, 1000:\n  if os.fork() == 0:\n    os.setsid(); os.setresuid(uid, uid, uid); {sleep}\n"
    );
    assert_eq!(python(RANGE, &format!("{code}time.sleep(0.2)")).code, Some(0));
    assert_gone(&mark);
    assert_eq!(python(&[RANGE, &["--timeout", "1s"]].concat(), &format!("{code}time.sleep(60)")).code, Some(124));
    assert_gone(&mark);
    let mut started = Started::new(&mut command([
        "code",
        "python",
        "--userns",
        "range",
        "-e",
        &format!("{code}print('up', flush=True); time.sleep(60)"),
    ]));
    assert_eq!(started.first_line(), "up");
    started.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(started.end_signal(), Some(9));
    assert_gone(&mark);
}

#[test]
fn signals_reach_a_command_of_another_user() {
    if !ranged() {
        return;
    }
    let script = "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.1; done";
    let words = ["run", "--userns", "range", "--user", "1000", "--", "sh", "-c", script];
    let mut started = Started::new(&mut command(words));
    assert_eq!(started.first_line(), "up");
    started.signal(nix::sys::signal::Signal::SIGTERM);
    let run = started.finish();
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "told\n"), "{run:?}");
}

#[test]
fn a_persons_home_in_an_image_is_the_persons() {
    if !ranged() || !installed("busybox") {
        return;
    }
    let home = Home::new("homes");
    let image = Image::busybox().above("mkdir -p home/app var/app").with(json!({ "User": "app" }));
    home.import("app", &image);
    let words = ["run", "--image", "app", "--userns", "range", "--", "sh", "-c"];
    let script = "id -u; stat -c %u:%g /home/app /var/app /etc/passwd; touch /home/app/x && echo made";
    let run = home.call(&[&words[..], &[script]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "77\n77:78\n0:0\n0:0\nmade\n"), "{}", run.stderr);
}

#[test]
fn set_user_id_bits_stay_out_of_directories_of_the_host() {
    if !ranged() {
        return;
    }
    let scratch = Scratch::new("bits");
    let mount = bind(&scratch.0, "/mnt:rw");
    let run = shell(&[RANGE, &["--mount", &mount]].concat(), "touch /mnt/a; chmod 4755 /mnt/a");
    assert!(run.code == Some(1) && run.stderr.contains("Operation not permitted"), "{run:?}");
    let refused = shell(&[RANGE, &["--mount", &mount, "--seccomp", "packages"]].concat(), "true");
    assert_eq!(refused.code, Some(125));
    assert!(refused.stderr.contains("`packages` lets set-user-id bits through"), "{refused:?}");
    assert_eq!(printed(&[], "touch /tmp/a; chmod 4755 /tmp/a; stat -c %a /tmp/a"), "4755\n");
}

#[test]
fn an_id_outside_of_the_range_is_refused() {
    if !ranged() {
        return;
    }
    let run = call(["run", "--userns", "range", "--user", "65536", "--", "true"]);
    let said = "belljar: user: 65536:65536 is not in the range\nhint: a range has the ids 0 to 65535\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(125), said));
}

#[test]
fn what_other_users_inside_leave_in_a_directory_of_the_host_goes_as_it_came() {
    if !ranged() {
        return;
    }
    let scratch = Scratch::new("left");
    let mount = bind(&scratch.0, "/mnt:rw");
    let make = "mkdir -m 700 /mnt/a /mnt/a/b; touch /mnt/a/b/c; chown -R 33:33 /mnt/a";
    assert_eq!(printed(&["--mount", &mount], make), "");
    if !is_root() {
        let refused = std::fs::remove_dir_all(scratch.0.join("a")).map_err(|error| error.kind());
        assert_eq!(refused, Err(std::io::ErrorKind::PermissionDenied));
    }
    assert_eq!(printed(&["--mount", &mount], "rm -r /mnt/a; ls -A /mnt"), "");
}

#[test]
fn an_image_whose_user_is_not_in_the_range_takes_another() {
    if !ranged() || !installed("busybox") {
        return;
    }
    let home = Home::new("beyond");
    home.import("beyond", &Image::busybox().with(json!({ "User": "70000:5" })));
    let words = ["run", "--image", "beyond", "--userns", "range"];
    let run = home.call(&[&words[..], &["--", "id", "-u"]].concat());
    let said = "belljar: user: the image's user 70000:5 is not in the range\nhint: a range has the ids 0 to 65535; choose another by `--user`\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(125), said));
    let run = home.call(&[&words[..], &["--user", "5", "--", "id", "-u"]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "5\n"), "{}", run.stderr);
}
