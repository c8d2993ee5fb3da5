//! What a request only names is read here: the spec file, the seccomp profile, the current directory.
//!
//! The only part of the front door that opens files before a sandbox is there. Each is read up to a limit and no further, so that a
//! device or an endless pipe named by mistake ends in a message.

use super::bundle;
use super::wish::Request;
use crate::error::{Error, Problem, describe_io};
use crate::sandbox::Volumes;
use crate::spec::{self, LoadError, MAX_FILE, Order, PartialSpec, Seccomp, Spec, network};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest seccomp profile, in bytes; the largest of ours has a hundredth.
const MAX_PROFILE: usize = 1 << 20;

/// The whole order: flags over the spec file over the bundle over the defaults, every path on the host absolute.
pub fn resolve(request: Request, home: Option<&Path>) -> Result<Order, Error> {
    let below = match &request.spec_file {
        Some(path) => load(path).map_err(|problem| Error::invalid(vec![problem]))?,
        None => PartialSpec::default(),
    };
    let mut wish = request.wish.over(below);
    let mut brought = None;
    if let Some(path) = &request.bundle {
        let of_bundle = bundle::read(path)?;
        bundle::consent(&of_bundle, path, wish.seccomp.is_some())?;
        wish = wish.over(of_bundle.spec);
        brought = Some(of_bundle.bundle);
    }
    let wish = policy(wish.over(request.ambient))?;
    let spec = wish.into_spec();
    let mut order = Order { bundle: brought, term: request.term, ..Order::from(spec) };
    let spec = &mut order.spec;
    let mut problems = Vec::new();
    absolute_mounts(spec, &mut problems);
    volumes(spec, home, &mut problems);
    profile(spec, &mut problems);
    if problems.is_empty() {
        return Ok(order);
    }
    // One more look, so that a missing file does not hide what else is wrong.
    if let Err(Error { problems: more, .. }) = spec::check_order(&order) {
        let said: Vec<String> = problems.iter().map(|problem| problem.field.clone()).collect();
        problems.extend(more.into_iter().filter(|problem| !said.contains(&problem.field)));
    }
    Err(Error::invalid(problems))
}

/// The wish with the policy that it names a file of.
pub fn policy(wish: PartialSpec) -> Result<PartialSpec, Error> {
    let Some(path) = wish.policy_file() else { return Ok(wish) };
    let of_file = |problem: Problem| Problem {
        message: format!("`{}`: {}: {}", path.display(), problem.field, problem.message),
        field: "net".to_owned(),
        ..problem
    };
    let bytes = read_file(&path, network::MAX_FILE).map_err(|error| {
        Error::invalid(vec![Problem::new("net", format!("`{}`: {}", path.display(), describe_io(&error)))])
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::invalid(vec![Problem::new("net", format!("`{}` is not UTF-8", path.display()))]))?;
    let file =
        network::from_toml(&text).map_err(|problems| Error::invalid(problems.into_iter().map(of_file).collect()))?;
    Ok(wish.with_policy(file))
}

fn load(path: &Path) -> Result<PartialSpec, Problem> {
    let name = if path == Path::new("-") { "standard input".to_owned() } else { format!("`{}`", path.display()) };
    let wrong = |message: String| Problem::new("spec", format!("{name}: {message}"));
    let read = if path == Path::new("-") { read_up_to(io::stdin(), MAX_FILE) } else { read_file(path, MAX_FILE) };
    let bytes = read.map_err(|error| wrong(describe_io(&error)))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| wrong(format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to() + 1)))?;
    let loaded = match path.extension().and_then(OsStr::to_str) {
        Some("toml") => spec::from_toml(&text),
        Some("json") => spec::from_json(&text),
        Some(_) => {
            return Err(wrong("the format is not clear".to_owned()).hint("let the name end in `.toml` or `.json`"));
        }
        // Standard input, or a name like that of `<(…)`.
        None if is_json(&text) => spec::from_json(&text),
        None => spec::from_toml(&text),
    };
    loaded.map_err(|error: LoadError| Problem { hint: error.hint.clone(), ..wrong(error.to_string()) })
}

