//! pylsp, on a Python project.

use crate::common::{eventually, installed};
use crate::world::{FILES, World, places, words};
use serde_json::{Value, json};

/// The module that others use; of the two names in the last function the first has letters of two units and four bytes before it.
const SHAPES: &str = "\
class Shape:
    \"\"\"Something with an area.\"\"\"

    def __init__(self, side):
        self.side = side

    def area_of_it(self):
        \"\"\"How large it is.\"\"\"
        return self.side * self.side


def larger(first, second):
    \"\"\"The larger of two.\"\"\"
    return first if first.area_of_it() > second.area_of_it() else second


def smile(name):
    return '\u{1f600}\u{1f600}' + name
";

fn project(name: &str) -> World {
    let world = World::new(name);
    world.put("/tmp/work", |here| {
        std::fs::write(here.join("pyproject.toml"), "[project]\nname = 'shapes'\n").expect("a file");
        std::fs::write(here.join("shapes.py"), SHAPES).expect("a file");
        for number in 0..FILES {
            let text = format!("import shapes\n\n\ndef user_{number}():\n    return shapes.Shape({number})\n");
            std::fs::write(here.join(format!("user_{number}.py")), text).expect("a file");
        }
        std::fs::write(here.join("main.py"), "import shapes\n\none = shapes.Shape(3)\none.area_of_it()\n")
            .expect("a file");
    });
    world
}

const MAIN: &str = "/tmp/work/main.py";
const MODULE: &str = "/tmp/work/shapes.py";

#[test]
fn a_python_project_answers_what_is_known_of_it() {
    if !installed("pylsp") {
        return;
    }
    let world = project("lsp-python");
    // Nobody has started it.
    assert_eq!(world.servers(), [Value::Null; 0]);
    let told = world.told(&["completions", "work/main.py:4:7"]);
    assert_eq!(words(&told, "items", "label"), ["area_of_it()"]);
    assert_eq!((&told["items"][0]["kind"], &told["items"][0]["insert"]), (&json!("function"), &json!("area_of_it")));

    let servers = world.servers();
    assert_eq!(servers.len(), 1);
    let known = json!({ "language": "python", "project": "/tmp/work", "server": ["pylsp"], "state": "running", "documents": 1,
        "restarts": 0, "failure": null, "session": servers[0]["session"] });
    assert_eq!(servers[0], known);

    let told = world.told(&["definition", &format!("{MAIN}:4:8")]);
    assert_eq!(places(&told, "locations"), [(MODULE.to_owned(), 7, 9)]);
    assert_eq!(told["locations"][0]["text"], "    def area_of_it(self):");

    let told = world.told(&["hover", &format!("{MAIN}:4:8")]);
    assert!(told["hover"]["text"].as_str().expect("a text").contains("How large it is."), "{told}");

    let told = world.told(&["references", &format!("{MODULE}:7:9")]);
    // What the types of arguments are is not known to it, so what is called in `larger` may be among them or not.
    let found = places(&told, "locations");
    for known in [(MAIN.to_owned(), 4, 5), (MODULE.to_owned(), 7, 9)] {
        assert!(found.contains(&known), "{found:?}");
    }

    let told = world.told(&["symbols", MODULE]);
    let names = words(&told, "symbols", "name");
    for name in ["Shape", "area_of_it", "larger", "smile"] {
        assert!(names.iter().any(|one| one == name), "{names:?}");
    }
    let shape = told["symbols"].as_array().expect("a list").iter().find(|one| one["name"] == "Shape").expect("it");
    assert_eq!((&shape["kind"], &shape["selection"]["start"]["line"]), (&json!("class"), &json!(1)));

    world.write("/tmp/work/main.py", "import shapes\n\nshapes.larger(\n");
    let told = world.told(&["signature", &format!("{MAIN}:3:15")]);
    let one = &told["signatures"][0];
    assert_eq!((&one["label"], &one["active_parameter"]), (&json!("larger(first, second)"), &json!(1)));
    assert_eq!(one["parameters"], json!(["first", "second"]));

    // People get lines.
    let said = world.call(&["definition", &format!("{MAIN}:3:9")]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "/tmp/work/shapes.py:12:5: def larger(first, second):\n"));

    assert_eq!(world.told(&["stop", "python"])["state"], "ended");
    assert_eq!(world.servers(), [Value::Null; 0]);
    assert_eq!(world.refused(&["stop", "python"])["kind"], "not_found");
}

