//! Tests of the reader of recipes.

use super::{Base, Config, Content, File, Recipe, Variant, parse};

const SHORTEST: &str = "[base]\nsuite = \"trixie\"\n";

fn faults(text: &str) -> Vec<String> {
    parse(text).expect_err("a fault").iter().map(ToString::to_string).collect()
}

#[test]
fn a_recipe_needs_a_release_and_nothing_else() {
    let base = Base {
        suite: "trixie".to_owned(),
        components: vec!["main".to_owned()],
        variant: Variant::Minbase,
        mirror: None,
        keyring: None,
    };
    let recipe = Recipe {
        name: None,
        description: None,
        base,
        packages: Vec::new(),
        exclude: Vec::new(),
        keep: Vec::new(),
        files: Vec::new(),
        run: Vec::new(),
        config: Config::default(),
    };
    assert_eq!(parse(SHORTEST), Ok(recipe));
    assert_eq!(faults(""), ["line 1, column 1: base: a recipe begins with a release"]);
    assert_eq!(faults("[base]\n"), ["line 1, column 1: base.suite: is missing"]);
}

#[test]
fn everything_that_a_recipe_says_is_read() {
    let text = r#"
        name = "my-python"
        description = "Python"
        packages = ["python3", "g++", "git=1:2.47.3-0+deb13u1", "libc6:i386"]
        exclude = ["/usr/share/unicode/*"]
        keep = ["/usr/share/man/man1/git*"]
        run = ["python3 -V", """
            one
            two
        """]

        [base]
        suite = "trixie"
        components = ["main", "contrib"]
        variant = "apt"
        mirror = "http://mirror.example/debian/"
        keyring = "keys/mine.gpg"

        [[file]]
        path = "/etc/motd"
        content = "hello\n"

        [[file]]
        path = "/usr/local/bin/tool"
        mode = "0755"
        source = "files/tool"

        [config]
        cmd = ["python3"]
        entrypoint = ["/usr/local/bin/tool"]
        workdir = "/srv"
        user = "1000:users"
        env = { PAGER = "cat", A = "b=c" }
        labels = { "org.example.x" = "y" }
    "#;
    let recipe = parse(text).expect("a recipe");
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!((recipe.name.as_deref(), recipe.description.as_deref()), (Some("my-python"), Some("Python")));
    assert_eq!(recipe.packages, strings(&["python3", "g++", "git=1:2.47.3-0+deb13u1", "libc6:i386"]));
    assert_eq!(
        (recipe.exclude, recipe.keep),
        (strings(&["/usr/share/unicode/*"]), strings(&["/usr/share/man/man1/git*"]))
    );
    assert_eq!(recipe.run, strings(&["python3 -V", "one\n            two"]));
    assert_eq!(recipe.base.variant, Variant::Apt);
    assert_eq!(recipe.base.components, strings(&["main", "contrib"]));
    assert_eq!(recipe.base.mirror.as_deref(), Some("http://mirror.example/debian"));
    assert_eq!(recipe.base.keyring, Some("keys/mine.gpg".into()));
    let files = [
        File { path: "/etc/motd".into(), mode: 0o644, content: Content::Text("hello\n".to_owned()) },
        File { path: "/usr/local/bin/tool".into(), mode: 0o755, content: Content::Source("files/tool".into()) },
    ];
    assert_eq!(recipe.files, files);
    let config = Config {
        env: strings(&["A=b=c", "PAGER=cat"]),
        cmd: strings(&["python3"]),
        entrypoint: strings(&["/usr/local/bin/tool"]),
        workdir: Some("/srv".into()),
        user: Some("1000:users".to_owned()),
        labels: vec![("org.example.x".to_owned(), "y".to_owned())],
    };
    assert_eq!(recipe.config, config);
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_text() {
    let text = "nmae = \"x\"\npackages = [\"git\", \"-rf\", 7]\n[base]\nsuite = 13\nmirror = \"ftp://x\"\n[[file]]\npath = \"a\"\n[config]\nuser = \"\"\n";
    assert_eq!(
        faults(text),
        [
            "line 1, column 1: unknown key `nmae`, expected one of `name`, `description`, `base`, `packages`, `exclude`, `keep`, `file`, `run`, `config`",
            "line 2, column 20: packages[1]: `-rf` is not a valid package name",
            "line 2, column 27: packages[2]: an integer, expected a string",
            "line 4, column 9: base.suite: an integer, expected a string",
            "line 5, column 10: base.mirror: `ftp://x` is no address of an archive",
            "line 6, column 1: file[0]: a file without bytes",
            "line 7, column 8: file[0].path: `a` is no path in the image",
            "line 9, column 8: config.user: `` is no user",
        ]
    );
    // What is no TOML is complained about once.
    assert_eq!(faults("[base]\nsuite = trixie\n").len(), 1);
}

#[test]
fn a_value_that_cannot_mean_what_it_says_is_refused() {
    let table = [
        ("name = \"My Python\"", "name: `My Python` is no name for an image"),
        ("name = \"-x\"", "name: `-x` is no name for an image"),
        ("description = \"a\\nb\"", "description: is not on one line"),
        ("packages = \"git\"", "packages: a string, expected an array of strings"),
        ("packages = [\"git, curl\"]", "packages[0]: `git, curl` is not a valid package name"),
        ("packages = [\"git-\"]", "packages[0]: `git-` is not a valid package name"),
        ("packages = [\"?essential\"]", "packages[0]: `?essential` is not a valid package name"),
        ("exclude = [\"usr/share\"]", "exclude[0]: `usr/share` is no pattern of a path"),
        ("run = [\" \"]", "run[0]: is empty"),
        ("file = [1]", "file[0]: an integer, expected a table"),
        ("file = 1", "file: an integer, expected `[[file]]`, an array of tables"),
        ("config = []", "config: an array, expected a table"),
        ("base.x = 1", "unknown key `base.x`, expected one of `suite`, `components`, `variant`, `mirror`, `keyring`"),
        ("base.suite = \"../x\"", "base.suite: `../x` is no code name"),
        ("base.variant = \"standard\"", "base.variant: no variant `standard`"),
        ("base.components = [\"a b\"]", "base.components[0]: `a b` is no part of an archive"),
        (
            "base.mirror = \"http://x/[trusted=yes]\"",
            "base.mirror: `http://x/[trusted=yes]` is no address of an archive",
        ),
        ("base.keyring = \"../keys\"", "base.keyring: `../keys` leads out of the recipe's directory"),
        ("config.workdir = \"a/../b\"", "config.workdir: `a/../b` is no path in the image"),
        ("config.env = { \"A=B\" = \"c\" }", "config.env.A=B: `A=B` is no variable"),
        ("config.env = { A = 1 }", "config.env.A: an integer, expected a string"),
        ("config.labels = { \"\" = \"c\" }", "config.labels.: `` is not a valid label name"),
        (
            "file = [{ path = \"/proc/x\", content = \"\" }]",
            "file[0].path: `/proc/x` lies in `/proc`, which belongs to the sandbox",
        ),
        ("file = [{ path = \"/\", content = \"\" }]", "file[0].path: `/` is no file"),
        ("file = [{ path = \"/x\", content = \"\", mode = \"4755\" }]", "file[0].mode: `4755` is no file mode"),
        ("file = [{ path = \"/x\", content = \"\", mode = \"rwx\" }]", "file[0].mode: `rwx` is no file mode"),
        (
            "file = [{ path = \"/x\", content = \"\", source = \"y\" }]",
            "file[0].source: `content` and `source` exclude each other",
        ),
        ("file = [{ path = \"/x\", source = \"../y\" }]", "file[0].source: `../y` leads out of the recipe's directory"),
        (
            "file = [{ path = \"/x\", source = \"/etc/passwd\" }]",
            "file[0].source: `/etc/passwd` leads out of the recipe's directory",
        ),
        ("file = [{ path = \"/x\", source = \"a//b\" }]", "file[0].source: `a//b` is not a valid file name"),
        (
            "base.variant = \"extract\"\nrun = [\"true\"]",
            "run: nothing can be executed in a root of the variant `extract`",
        ),
    ];
    for (line, expected) in table {
        let suite = if line.contains("base.suite") { "" } else { "\nbase.suite = \"trixie\"\n" };
        let found = faults(&format!("{line}{suite}"));
        let message = found.first().and_then(|fault| fault.split_once(": ")).map(|(_, message)| message);
        assert_eq!((message, found.len()), (Some(expected), 1), "{line}");
    }
}

#[test]
fn a_recipe_of_more_than_a_mebibyte_is_refused_unread() {
    assert_eq!(faults(&"#".repeat(1 << 21)), ["a recipe of 2097152 bytes; at most 1048576 are read"]);
}

#[test]
fn the_recipes_that_come_with_belljar_are_recipes() {
    for (name, text) in [
        ("python", include_str!("../../../rootfs/python/recipe.toml")),
        ("node", include_str!("../../../rootfs/node/recipe.toml")),
        ("shell", include_str!("../../../rootfs/shell/recipe.toml")),
        ("git", include_str!("../../../rootfs/git/recipe.toml")),
    ] {
        let recipe = parse(text).expect(name);
        assert_eq!(recipe.name.as_deref(), Some(name));
        assert!(recipe.description.is_some() && !recipe.config.cmd.is_empty(), "{name}");
        assert!(recipe.packages.is_sorted(), "{name}");
    }
}
