//! Doctor's sandboxes: their specs, and the output of the host's programs in them.

use crate::error::{Error, Kind};
use crate::outcome::{Encoding, Enforcements, Outcome, Output, Status};
use crate::process::{self, Delivery};
use crate::spec::{Order, Program, Protection, Spec};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// How long anything of ours may take inside, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first sandbox: what was promised in it, and what was seen.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// How far each protection is enforced, by the plan that was carried out.
    pub enforcement: Enforcements,
    /// What was printed, by section; empty where there is no shell to look with.
    pub sections: BTreeMap<String, Vec<String>>,
}

impl Looked {
    /// The lines of a section; none where nothing was printed.
    pub fn lines(&self, section: &str) -> Option<&[String]> {
        self.sections.get(section).map(Vec::as_slice).filter(|lines| !lines.is_empty())
    }
}

/// Looks around with what every host has. Each section is a line that begins with `@`, and what follows.
///
/// `/proc/self` is whoever opens it: `cat` in the first, the shell in the others, which are alike.
const LOOK: &str = r#"
for name in status mountinfo limits; do echo "@$name"; cat "/proc/self/$name"; done
echo @namespaces
for name in cgroup ipc mnt net pid user uts; do readlink "/proc/self/ns/$name"; done
echo @interfaces; cat /proc/net/dev
echo @processes
for name in /proc/[0-9]*; do echo "${name#/proc/}"; done
echo @descriptors
for name in /proc/self/fd/*; do [ -e "$name" ] && echo "${name##*/}"; done
echo @writable
for name in /tmp / /usr /etc /dev /proc; do
  ( : >"$name/belljar-doctor" ) 2>/dev/null && echo "$name"
done
echo @nested
cat /proc/sys/user/max_user_namespaces
"#;

/// A sandbox with all limits for `script`, with Landlock or, on a host that has none, without: the other protections
/// are to be seen there too. Nothing of the caller's standard input goes in.
pub fn spec(script: &str) -> Spec {
    let words = ["sh", "-c", script].map(OsString::from);
    Spec {
        program: Program::Command(words.to_vec()),
        stdin: Some("/dev/null".into()),
        image: Some("host".to_owned()),
        timeout: Some(PATIENCE),
        cpu_time: Some(PATIENCE),
        allow_missing: vec![Protection::Landlock],
        ..Spec::default()
    }
}

/// Runs it and keeps what it prints.
///
/// # Errors
///
/// As `process::run`; `Setup` when somebody wants us to end.
pub fn run(spec: &Spec) -> Result<Outcome, Error> {
    let outcome = process::run(&Order::from(spec.clone()), None, Delivery { capture: true, fail_step: None })?;
    if outcome.status == Status::Cancelled {
        let signal = outcome.signal.unwrap_or_default();
        let attempt = format!("the examination was interrupted by {signal}");
        return Err(Error::setup(attempt, 0));
    }
    Ok(outcome)
}

/// Makes the first sandbox, as `run` does with no options, and looks around in it.
///
/// # Errors
///
/// Why there is no sandbox.
pub fn look(with_landlock: bool) -> Result<Looked, Error> {
    let all = spec(LOOK);
    let allow_missing = if with_landlock { Vec::new() } else { all.allow_missing.clone() };
    let default = Spec { cpu_time: None, allow_missing, ..all.clone() };
    let outcome = match run(&default) {
        Ok(outcome) => Some(outcome),
        // Everything was set up by then; only there is nobody to look around.
        Err(error) if matches!(error.kind, Kind::NoCommand | Kind::NotExecutable) => None,
        Err(error) => return Err(error),
    };
    // Planned with limits that a default `run` leaves out.
    let mut enforcement = process::plan(&Order::from(all), None)?.enforcement;
    for (protection, planned) in &mut enforcement {
        if let Some(real) = outcome.as_ref().and_then(|outcome| outcome.enforcement.get(protection.name())) {
            planned.clone_from(real);
        }
    }
    let output = outcome.and_then(|outcome| outcome.output);
    Ok(Looked { enforcement, sections: sections(&text(output.as_ref())) })
}

/// What was printed, as far as it is text.
pub fn text(output: Option<&Output>) -> String {
    match output {
        Some(output) if output.stdout_encoding == Encoding::Utf8 => output.stdout.clone(),
        Some(_) | None => String::new(),
    }
}

fn sections(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        match line.strip_prefix('@') {
            Some(name) => {
                current = name.to_owned();
                // A section without lines was printed all the same: nothing was writable, say.
                sections.entry(current.clone()).or_default();
            }
            None => sections.entry(current.clone()).or_default().push(line.to_owned()),
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_found_by_its_section() {
        let sections = sections("@a\n1\n2\n@b\n@c\n3\n");
        let lines = |name: &str| sections.get(name).map(|lines| lines.join(" "));
        assert_eq!(
            (lines("a"), lines("b"), lines("c"), lines("d")),
            (Some("1 2".to_owned()), Some(String::new()), Some("3".to_owned()), None)
        );
    }
}
