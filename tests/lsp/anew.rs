//! What is wrong with files, as all is now: also where another file has changed, or where nothing is wrong before and after.

use crate::common::installed;
use crate::world::World;
use serde_json::{Value, json};

/// What is wrong with each of the files.
fn wrong(world: &World, files: &[&str]) -> Vec<Vec<String>> {
    let told = world.told(&[&["diagnostics"], files].concat());
    let told = told["files"].as_array().expect("a list");
    let paths: Vec<&str> = told.iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, files);
    let message = |one: &Value| one["message"].as_str().expect("a text").to_owned();
    let of = |file: &Value| {
        assert_eq!(file["published"], true, "{file}");
        let errors = file["diagnostics"].as_array().expect("a list").iter();
        errors.filter(|one| matches!(one["severity"].as_str(), Some("error" | "warning"))).map(message).collect()
    };
    told.iter().map(of).collect()
}

fn typescript(name: &str) -> World {
    let world = World::new(name);
    world.0.done(&["fs", "mkdir", "box", "/tmp/work"]);
    let config = json!({ "compilerOptions": { "strict": true, "noEmit": true, "types": [], "allowJs": true } });
    world.write("/tmp/work/tsconfig.json", &config.to_string());
    world
}

#[test]
fn a_file_that_changes_and_stays_clean_is_said_to_be_clean() {
    if !installed("typescript-language-server") {
        return;
    }
    let world = typescript("lsp-stays-clean");
    for file in ["/tmp/work/a.ts", "/tmp/work/a.js"] {
        for number in 0..3 {
            world.write(file, &format!("export const value = {number};\n"));
            assert_eq!(wrong(&world, &[file]), [[""; 0]], "{file} {number}");
        }
        world.told(&["rename", &format!("{file}:1:14"), "other", "--write"]);
        assert_eq!(wrong(&world, &[file]), [[""; 0]]);
        world.write(file, "export const value = );\n");
        assert_eq!(wrong(&world, &[file])[0], ["Expression expected."]);
    }
}

#[test]
fn a_file_is_wrong_as_soon_as_another_is_changed_removed_or_made() {
    if !installed("typescript-language-server") {
        return;
    }
    let world = typescript("lsp-other-file");
    let (other, user) = ("/tmp/work/a.ts", "/tmp/work/b.ts");
    world.write(user, "import { value } from './a';\nexport const twice: number = value * 2;\n");
    let missing = "Cannot find module './a' or its corresponding type declarations.";
    assert_eq!(wrong(&world, &[user])[0], [missing]);
    world.write(other, "export const value = 1;\n");
    assert_eq!(wrong(&world, &[user]), [[""; 0]]);
    world.write(other, "export const value = 'one';\n");
    assert_eq!(wrong(&world, &[user])[0].len(), 1);
    world.write(other, "export const value = 2;\n");
    assert_eq!(wrong(&world, &[user]), [[""; 0]]);
    world.0.done(&["fs", "rm", "box", other]);
    assert_eq!(wrong(&world, &[user])[0], [missing]);
}

#[test]
fn a_file_is_wrong_as_soon_as_its_header_is() {
    if !installed("clangd") {
        return;
    }
    let world = World::new("lsp-header");
    world.write("/tmp/a.h", "int area(int side);\n");
    world.write("/tmp/a.c", "#include \"a.h\"\nint main(void) { return area(3); }\n");
    assert_eq!(wrong(&world, &["/tmp/a.c"]), [[""; 0]]);
    world.write("/tmp/a.h", "int other_area(int side);\n");
    assert!(!wrong(&world, &["/tmp/a.c"])[0].is_empty());
    world.write("/tmp/a.h", "int area(int side);\n");
    assert_eq!(wrong(&world, &["/tmp/a.c"]), [[""; 0]]);
}

#[test]
fn files_of_several_languages_are_asked_of_their_own_servers() {
    if !installed("pylsp") || !installed("pyflakes3") || !installed("typescript-language-server") {
        return;
    }
    let world = typescript("lsp-languages");
    world.write("/tmp/work/a.py", "value = 1\n");
    world.write("/tmp/work/b.ts", "export const value: number = 'one';\n");
    world.write("/tmp/work/c.py", "print(missing)\n");
    let found = wrong(&world, &["/tmp/work/a.py", "/tmp/work/b.ts", "/tmp/work/c.py"]);
    assert_eq!((found[0].len(), found[1].len(), found[2].len()), (0, 1, 1), "{found:?}");
    assert!(found[1][0].contains("is not assignable") && found[2][0].contains("missing"), "{found:?}");
}
