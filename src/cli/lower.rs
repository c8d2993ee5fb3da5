//! Flags to a partial spec: every value read, every fault collected.

use super::args::{self, Options, OwnOptions, SandboxOptions};
use super::parse::{Env, Report, Request, RunRequest, Usage};
use super::sandbox::{CreateRequest, ExecRequest, ImportRequest};
use super::session::{self, CodeRequest, Detached};
use crate::error::{Error, Problem};
use crate::sandbox;
use crate::spec::{self, Code, PartialSpec, Program, Source};
use crate::verbs::faults::Faults;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The request of `belljar run`.
pub fn run(run: args::Run, env: Env<'_>) -> Result<Box<RunRequest>, Usage> {
    let mut faults = Faults::default();
    let program = (!run.words.is_empty()).then_some(Program::Command(run.words));
    finish(run.options, program, run.bundle.map(PathBuf::from), env, &mut faults)
}

/// The request of `belljar code`.
pub fn code(code: args::Code, env: Env<'_>) -> Result<Request, Usage> {
    let mut faults = Faults::default();
    let program = code_program(code.language, code.text, code.words, code.options.sandbox.spec.is_some(), &mut faults);
    if let Some(Program::Code(Code { source: Source::Stdin, .. })) = &program
        && code.options.sandbox.spec.as_deref() == Some(OsStr::new("-"))
    {
        let problem = Problem::new("spec", "standard input cannot hold both the spec and the code");
        faults.0.push(problem.hint("put one of them into a file"));
    }
    let Some(name) = code.sandbox else {
        return finish(code.options, program, None, env, &mut faults).map(Request::Run);
    };
    let run = finish(code.options, program, None, env, &mut faults)?;
    let (wish, report) = (run.wish, run.report);
    let own = PartialSpec {
        program: wish.program.clone(),
        timeout: wish.timeout,
        output_limit: wish.output_limit,
        env: wish.env.clone(),
        workdir: wish.workdir.clone(),
        ..PartialSpec::default()
    };
    let wrong = |problem| Err(Usage::Wrong { problems: vec![problem], exit_code: 125, report });
    let Some(Program::Code(code_itself)) = own.program.clone() else {
        return wrong(Problem::new("code", "no code").hint("give `-e CODE`, a FILE, or `-` for standard input"));
    };
    if own != wish || run.spec_file.is_some() || run.dry_run || report.status_fd.is_some() {
        return wrong(session::not_for_a_sandbox_that_is_there());
    }
    let exec = sandbox::Exec {
        env: wish.env,
        workdir: wish.workdir,
        timeout: wish.timeout.flatten(),
        output_limit: wish.output_limit,
        ..sandbox::Exec::default()
    };
    let sandbox = name.to_string_lossy().into_owned();
    let (context, save) = (code.context, code.save.map(PathBuf::from));
    let request = CodeRequest { sandbox, context, save, code: code_itself, exec, home: run.home, report };
    Ok(Request::CodeIn(Box::new(request)))
}

/// The request of `belljar create`.
pub fn create(create: args::sandbox::Create, env: Env<'_>) -> Result<Box<CreateRequest>, Usage> {
    let mut faults = Faults::default();
    let program = if create.words.is_empty() { Program::Nothing } else { Program::Command(create.words) };
    let mut labels = BTreeMap::new();
    for label in &create.label {
        if let Some((key, value)) = faults.label(label) {
            labels.insert(key, value);
        }
    }
    let mut time = |field, word: Option<OsString>| word.and_then(|word| faults.unit(field, word, spec::parse_duration));
    let wish = sandbox::Wish {
        ttl: time("ttl", create.ttl),
        idle_stop: time("idle_stop", create.idle_stop),
        idle_rm: time("idle_rm", create.idle_rm),
        keep: create.keep,
        labels,
        name: create.name.and_then(|name| faults.text("name", name)),
    };
    let options = Options { sandbox: create.options, own: OwnOptions::default() };
    let mut run = finish(options, Some(program), None, env, &mut faults)?;
    // It lasts until it is stopped, unless somebody says otherwise.
    run.ambient.timeout = Some(None);
    Ok(Box::new(CreateRequest { run: *run, wish }))
}