/// A JSON spec is an object; no TOML file begins with a brace.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn volumes(spec: &mut Spec, home: Option<&Path>, problems: &mut Vec<Problem>) {
    for mount in spec.mounts.iter_mut().filter(|mount| mount.beneath.is_some()) {
        let resolved = match home {
            Some(home) => Volumes::new(home).resolve(mount),
            None => Err(Problem::new("volume", "there is no place for volumes")
                .hint("set `BELLJAR_HOME`, `XDG_DATA_HOME` or `HOME`")),
        };
        problems.extend(resolved.err());
    }
}

fn absolute_mounts(spec: &mut Spec, problems: &mut Vec<Problem>) {
    for mount in spec.mounts.iter_mut().filter(|mount| mount.beneath.is_none() && !mount.source.is_absolute()) {
        match std::env::current_dir() {
            Ok(dir) => mount.source = dir.join(&mount.source),
            Err(error) => {
                let message =
                    format!("`{}` counts from the current directory: {}", mount.source.display(), describe_io(&error));
                problems.push(Problem::new("mount", message).hint("name the source by its absolute path"));
            }
        }
    }
}

fn profile(spec: &mut Spec, problems: &mut Vec<Problem>) {
    let Seccomp::Custom { path, json } = &mut spec.seccomp else { return };
    match read_file(path, MAX_PROFILE) {
        Ok(bytes) => *json = bytes,
        Err(error) => problems.push(Problem::new("seccomp", format!("`{}`: {}", path.display(), describe_io(&error)))),
    }
}

fn read_file(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    read_up_to(File::open(path)?, most)
}

fn read_up_to(from: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Mount;
    use std::path::PathBuf;

    /// A file of its own for each test, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, text: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("belljar-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // A file left behind in a temporary directory harms nobody.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn with_spec(file: &Scratch, wish: PartialSpec) -> Result<Order, Error> {
        resolve(Request { wish, spec_file: Some(file.0.clone()), ..Request::default() }, None)
    }

    #[test]
    fn flags_win_over_the_spec_file() {
        let file = Scratch::new("win.toml", b"memory = \"64M\"\npids = 9\n");
        let flags = PartialSpec { memory: Some(5 << 20), ..PartialSpec::default() };
        assert_eq!(with_spec(&file, flags), Ok(Order::from(Spec { memory: 5 << 20, pids: 9, ..Spec::default() })));
    }

    #[test]
    fn a_fault_in_the_spec_file_names_the_file_the_line_and_the_field() {
        let file = Scratch::new("fault.json", b"{\n\"memory\": 0}");
        let error = with_spec(&file, PartialSpec::default()).unwrap_err().to_string();
        assert_eq!(error, format!("spec: `{}`: line 2, column 11: memory: `0` is zero", file.0.display()));
    }

    #[test]
    fn a_spec_file_of_unknown_format_is_refused() {
        let file = Scratch::new("spec.yaml", b"memory: 1G");
        let error = with_spec(&file, PartialSpec::default()).unwrap_err().to_string();
        assert_eq!(error, format!("spec: `{}`: the format is not clear", file.0.display()));
    }

    #[test]
    fn an_endless_spec_file_is_not_read_to_its_end() {
        let error = read_up_to(io::repeat(b' '), MAX_FILE).unwrap_err().to_string();
        assert_eq!(error, "more than 1048576 bytes");
    }

    #[test]
    fn a_relative_source_counts_from_the_current_directory() {
        let mount =
            |source: &Path| Mount { source: source.into(), target: "/d".into(), writable: false, beneath: None };
        let wish = PartialSpec { mounts: vec![mount(Path::new("data"))], ..PartialSpec::default() };
        let order = resolve(Request { wish, ..Request::default() }, None).unwrap();
        assert_eq!(order.spec.mounts, [mount(&std::env::current_dir().unwrap().join("data"))]);
    }

    #[test]
    fn a_profile_that_cannot_be_read_does_not_hide_other_faults() {
        let seccomp = Seccomp::Custom { path: "/nonexistent/p.json".into(), json: Vec::new() };
        let wish = PartialSpec { seccomp: Some(seccomp), pids: Some(0), ..PartialSpec::default() };
        let Err(Error { problems, .. }) = resolve(Request { wish, ..Request::default() }, None) else {
            panic!("resolved")
        };
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["seccomp", "command", "pids"]);
    }
}