#[test]
fn columns_are_characters_also_behind_those_of_two_units() {
    if !installed("pylsp") {
        return;
    }
    let world = project("lsp-columns");
    // The `name` behind the smiles, which itself counts its columns as Python does.
    let known = [(MODULE.to_owned(), 17, 11)];
    for (column, option) in [("19", None), ("21", Some("--utf16"))] {
        let place = format!("{MODULE}:18:{column}");
        let words: Vec<&str> = ["definition", place.as_str()].into_iter().chain(option).collect();
        assert_eq!(places(&world.told(&words), "locations"), known, "{words:?}");
    }
    let column = |words: &[&str]| {
        let place = format!("{MODULE}:17:11");
        let told = world.told(&[&["references", place.as_str()], words].concat());
        places(&told, "locations").last().expect("a place").2
    };
    assert_eq!((column(&[]), column(&["--utf16"])), (19, 21));
}

#[test]
fn what_is_wrong_with_a_file_is_told_of_the_file_as_it_is_now() {
    if !installed("pylsp") || !installed("pyflakes3") {
        return;
    }
    let world = project("lsp-wrong");
    let found = |path: &str| {
        let told = world.told(&["diagnostics", path]);
        assert_eq!((&told["files"][0]["path"], &told["files"][0]["published"]), (&json!(path), &json!(true)));
        told["files"][0]["diagnostics"].as_array().expect("a list").clone()
    };
    world.write(MAIN, "import shapes\n\nshapes.larger((\n");
    let wrong = found(MAIN);
    assert!(wrong.iter().any(|one| one["severity"] == "error"), "{wrong:?}");
    world.write(MAIN, "import shapes\n\nshapes.larger(1, 2)\n");
    let wrong = found(MAIN);
    assert!(!wrong.iter().any(|one| one["severity"] == "error"), "{wrong:?}");
    // A file that is gone is an error, and no file without one.
    world.0.done(&["fs", "rm", "box", MAIN]);
    let refused = world.refused(&["diagnostics", MAIN]);
    assert_eq!((&refused["kind"], &refused["path"]), (&json!("not_found"), &json!(MAIN)));
}

#[test]
fn a_file_that_changes_while_a_server_runs_is_known_as_it_is() {
    if !installed("pylsp") {
        return;
    }
    let world = project("lsp-changes");
    let labels = |place: &str| words(&world.told(&["completions", place]), "items", "label");
    world.write(MAIN, "import shapes\n\nshapes.la\n");
    assert_eq!(labels(&format!("{MAIN}:3:10")), ["larger(first, second)"]);
    // Of another file, which nobody has opened.
    world.write(MODULE, &SHAPES.replace("larger", "lattice"));
    assert!(eventually(10, || labels(&format!("{MAIN}:3:10")) == ["lattice(first, second)"]));
    world.write(MAIN, "import shapes\n\nshapes.sm\n");
    assert_eq!(labels(&format!("{MAIN}:3:10")), ["smile(name)"]);
}

#[test]
fn a_name_is_changed_in_all_files_where_that_is_asked_for() {
    if !installed("pylsp") {
        return;
    }
    let world = project("lsp-rename");
    let place = format!("{MODULE}:18:20");
    let told = world.told(&["rename", &place, "whom"]);
    assert_eq!((&told["files"][0]["path"], &told["files"][0]["written"]), (&json!(MODULE), &json!(false)));
    assert_eq!(world.read(MODULE), SHAPES);
    let told = world.told(&["rename", &place, "whom", "--write"]);
    assert_eq!(told["files"][0]["written"], true);
    assert_eq!(world.read(MODULE), SHAPES.replace("smile(name)", "smile(whom)").replace("+ name", "+ whom"));
}

#[test]
fn a_server_that_nobody_asks_is_stopped_and_started_again_when_somebody_does() {
    if !installed("pylsp") {
        return;
    }
    let world = project("lsp-idle");
    let told = world.told(&["start", "python", "work", "--idle", "1s"]);
    assert_eq!((&told["state"], &told["project"]), (&json!("running"), &json!("/tmp/work")));
    assert!(eventually(20, || world.servers()[0]["state"] == "stopped"));
    let running = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[p]ylsp'";
    assert!(eventually(10, || world.0.shell("box", running).stdout == "0\n"));
    assert_eq!(words(&world.told(&["completions", "work/main.py:4:7"]), "items", "label"), ["area_of_it()"]);
    assert_eq!((&world.servers()[0]["restarts"], &world.servers()[0]["failure"]), (&json!(0), &Value::Null));
}
