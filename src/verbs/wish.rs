//! Options to a partial spec: every value read, every fault collected. Nothing is opened here.

use super::faults::{Env, Faults};
use super::options::{Options, OwnOptions, SandboxOptions};
use super::words::Word;
use crate::error::{Error, Problem};
use crate::spec::{self, Code, PartialSpec, Program, Source};
use std::path::PathBuf;

/// One run, as far as its options say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What the options say.
    pub wish: PartialSpec,
    /// What the environment says; a spec file wins over it.
    pub ambient: PartialSpec,
    /// `--spec`, still to be read.
    pub spec_file: Option<PathBuf>,
    /// `--bundle`, still to be read.
    pub bundle: Option<PathBuf>,
    /// The caller's `TERM`.
    pub term: Option<String>,
    /// Print the plan and stop.
    pub dry_run: bool,
}

/// A piece of code, from its language, its text, and the words behind both.
pub fn code_program(
    language: Option<Word>,
    text: Option<Word>,
    words: Vec<Word>,
    has_spec: bool,
    faults: &mut Faults,
) -> Option<Program> {
    let Some(word) = language else {
        if text.is_some() || !has_spec {
            let problem = Problem::new("lang", "is missing");
            faults.0.push(problem.hint("begin with python, node or sh, as in `belljar code python -e 'print(1)'`"));
        }
        return None;
    };
    let mut words = words.into_iter().map(|word| word.0);
    let source = match text {
        Some(text) => Some(Source::Text(text.0)),
        None => words.next().map(|file| if file == "-" { Source::Stdin } else { Source::File(file.into()) }),
    };
    if source.is_none() {
        let problem = Problem::new("code", "is missing");
        faults.0.push(problem.hint("give `-e CODE`, a FILE, or `-` for standard input"));
    }
    let language = faults.word("lang", &word.to_string_lossy(), spec::parse_language);
    Some(Program::Code(Code { language: language?, source: source?, args: words.collect() }))
}

/// The whole request.
///
/// # Errors
///
/// `misused`, with everything that is wrong with it.
pub fn finish(
    options: Options,
    program: Option<Program>,
    bundle: Option<PathBuf>,
    env: Env<'_>,
    faults: &mut Faults,
) -> Result<Request, Error> {
    let Options { sandbox: options, own } = options;
    let spec_file = options.spec.as_ref().map(|path| PathBuf::from(&path.0));
    let dry_run = own.dry_run;
    let parent = env("BELLJAR_CGROUP_PARENT").filter(|path| !path.is_empty() && options.cgroup_parent.is_none());
    let ambient = PartialSpec { cgroup_parent: parent.and_then(|word| faults.cgroup(&word)), ..PartialSpec::default() };
    let wish = wish(options, own, program, env, faults);
    if faults.0.is_empty() {
        return Ok(Request { wish, ambient, spec_file, bundle, term: term(env), dry_run });
    }
    let mut problems = std::mem::take(&mut faults.0);
    contradictions(wish, spec_file.is_some() || bundle.is_some(), &mut problems);
    Err(Error::misused(problems))
}

/// The caller's `TERM`, where it is one.
pub fn term(env: Env<'_>) -> Option<String> {
    env("TERM").and_then(|term| term.into_string().ok()).filter(|term| usable_term(term))
}

