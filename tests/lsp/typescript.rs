//! typescript-language-server, on a TypeScript project.

use crate::common::installed;
use crate::world::{FILES, World, places, words};
use serde_json::json;

const SHAPES: &str = "\
export class Shape {
  constructor(public side: number) {}

  /** How large it is. */
  areaOfIt(): number {
    return this.side * this.side;
  }
}

export function larger(first: Shape, second: Shape): Shape {
  return first.areaOfIt() > second.areaOfIt() ? first : second;
}
";
const MAIN: &str =
    "import { Shape, larger } from './shapes';\n\nconst one = new Shape(3);\none.areaOfIt();\nlarger(one, one);\n";

fn project(name: &str) -> World {
    let world = World::new(name);
    world.put("/tmp/work", |here| {
        let config = json!({ "compilerOptions": { "strict": true, "noEmit": true, "types": [] } });
        std::fs::write(here.join("tsconfig.json"), config.to_string()).expect("a file");
        std::fs::write(here.join("shapes.ts"), SHAPES).expect("a file");
        std::fs::write(here.join("main.ts"), MAIN).expect("a file");
        for number in 0..FILES {
            let text = format!(
                "import {{ Shape }} from './shapes';\n\nexport function user{number}(): Shape {{\n  return new Shape({number});\n}}\n"
            );
            std::fs::write(here.join(format!("user{number}.ts")), text).expect("a file");
        }
    });
    world
}

#[test]
fn a_typescript_project_answers_what_is_known_of_it() {
    if !installed("typescript-language-server") {
        return;
    }
    let world = project("lsp-typescript");
    let (main, module) = ("/tmp/work/main.ts", "/tmp/work/shapes.ts");
    let told = world.told(&["completions", &format!("{main}:4:7")]);
    let labels = words(&told, "items", "label");
    assert!(labels.contains(&"areaOfIt".to_owned()) && labels.contains(&"side".to_owned()), "{labels:?}");

    let told = world.told(&["definition", &format!("{main}:4:6")]);
    assert_eq!(places(&told, "locations"), [(module.to_owned(), 5, 3)]);

    // In all files, of which none but one is open.
    let told = world.told(&["references", &format!("{module}:1:14")]);
    let found = places(&told, "locations");
    // Once where it is defined, three times as a type, twice in `main`, three times in each user.
    assert_eq!(found.len(), 1 + 3 + 2 + 3 * FILES, "{:?}", &found[..8]);

    let told = world.told(&["symbols", module]);
    let names = words(&told, "symbols", "name");
    for name in ["Shape", "areaOfIt", "larger"] {
        assert!(names.iter().any(|one| one == name), "{names:?}");
    }

    let told = world.told(&["find", "typescript", "user299"]);
    assert_eq!(words(&told, "symbols", "name"), ["user299"]);
    assert_eq!(told["symbols"][0]["path"], "/tmp/work/user299.ts");

    let told = world.told(&["hover", &format!("{main}:4:6")]);
    assert!(told["hover"]["text"].as_str().expect("a text").contains("areaOfIt(): number"), "{told}");

    world.write(main, "import { larger } from './shapes';\n\nlarger(1, 2);\n");
    let told = world.told(&["diagnostics", main]);
    let wrong = told["files"][0]["diagnostics"].as_array().expect("a list");
    assert_eq!(
        (&wrong[0]["code"], &wrong[0]["range"]["start"]),
        (&json!("2345"), &json!({ "line": 3, "column": 8 })),
        "{told}"
    );

    world.write(main, MAIN);
    let told = world.told(&["rename", &format!("{module}:5:3"), "size", "--write"]);
    let files = words(&told, "files", "path");
    assert_eq!(files, [main, module]);
    assert_eq!(world.read(main), MAIN.replace("areaOfIt", "size"));
    assert_eq!(world.read(module), SHAPES.replace("areaOfIt", "size"));

    world.write("/tmp/work/user0.ts", "export   const a=1\n");
    let told = world.told(&["format", "/tmp/work/user0.ts", "--write"]);
    assert_eq!(told["files"][0]["written"], true);
    assert_eq!(world.read("/tmp/work/user0.ts"), "export const a = 1\n");

    // What imports nothing that it uses can be mended.
    world.write("/tmp/work/user1.ts", "export const a = larger;\n");
    let told = world.told(&["actions", "/tmp/work/user1.ts:1:18"]);
    let titles = words(&told, "actions", "title");
    let number = titles.iter().position(|title| title.contains("import from \"./shapes\"")).expect("an action") + 1;
    world.told(&["actions", "/tmp/work/user1.ts:1:18", "--apply", &number.to_string()]);
    assert_eq!(world.read("/tmp/work/user1.ts"), "import { larger } from \"./shapes\";\n\nexport const a = larger;\n");
}
