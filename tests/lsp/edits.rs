//! Edits of real servers: what is written is what was meant, whatever is in the files, or nothing is.

use crate::common::{fixtures, installed};
use crate::world::{World, places};
use serde_json::json;

fn typescript(name: &str, files: &[(&str, &str)]) -> World {
    let world = World::new(name);
    world.put("/tmp/work", |here| {
        std::fs::write(here.join("tsconfig.json"), "{}").expect("a file");
        for (file, text) in files {
            std::fs::write(here.join(file), text).expect("a file");
        }
    });
    world
}

#[test]
fn a_name_is_changed_in_files_that_begin_with_a_mark_and_the_mark_stays() {
    if !installed("typescript-language-server") {
        return;
    }
    let user = "\u{feff}import {abc} from \"./x\"; console.log(abc);\n";
    let world = typescript("lsp-mark", &[("x.ts", "export const abc = 1;\n"), ("y.ts", user)]);
    // Of a file that is not open, and of one that is.
    let told = world.told(&["references", "/tmp/work/x.ts:1:14"]);
    let known = [("x.ts", 14), ("y.ts", 9), ("y.ts", 38)];
    let known = known.map(|(file, column)| (format!("/tmp/work/{file}"), 1, column));
    assert_eq!(places(&told, "locations"), known);
    world.told(&["rename", "/tmp/work/x.ts:1:14", "renamed", "--write"]);
    assert_eq!(world.read("/tmp/work/y.ts"), user.replace("abc", "renamed"));
    let told = world.told(&["references", "/tmp/work/y.ts:1:9"]);
    assert_eq!(places(&told, "locations")[1], ("/tmp/work/y.ts".to_owned(), 1, 9));
    world.told(&["rename", "/tmp/work/y.ts:1:42", "abc", "--write"]);
    // There it is a name of this file's own.
    assert_eq!(world.read("/tmp/work/y.ts"), user.replace("{abc}", "{renamed as abc}"));
}

#[test]
fn a_name_is_changed_behind_what_ends_a_line_for_the_compiler_alone() {
    if !installed("typescript-language-server") {
        return;
    }
    let text = "export const x = \"\u{2028}\";\nexport function abc() {}\nabc(); const y = abc;\n";
    let other = "import { abc } from './a'; /* \u{2029} */ abc();\nabc();\n";
    let world = typescript("lsp-separators", &[("a.ts", text), ("b.ts", other)]);
    let file = "/tmp/work/a.ts";
    let told = world.told(&["definition", &format!("{file}:3:1")]);
    assert_eq!(places(&told, "locations"), [(file.to_owned(), 2, 17)]);
    world.told(&["rename", &format!("{file}:2:17"), "renamed", "--write"]);
    assert_eq!(world.read(file), text.replace("abc", "renamed"));
    let other_now = world.read("/tmp/work/b.ts");
    assert!(other_now.ends_with("/* \u{2029} */ renamed();\nrenamed();\n") || other_now.ends_with("abc();\nabc();\n"));
    assert!(!other_now.contains("renamed") || !other_now.contains("abc();"), "{other_now}");
}

#[test]
fn python_behind_a_form_feed_is_found_and_renamed() {
    if !installed("pylsp") {
        return;
    }
    let world = World::new("lsp-form-feed");
    for (number, end) in ["\u{c}", "\u{b}", "\u{1c}", "\u{85}", "\u{2028}"].into_iter().enumerate() {
        // All but the first stand only where a text may have them.
        let line = if number == 0 { end.to_owned() } else { format!("'{end}'") };
        let text = format!("import os\n{line}\ndef abc():\n    return 1\n{line}\nvalue = abc()\n");
        let file = format!("/tmp/a{number}.py");
        world.write(&file, &text);
        let told = world.told(&["definition", &format!("{file}:6:9")]);
        assert_eq!(places(&told, "locations"), [(file.clone(), 3, 5)], "{end:?}");
        let told = world.told(&["references", &format!("{file}:3:5")]);
        assert_eq!(places(&told, "locations"), [(file.clone(), 3, 5), (file.clone(), 6, 9)], "{end:?}");
        world.told(&["rename", &format!("{file}:3:5"), "renamed", "--write"]);
        assert_eq!(world.read(&file), text.replace("abc", "renamed"), "{end:?}");
    }
}

#[test]
fn nothing_is_written_where_one_of_the_files_cannot_be() {
    if !installed("typescript-language-server") {
        return;
    }
    let user = "import { abc } from '../x';\nabc;\n";
    let world = typescript("lsp-one-denied", &[("x.ts", "export const abc = 1;\n")]);
    for directory in ["a", "locked", "z"] {
        world.0.done(&["fs", "mkdir", "box", &format!("/tmp/work/{directory}")]);
        world.write(&format!("/tmp/work/{directory}/user.ts"), user);
    }
    world.0.shell("box", "chmod 555 /tmp/work/locked");
    let error = world.refused(&["rename", "/tmp/work/x.ts:1:14", "renamed", "--write"]);
    assert_eq!((&error["kind"], &error["path"]), (&json!("denied"), &json!("/tmp/work/locked/user.ts")), "{error}");
    for directory in ["a", "locked", "z"] {
        assert_eq!(world.read(&format!("/tmp/work/{directory}/user.ts")), user);
    }
    assert_eq!(world.read("/tmp/work/x.ts"), "export const abc = 1;\n");
}

#[test]
fn what_cannot_be_renamed_and_what_is_no_name_is_an_error() {
    if !installed("pylsp") {
        return;
    }
    let world = World::new("lsp-no-name");
    let text = "value = 1  # ...\nprint(value)\n";
    world.write("/tmp/a.py", text);
    let refused = |place: &str, name: &str| {
        let error = world.refused(&["rename", &format!("/tmp/a.py:{place}"), name, "--write"]);
        assert_eq!(error["kind"], "invalid", "{error}");
        error["message"].as_str().expect("a text").to_owned()
    };
    assert_eq!(refused("1:1", "bad name"), "`bad name` is no name in python");
    assert_eq!(refused("1:1", "value"), "it is called that already");
    assert_eq!(refused("1:11", "other"), "there is no name at that place");
    assert_eq!(refused("1:99", "other"), "there is no column 99: line 1 ends at 17");
    assert_eq!(refused("9:1", "other"), "there is no line 9: it has 3");
    assert_eq!(refused("1:9", "other"), "the language server finds nothing to rename there");
    assert_eq!(world.read("/tmp/a.py"), text);
}

#[test]
fn an_edit_of_another_text_than_the_file_has_is_refused() {
    if !installed("python3") {
        return;
    }
    let world = World::new("lsp-other-text");
    world.0.done(&["cp", fixtures().join("lsp/server.py").to_str().expect("a path"), "box:/tmp/server.py"]);
    for (how, message) in [
        ("beside", "the language server would edit `ne`, and `one` is what is renamed"),
        ("outside", "the language server edits what is not in the file, at 9:0-9:3 from 0"),
    ] {
        world.write("/tmp/a.odd", "one\ntwo\n");
        let run = world.call(&["start", "odd", "/tmp", "--", "python3", "/tmp/server.py", how]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let error = world.refused(&["rename", "/tmp/a.odd:1:1", "y", "--language", "odd", "--write"]);
        assert_eq!((&error["kind"], &error["message"]), (&json!("malformed"), &json!(message)), "{error}");
        assert_eq!(world.read("/tmp/a.odd"), "one\ntwo\n");
        world.told(&["stop", "odd", "/tmp"]);
    }
}