/// Where what belljar keeps lies: `BELLJAR_HOME`, else as the XDG Base Directory Specification has it, which ignores
/// what is not absolute.
pub fn home(env: Env<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = || absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    let named = env("BELLJAR_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(data()?.join("belljar")))
}

/// What is wrong with the spec beside the values that could not be read. A field of which a value is wrong
/// already, and what an unread spec file or bundle may still say, are left alone.
fn contradictions(wish: PartialSpec, more_to_read: bool, problems: &mut Vec<Problem>) {
    let no_program = wish.program.is_none();
    let spec = wish.into_spec();
    let Err(Error { problems: more, .. }) = spec::check(&spec) else { return };
    let said: Vec<String> = problems.iter().map(|problem| problem.field.clone()).collect();
    let unread = |field: &str| match field {
        "command" => no_program && (more_to_read || said.iter().any(|field| matches!(field.as_str(), "code" | "lang"))),
        // The profile's text is not read yet.
        "seccomp" => matches!(spec.seccomp, spec::Seccomp::Custom { .. }),
        _ => false,
    };
    problems.extend(more.into_iter().filter(|problem| !said.contains(&problem.field) && !unread(&problem.field)));
}

fn wish(
    options: SandboxOptions,
    own: OwnOptions,
    program: Option<Program>,
    env: Env<'_>,
    faults: &mut Faults,
) -> PartialSpec {
    PartialSpec {
        program,
        image: options.image.and_then(|word| faults.text("image", word.0)),
        memory: options.memory.and_then(|word| faults.unit("memory", &*word, spec::parse_bytes)),
        millicpus: options.cpus.and_then(|word| faults.unit("cpus", &*word, spec::parse_cpus)),
        pids: options.pids.and_then(|word| faults.unit("pids", &*word, spec::parse_count)),
        disk: options.disk.and_then(|word| faults.unit("disk", &*word, spec::parse_bytes)),
        disk_bandwidth: options
            .disk_bandwidth
            .and_then(|word| faults.unit("disk_bandwidth", &*word, spec::parse_bytes)),
        timeout: options.timeout.and_then(|word| faults.unit("timeout", &*word, spec::parse_timeout)),
        cpu_time: options.cpu_time.and_then(|word| faults.unit("cpu_time", &*word, spec::parse_duration)),
        output_limit: own.output_limit.and_then(|word| faults.unit("output_limit", &*word, spec::parse_output_limit)),
        net: options.net.and_then(|word| faults.word("net", &word.to_string_lossy(), spec::parse_network)),
        allow: words(options.allow, |word| faults.word("allow", word, spec::parse_target)).concat(),
        deny: words(options.deny, |word| faults.word("deny", word, spec::parse_target)).concat(),
        net_rate: options.net_rate.and_then(|word| faults.unit("net_rate", &*word, spec::parse_bytes)),
        net_connections: options
            .net_connections
            .and_then(|word| faults.unit("net_connections", &*word, spec::parse_connections)),
        publish: words(options.publish, |word| faults.word("publish", word, spec::parse_publish)),
        mounts: {
            let mounts = options.mount.iter().filter_map(|word| faults.keep("mount", spec::parse_mount(word)));
            let mut mounts: Vec<_> = mounts.collect();
            mounts.extend(options.volume.iter().filter_map(|word| faults.keep("volume", spec::parse_volume(word))));
            mounts
        },
        env: options.env.into_iter().filter_map(|word| faults.variable(word.0, env)).collect(),
        workdir: options.workdir.map(|path| path.0.into()),
        user: options.user.and_then(|word| faults.word("user", &word.to_string_lossy(), spec::parse_user)),
        userns: options.userns.and_then(|word| faults.word("userns", &word.to_string_lossy(), spec::parse_userns)),
        hostname: options.hostname.and_then(|word| faults.text("hostname", word.0)),
        seccomp: options.seccomp.map(|word| spec::parse_seccomp(&word)),
        stdin: own.stdin.map(|path| path.0.into()),
        tty: own.tty.then_some(true),
        cgroup_parent: options.cgroup_parent.and_then(|word| faults.cgroup(&word)),
        require: words(options.require, |word| faults.word("require", word, spec::parse_requirement)),
        allow_missing: words(options.allow_missing, |word| faults.word("allow_missing", word, spec::parse_protection)),
    }
}

fn words<T>(words: Vec<Word>, mut read: impl FnMut(&str) -> Option<T>) -> Vec<T> {
    words.iter().filter_map(|word| read(&word.to_string_lossy())).collect()
}

/// A terminal's name goes into the environment as it is.
fn usable_term(term: &str) -> bool {
    !term.is_empty() && term.len() <= 64 && term.bytes().all(|byte| byte.is_ascii_graphic())
}
