//! No function has more than five parameters. Whoever needs more gives names to what belongs together, in a struct.
//!
//! `self` is not counted, since the call does not list it, and closures are not. A tuple that is taken apart in the list
//! counts as all its names: it would only hide them. There are no exceptions.

use super::source::{Source, is_word, places, report, rust_under};

const MOST: usize = 5;

#[test]
fn functions_have_at_most_five_parameters() {
    report(rust_under(".").iter().flat_map(violations).collect());
}

#[test]
fn functions_with_more_than_five_parameters_are_reported() {
    let reported = |text: &str| violations(&Source::new("src/x.rs".into(), text.into()));
    let message = |line: usize, name: &str, count: usize| {
        format!("src/x.rs:{line}: `{name}` has {count} parameters, and a function has at most 5: name them in a struct")
    };
    assert_eq!(reported("\nfn six(a: A, b: B, c: C, d: D, e: E, f: F) {}"), [message(2, "six", 6)]);
    assert_eq!(
        reported(
            "pub unsafe extern \"C\" fn six<'a, F: Fn(u8, u8) -> u8>(\n a: A, b: B, c: C, d: D, e: E,\n f: F,\n);"
        ),
        [message(1, "six", 6)]
    );
    assert_eq!(
        reported("trait T { fn hidden(&self, (a, (b, c)): (A, (B, C)), d: D, e: E, f: F); }"),
        [message(1, "hidden", 6)]
    );
    assert_eq!(reported("fn outer() { fn inner(a: A, b: B, c: C, d: D, e: E, f: F) {} }"), [message(1, "inner", 6)]);
    for harmless in [
        "fn five(&'a mut self, a: A, b: B, c: C, d: D, e: E) {}",
        "fn five(self: Box<Self>, mut a: A, b: B, c: C, d: D, e: E,) {}",
        "fn two(a: HashMap<A, (B, C)>, b: impl Fn(A, B, C) -> Result<D, E>) -> (A, B, C, D, E, F) {}",
        "fn two<const N: usize, const M: usize>(a: [[u8; N]; M], b: &dyn Fn(A, B, C, D, E, F)) {}",
        "fn one(\n /* a: A, b: B, */ #[cfg(any(a, b, c))]\n a: A) {}",
        "fn one(Point { x, y, z, a, b, c }: Point) {}",
        "type Long = fn(A, B, C, D, E, F) -> G;",
        "const LONG: &str = \"fn six(a: A, b: B, c: C, d: D, e: E, f: F) {}\";",
        "fn f() { let g = |a: A, b: B, c: C, d: D, e: E, f: F| (); g(a, b, c, d, e, f) }",
    ] {
        assert_eq!(reported(harmless), [""; 0], "{harmless}");
    }
}

fn violations(file: &Source) -> Vec<String> {
    let mut violations = Vec::new();
    for (at, name, count) in functions(&file.code) {
        if count > MOST {
            violations.push(format!(
                "{}: `{name}` has {count} parameters, and a function has at most {MOST}: name them in a struct",
                file.place(at)
            ));
        }
    }
    violations
}

/// Every function that has a name: where it stands, the name, how many parameters it has.
fn functions(code: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    places(code, "fn").filter_map(|at| {
        // `fn(A) -> B` is a type, and the `fn` of `fnord` no word.
        let rest = code[at + 2..].strip_prefix(char::is_whitespace)?.trim_start();
        let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let rest = if rest.starts_with('<') { &rest[inside(rest).len() + 2..] } else { rest };
        let list = rest.trim_start();
        (!name.is_empty() && list.starts_with('(')).then(|| (at, name, split(inside(list)).map(names).sum()))
    })
}

/// How many names a parameter brings; none for `self`, by whatever reference.
fn names(parameter: &str) -> usize {
    let mut pattern = parameter.trim();
    while let Some(attribute) = pattern.strip_prefix('#') {
        pattern = attribute[inside(attribute).len() + 2..].trim_start();
    }
    if pattern.starts_with('(') {
        return split(inside(pattern)).map(names).sum();
    }
    let end = pattern.find(':').unwrap_or(pattern.len());
    let receiver = pattern[..end].rsplit(|c| !is_word(c)).find(|word| !word.is_empty()) == Some("self");
    usize::from(!receiver && !pattern.is_empty())
}

/// What stands between the bracket that `text` begins with and the one that closes it.
fn inside(text: &str) -> &str {
    let mut depth = 0;
    let (mut before, mut end) = (' ', text.len());
    for (at, c) in text.char_indices() {
        depth += step(before, c);
        before = c;
        if depth == 0 {
            end = at;
            break;
        }
    }
    text.get(1..end).unwrap_or_default()
}

/// The members of a list: commas in brackets divide nothing.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut before) = (0, ' ');
    list.split(move |c| {
        depth += step(before, c);
        before = c;
        c == ',' && depth == 0
    })
}

/// How much deeper a character leads into brackets; the `>` of an arrow closes none.
fn step(before: char, c: char) -> i32 {
    match c {
        '(' | '[' | '{' | '<' => 1,
        '>' if before == '-' || before == '=' => 0,
        ')' | ']' | '}' | '>' => -1,
        _ => 0,
    }
}
