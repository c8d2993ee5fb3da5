//! `import` at the top of JavaScript, which an interpreter of lines does not take, as calls that it takes. Line by line: what does not
//! look like one stays as it is.

/// The same code without such lines.
pub fn as_calls(code: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in code.split('\n') {
        lines.push(as_call(line).unwrap_or_else(|| line.to_owned()));
    }
    lines.join("\n")
}

fn as_call(line: &str) -> Option<String> {
    let rest = line.trim_end().trim_end_matches(';').strip_prefix("import ")?.trim();
    let is_module = |text: &str| {
        let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
        inner.is_some_and(|name| !name.is_empty() && !name.contains(['"', '\'', '\\']))
    };
    if is_module(rest) {
        return Some(format!("await import({rest}), undefined;"));
    }
    let (names, module) = rest.rsplit_once(" from ")?;
    let module = module.trim();
    let bound = bound(names.trim()).filter(|_| is_module(module))?;
    Some(format!("var {bound} = await import({module});"))
}

/// What stands between `import` and `from`, as what a variable statement takes.
fn bound(names: &str) -> Option<String> {
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'))
    };
    if let Some(all) = names.strip_prefix("* as ") {
        return Some(all.trim().to_owned()).filter(|name| is_name(name));
    }
    let (default, listed) = match names.split_once('{') {
        None => (names, None),
        Some((before, listed)) => {
            (before.trim().trim_end_matches(',').trim_end(), Some(listed.trim_end().strip_suffix('}')?))
        }
    };
    let mut parts = Vec::new();
    if !default.is_empty() {
        parts.push(format!("default: {}", Some(default).filter(|name| is_name(name))?));
    }
    for one in listed.unwrap_or_default().split(',').map(str::trim).filter(|one| !one.is_empty()) {
        match one.split_once(" as ") {
            None => parts.push(Some(one).filter(|name| is_name(name))?.to_owned()),
            Some((from, to)) if is_name(from.trim()) && is_name(to.trim()) => {
                parts.push(format!("{}: {}", from.trim(), to.trim()));
            }
            Some(_) => return None,
        }
    }
    Some(format!("{{ {} }}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_an_import_becomes_a_call() {
        for (line, call) in [
            ("import os from 'os';", "var { default: os } = await import('os');"),
            ("import * as path from \"path\"", "var path = await import(\"path\");"),
            ("import { a, b as c } from 'm'", "var { a, b: c } = await import('m');"),
            ("import d, { a } from 'm';", "var { default: d, a } = await import('m');"),
            ("import 'm';", "await import('m'), undefined;"),
        ] {
            assert_eq!(as_calls(&format!("{line}\nmore")), format!("{call}\nmore"));
        }
    }

    #[test]
    fn what_is_no_import_stays_as_it_is() {
        for code in [
            "import('m')",
            "  import x from 'm'",
            "import x from m",
            "import {a b} from 'm'",
            "important",
            "import x, y from 'm'",
        ] {
            assert_eq!(as_calls(code), code);
        }
    }
}
