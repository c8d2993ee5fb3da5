//! Recipes become root file systems, without root and without a range of ids.
//!
//! Needs mmdebstrap, the keys of Debian's archive and a mirror. The builds run in this program itself, called anew with the
//! word `build`: whoever clones has no other threads, and so there is no harness around `main`.

#[path = "../common/mod.rs"]
mod common;

use belljar::build::{Draft, NETWORK_VARIABLES, Options, build};
use belljar::spec::{Network, Spec};
use common::leavings::Before;
use common::{Run, Scratch, Started, eventually, installed};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What it takes to be a root and no more: one program.
const TINY: &str = r#"
    name = "tiny"
    packages = ["busybox-static"]
    keep = ["/usr/share/man/man1/busybox*"]
    [base]
    suite = "trixie"
    variant = "extract"
    [[file]]
    path = "/bin/greet"
    mode = "0755"
    source = "files/greet"
    [[file]]
    path = "/etc/motd"
    content = "hello\n"
    [config]
    cmd = ["/usr/bin/busybox", "sh"]
"#;

/// Its name, and what it does with a cache that all share.
type Test = (&'static str, fn(&Path));

const TESTS: [Test; 7] = [
    ("a_recipe_reads_nothing_that_does_not_lie_beside_it", a_recipe_reads_what_lies_beside_it),
    (
        "a_recipe_becomes_the_same_archive_each_time_and_leaves_nothing_else",
        a_recipe_becomes_the_same_archive_each_time,
    ),
    ("packages_are_set_up_and_commands_run_as_root_would", packages_are_set_up),
    ("a_package_that_there_is_none_of_is_named", a_missing_package_is_named),
    ("a_command_that_fails_is_named_with_its_code", a_command_that_fails_is_named),
    ("a_mirror_that_cannot_be_reached_is_said_to_be", a_mirror_out_of_reach),
    ("a_build_that_is_interrupted_leaves_nothing", an_interrupted_build_leaves_nothing),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "build") {
        return builder(&words[1..]);
    }
    // What of libtest's language Cargo and people use.
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = TESTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| name.contains(*word)));
    if words.iter().any(|word| word == "--list") {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if !installed("mmdebstrap") {
        return ExitCode::SUCCESS;
    }
    let scratch = Scratch::new("packages");
    for (name, test) in chosen {
        let begun = std::time::Instant::now();
        test(&scratch.0.join("cache"));
        println!("test {name} ... ok <{:.3}s>", begun.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}

/// `build RECIPE WORK CACHE`.
fn builder(words: &[String]) -> ExitCode {
    let environment = NETWORK_VARIABLES.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
    let host = Spec { net: Network::Host, ..Spec::default() };
    let options = Options {
        cache: Some(words[2].clone().into()),
        environment: environment.collect(),
        epoch: None,
        network: host,
    };
    let progress = Box::new(|line: &str| println!("{line}"));
    match Draft::read(Path::new(&words[0])).and_then(|draft| build(&draft, &options, Path::new(&words[1]), progress)) {
        Ok(built) => {
            println!("built {} {:?}", built.name.unwrap_or_default(), built.config.cmd);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", error.kind);
            error.hints().for_each(|hint| eprintln!("hint: {hint}"));
            ExitCode::FAILURE
        }
    }
}

/// One build, with a work directory of its own.
struct Build {
    before: Before,
    work: PathBuf,
    command: Command,
}

impl Build {
    fn new(recipe: &str, cache: &Path) -> Build {
        let before = Before::new("build");
        let path = before.scratch.0.join("recipe");
        let work = before.scratch.0.join("work");
        for directory in [&path.join("files"), &work] {
            std::fs::create_dir_all(directory).expect("make a directory");
        }
        std::fs::write(path.join("recipe.toml"), recipe).expect("write the recipe");
        std::fs::write(path.join("files/greet"), "#!/bin/sh\necho hello\n").expect("write a file");
        let mut command = Command::new(std::env::current_exe().expect("find this program"));
        command.arg("build").args([&path, &work]).arg(cache);
        before.around(&mut command);
        Build { before, work, command }
    }

    fn run(&mut self) -> Run {
        let run: Run = self.command.output().expect("start a build").into();
        self.nothing_is_left();
        run
    }

    /// Neither processes nor files. Mounts of others may come and go while a build takes its time.
    fn nothing_is_left(&self) {
        self.before.no_process_is_left();
        for place in ["TMPDIR", "HOME"] {
            let found = std::fs::read_dir(self.before.scratch.0.join(place)).expect("read a directory").count();
            assert_eq!(found, 0, "files left in {place}");
        }
    }

    /// The names in the work directory.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.work).expect("read the work directory");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// What tar says of the archive, or of an entry.
    fn tar(&self, words: &[&str]) -> String {
        let mut command = Command::new("tar");
        command.arg("--file").arg(self.work.join("root.tar")).args(words).stderr(Stdio::inherit());
        let output = command.env("TZ", "UTC").output().expect("start tar");
        assert!(output.status.success(), "{words:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn a_recipe_reads_what_lies_beside_it(_: &Path) {
    let scratch = Scratch::new("recipe");
    let told = |path: &Path| Draft::read(path).expect_err("a fault").to_string();
    let shown = scratch.0.display();
    assert_eq!(told(&scratch.0), format!("recipe: `{shown}/recipe.toml`: No such file or directory"));
    let recipe = "[base]\nsuite = \"trixie\"\nkeyring = \"keys\"\n\
                  [[file]]\npath = \"/a\"\nsource = \"link\"\n[[file]]\npath = \"/b\"\nsource = \"directory\"\n\
                  [[file]]\npath = \"/c\"\nsource = \"inner\"\n";
    let file = scratch.file("recipe.toml", recipe);
    std::os::unix::fs::symlink("/etc/passwd", scratch.0.join("link")).expect("make a link");
    std::os::unix::fs::symlink("recipe.toml", scratch.0.join("inner")).expect("make a link");
    std::fs::create_dir(scratch.0.join("directory")).expect("make a directory");
    let expected = [
        "base.keyring: `keys`: No such file or directory",
        "file[0].source: `link`: leads out of the recipe's directory",
        "file[1].source: `directory`: is not a regular file",
    ];
    let expected: Vec<String> = expected.iter().map(|why| format!("recipe: `{}`: {why}", file.display())).collect();
    assert_eq!(told(&scratch.0), expected.join("; "));
    assert_eq!(told(&file), format!("recipe: `{}`: Not a directory", file.display()));
    std::fs::write(&file, "[base]\nsuite = 1\npackages = []\n").expect("write the recipe");
    let expected = [
        "line 2, column 9: base.suite: an integer, expected a string",
        "line 3, column 1: unknown key `base.packages`, expected one of `suite`, `components`, `variant`, `mirror`, `keyring`",
    ];
    let expected: Vec<String> = expected.iter().map(|why| format!("recipe: `{}`: {why}", file.display())).collect();
    assert_eq!(told(&scratch.0), expected.join("; "));
}

fn a_recipe_becomes_the_same_archive_each_time(cache: &Path) {
    let mut first = Build::new(TINY, cache);
    let run = first.run();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.ends_with("built tiny [\"/usr/bin/busybox\", \"sh\"]\n"), "{run:?}");
    assert_eq!(first.left(), ["root.tar"]);
    let list = first.tar(&["--list", "--verbose", "--numeric-owner"]);
    assert!(list.lines().all(|line| line.split_whitespace().nth(1) == Some("0/0")), "{list}");
    let names = first.tar(&["--list"]);
    let names: Vec<&str> = names.lines().collect();
    for there in ["./usr/bin/busybox", "./usr/share/doc/busybox-static/copyright", "./dev/", "./proc/", "./bin/greet"] {
        assert!(names.contains(&there), "{there}: {names:#?}");
    }
    for gone in ["changelog", "/dev/null", "mmdebstrap", "resolv.conf", "sources.list.d/0", "_Packages"] {
        assert!(!names.iter().any(|name| name.contains(gone)), "{gone}: {names:#?}");
    }
    assert!(names.iter().any(|name| name.starts_with("./usr/share/man/man1/busybox")), "{names:#?}");
    assert_eq!(first.tar(&["--extract", "--to-stdout", "./bin/greet", "./etc/motd"]), "#!/bin/sh\necho hello\nhello\n");
    assert!(list.lines().any(|line| line.starts_with("-rwxr-xr-x") && line.ends_with("./bin/greet")), "{list}");
    let sources = first.tar(&["--extract", "--to-stdout", "./etc/apt/sources.list"]);
    assert!(sources.starts_with("deb http://deb.debian.org/debian trixie main\n"), "{sources}");
    let archive = std::fs::read(first.work.join("root.tar")).expect("read the archive");
    // Whoever counts what is left does so alone.
    drop(first);
    let mut second = Build::new(TINY, cache);
    let run = second.run();
    assert!(run.stdout.contains("\n1 packages are in the cache\n"), "{run:?}");
    assert!(std::fs::read(second.work.join("root.tar")).expect("read the archive") == archive, "two archives");
    let cached: Vec<PathBuf> =
        std::fs::read_dir(cache).expect("read the cache").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(cached.len(), 1, "{cached:?}");
    drop(second);
    // What somebody else has put there is nobody's package.
    std::fs::write(&cached[0], "another package").expect("write to the cache");
    let mut third = Build::new(TINY, cache);
    let run = third.run();
    assert!(run.stdout.contains("\n0 packages are in the cache\n"), "{run:?}");
    assert!(std::fs::read(third.work.join("root.tar")).expect("read the archive") == archive, "two archives");
    assert_ne!(std::fs::read(&cached[0]).expect("read the cache"), b"another package");
}

fn packages_are_set_up(cache: &Path) {
    // Out of the new root there is the sandbox, and no way out of that.
    let recipe = r#"
        packages = ["passwd"]
        run = [
            "useradd --create-home --uid 1234 somebody",
            "chown somebody /home/somebody && chmod 4755 /usr/bin/passwd",
            "test -c /dev/null && test -e /proc/self/status && dpkg --audit",
            "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status >/status",
            '''mkdir /tmp/x; perl -e 'chroot "/tmp/x" or die; chdir ".." for 1..20; chroot "." or die; exec "sh", "-c", $ARGV[0]' '
                ls / >/build/root/outside
                for path in /usr/x /cache/x /etc/x /home/x; do touch $path 2>/dev/null && echo $path; done >/build/root/written
                mount -t tmpfs tmpfs /mnt 2>/dev/null && echo mounted >>/build/root/written
                exit 0' ''',
        ]
        [base]
        suite = "trixie"
        variant = "essential"
    "#;
    let mut build = Build::new(recipe, cache);
    let run = build.run();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(build.left(), ["root.tar"]);
    let text = |path: &str| build.tar(&["--extract", "--to-stdout", path]);
    assert!(text("./etc/passwd").contains("\nsomebody:x:1234:"), "{run:?}");
    // CAP_DAC_OVERRIDE and CAP_SYS_CHROOT.
    assert_eq!(text("./status"), "CapEff:\t0000000000040002\nNoNewPrivs:\t1\nSeccomp:\t2\n");
    let outside = text("./outside");
    assert!(outside.contains("build\n") && !outside.contains("boot\n"), "{outside}");
    assert_eq!(text("./written"), "");
    let list = build.tar(&["--list", "--verbose", "--numeric-owner"]);
    let lent = |line: &&str| line.starts_with('-') && line[..10].contains(['s', 'S']);
    assert_eq!(list.lines().find(lent), None);
    assert!(list.lines().all(|line| line.split_whitespace().nth(1) == Some("0/0")), "{list}");
}

fn a_missing_package_is_named(cache: &Path) {
    let recipe = TINY.replace("busybox-static", "no-such-package").replace("extract", "essential");
    let mut build = Build::new(&recipe, cache);
    let run = build.run();
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.starts_with("invalid: packages: no package `no-such-package` in trixie (main)\nhint: "),
        "{run:?}"
    );
    assert_eq!(build.left(), [""; 0]);
}

fn a_command_that_fails_is_named(cache: &Path) {
    let recipe =
        "run = [\"true\", \"echo what is wrong >&2; exit 7\"]\nbase = { suite = \"trixie\", variant = \"essential\" }";
    let mut build = Build::new(recipe, cache);
    let run = build.run();
    let expected = "setup: build `the recipe`: run[1] `echo what is wrong >&2; exit 7`: exit code 7: what is wrong\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), expected), "{run:?}");
    assert_eq!(build.left(), [""; 0]);
}

fn a_mirror_out_of_reach(cache: &Path) {
    let mut build = Build::new("base = { suite = \"trixie\", mirror = \"http://127.0.0.1:9/debian\" }", cache);
    let run = build.run();
    assert!(run.stderr.starts_with("host: the archive of trixie cannot be reached: "), "{run:?}");
    assert!(run.stderr.contains("\nhint: look whether `apt update` works"), "{run:?}");
    assert_eq!((run.code, build.left()), (Some(1), Vec::new()));
}

fn an_interrupted_build_leaves_nothing(cache: &Path) {
    let recipe = TINY.replace("extract", "essential");
    let mut build = Build::new(&recipe, cache);
    let mut started = Started::new(&mut build.command);
    assert_eq!(started.first_line(), "reading the lists of packages");
    // In the middle of it.
    let root = build.work.join("root/usr/bin/env");
    assert!(eventually(120, || root.exists()), "no package was unpacked");
    started.signal(Signal::SIGINT);
    let run = started.finish();
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), "setup: build `tiny`: cancelled\n"), "{run:?}");
    build.nothing_is_left();
    assert_eq!(build.left(), [""; 0]);
}