/// The request of `belljar import`.
pub fn import(import: args::sandbox::Import, env: Env<'_>) -> Result<Box<ImportRequest>, Usage> {
    let mut faults = Faults::default();
    let name = import.name.and_then(|name| faults.text("name", name));
    if import.options.image.is_some() {
        faults.0.push(Problem::new("image", "the file says which image it is").hint("leave `--image` out"));
    }
    let options = Options { sandbox: import.options, own: OwnOptions::default() };
    let mut run = finish(options, None, None, env, &mut faults)?;
    run.ambient.timeout = Some(None);
    Ok(Box::new(ImportRequest { run: *run, file: import.file, name }))
}

/// The request of `belljar exec`.
pub fn exec(exec: args::sandbox::Exec, env: Env<'_>) -> Result<Request, Usage> {
    let mut faults = Faults::default();
    let status_fd = exec.status_fd.as_deref().and_then(|word| faults.descriptor(word));
    let report = Report { json: exec.json, status_fd };
    let name = exec.name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() {
        faults.0.push(Problem::new("sandbox", "no name").hint("`belljar ls` lists the sandboxes"));
    } else if exec.words.is_empty() {
        let problem = Problem::new("command", "no command");
        faults.0.push(problem.hint("end with what to run, as in `belljar exec NAME -- ls -l`"));
    }
    let command = sandbox::Exec {
        own: None,
        aside: false,
        words: exec.words,
        env: exec.env.into_iter().filter_map(|word| faults.variable(word, env)).collect(),
        workdir: exec.workdir.map(PathBuf::from),
        user: exec.user.and_then(|word| faults.word("user", &word.to_string_lossy(), spec::parse_user)),
        timeout: exec.timeout.and_then(|word| faults.unit("timeout", word, spec::parse_timeout)).flatten(),
        output_limit: exec.output_limit.and_then(|word| faults.unit("output_limit", word, spec::parse_output_limit)),
        stdin: exec.stdin.map(PathBuf::from),
        tty: exec.tty,
        term: env("TERM").and_then(|term| term.into_string().ok()).filter(|term| usable_term(term)),
    };
    match faults.0.is_empty() {
        true if exec.detach => Ok(Request::Detach(Box::new(Detached {
            sandbox: name,
            words: command.words,
            env: command.env,
            workdir: command.workdir,
            home: home(env),
            json: exec.json,
        }))),
        true => Ok(Request::Exec(Box::new(ExecRequest { name, exec: command, home: home(env), report }))),
        false => Err(Usage::Wrong { problems: faults.0, exit_code: 125, report }),
    }
}

fn code_program(
    language: Option<OsString>,
    text: Option<OsString>,
    words: Vec<OsString>,
    has_spec: bool,
    faults: &mut Faults,
) -> Option<Program> {
    let Some(word) = language else {
        if text.is_some() || !has_spec {
            let problem = Problem::new("code", "no language");
            faults.0.push(problem.hint("begin with python, node or sh, as in `belljar code python -e 'print(1)'`"));
        }
        return None;
    };
    let mut words = words.into_iter();
    let source = match text {
        Some(text) => Some(Source::Text(text)),
        None => words.next().map(|file| if file == "-" { Source::Stdin } else { Source::File(file.into()) }),
    };
    if source.is_none() {
        let problem = Problem::new("code", "no code");
        faults.0.push(problem.hint("give `-e CODE`, a FILE, or `-` for standard input"));
    }
    let language = faults.word("code", &word.to_string_lossy(), spec::parse_language);
    Some(Program::Code(Code { language: language?, source: source?, args: words.collect() }))
}

fn finish(
    options: Options,
    program: Option<Program>,
    bundle: Option<PathBuf>,
    env: Env<'_>,
    faults: &mut Faults,
) -> Result<Box<RunRequest>, Usage> {
    let Options { sandbox: options, own } = options;
    let wants_json = options.json;
    let status_fd = own.status_fd.as_deref().and_then(|word| faults.descriptor(word));
    let report = Report { json: wants_json, status_fd };
    let spec_file = options.spec.as_ref().map(PathBuf::from);
    let dry_run = own.dry_run;
    let parent = env("BELLJAR_CGROUP_PARENT").filter(|path| !path.is_empty() && options.cgroup_parent.is_none());
    let ambient = PartialSpec { cgroup_parent: parent.and_then(|word| faults.cgroup(&word)), ..PartialSpec::default() };
    let wish = wish(options, own, program, env, faults);
    if faults.0.is_empty() {
        let term = env("TERM").and_then(|term| term.into_string().ok()).filter(|term| usable_term(term));
        let home = home(env);
        return Ok(Box::new(RunRequest { wish, ambient, spec_file, bundle, term, home, report, dry_run }));
    }
    let mut problems = std::mem::take(&mut faults.0);
    contradictions(wish, spec_file.is_some() || bundle.is_some(), &mut problems);
    Err(Usage::Wrong { problems, exit_code: 125, report })
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
        "command" => no_program && (more_to_read || said.iter().any(|field| field == "code")),
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
        image: options.image.and_then(|word| faults.text("image", word)),
        bundle: None,
        memory: options.memory.and_then(|word| faults.unit("memory", word, spec::parse_bytes)),
        millicpus: options.cpus.and_then(|word| faults.unit("cpus", word, spec::parse_cpus)),
        pids: options.pids.and_then(|word| faults.unit("pids", word, spec::parse_count)),
        disk: options.disk.and_then(|word| faults.unit("disk", word, spec::parse_bytes)),
        disk_bandwidth: options.disk_bandwidth.and_then(|word| faults.unit("disk_bandwidth", word, spec::parse_bytes)),
        timeout: options.timeout.and_then(|word| faults.unit("timeout", word, spec::parse_timeout)),
        cpu_time: options.cpu_time.and_then(|word| faults.unit("cpu_time", word, spec::parse_duration)),
        output_limit: own.output_limit.and_then(|word| faults.unit("output_limit", word, spec::parse_output_limit)),
        net: options.net.and_then(|word| faults.text("net", word)).map(|word| spec::parse_network(&word)),
        allow: options.allow.into_iter().filter_map(|word| faults.text("allow", word)).collect(),
        mounts: {
            let mounts = options.mount.iter().filter_map(|word| faults.keep("mount", spec::parse_mount(word)));
            let mut mounts: Vec<_> = mounts.collect();
            mounts.extend(options.volume.iter().filter_map(|word| faults.keep("volume", spec::parse_volume(word))));
            mounts
        },
        env: options.env.into_iter().filter_map(|word| faults.variable(word, env)).collect(),
        workdir: options.workdir.map(PathBuf::from),
        user: options.user.and_then(|word| faults.word("user", &word.to_string_lossy(), spec::parse_user)),
        userns: options.userns.and_then(|word| faults.word("userns", &word.to_string_lossy(), spec::parse_userns)),
        hostname: options.hostname.and_then(|word| faults.text("hostname", word)),
        seccomp: options.seccomp.map(|word| spec::parse_seccomp(&word)),
        stdin: own.stdin.map(PathBuf::from),
        tty: own.tty.then_some(true),
        cgroup_parent: options.cgroup_parent.and_then(|word| faults.cgroup(&word)),
        require: words(options.require, |word| faults.word("require", word, spec::parse_requirement)),
        allow_missing: words(options.allow_missing, |word| faults.word("allow_missing", word, spec::parse_protection)),
    }
}

fn words<T>(words: Vec<OsString>, mut read: impl FnMut(&str) -> Option<T>) -> Vec<T> {
    words.iter().filter_map(|word| read(&word.to_string_lossy())).collect()
}

/// A terminal's name goes into the environment as it is.
fn usable_term(term: &str) -> bool {
    !term.is_empty() && term.len() <= 64 && term.bytes().all(|byte| byte.is_ascii_graphic())
}
