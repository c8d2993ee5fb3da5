//! The shape of a spec file, for its JSON Schema only (test builds).
//!
//! Reading is done by hand in [`fields`](super::fields), for errors with a place and a cure; a test holds the
//! names of the two together. Every default is that of `belljar run --help`.
#![allow(dead_code)]

use schemars::JsonSchema;
use std::collections::BTreeMap;

/// A spec file of belljar: the options of `belljar run` and `belljar code`, by their names without dashes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SpecFile {
    /// The command and its arguments. Excludes `code`.
    command: Option<Vec<String>>,
    /// A piece of code. Excludes `command`.
    code: Option<CodeTable>,
    /// The root file system; this version knows `host` only.
    image: Option<String>,
    /// Bytes, or a string like `512M`.
    memory: Option<Whole>,
    /// CPUs, to thousandths.
    cpus: Option<Decimal>,
    /// Processes and threads.
    pids: Option<Whole>,
    /// Bytes, or a string like `2G`.
    disk: Option<Whole>,
    /// Bytes a second, or a string like `10M`; on each disk.
    disk_bandwidth: Option<Whole>,
    /// Seconds, or a string like `1h30m` or `none`.
    timeout: Option<Decimal>,
    /// Seconds, or a string like `10s`.
    cpu_time: Option<Decimal>,
    /// Bytes, or a string like `1M` or `1M:kill`.
    output_limit: Option<Whole>,
    /// `none`, `host`, `open`, or a file with a policy.
    net: Option<String>,
    /// What may be reached, as `pypi.org:443`, `10.0.0.0/8` or `@python`.
    allow: Option<Vec<String>>,
    /// What may not be reached, in the same form.
    deny: Option<Vec<String>>,
    /// Bytes a second in each direction, or a string like `10M`.
    net_rate: Option<Whole>,
    /// Connections at once.
    net_connections: Option<Whole>,
    /// Ports reached from the host: `[ADDR:]HOST:SANDBOX`.
    publish: Option<Vec<String>>,
    /// Host paths shown inside, in the order of mounting.
    mounts: Option<Vec<MountForm>>,
    /// Variables.
    env: Option<BTreeMap<String, String>>,
    /// Working directory inside, absolute.
    workdir: Option<String>,
    /// `UID` or `UID:GID`.
    user: Option<Whole>,
    /// `single` or `range`: which ids there are inside.
    userns: Option<String>,
    /// Host name inside.
    hostname: Option<String>,
    /// `default`, `strict`, `debug`, `packages`, or a file.
    seccomp: Option<String>,
    /// A file to read standard input from.
    stdin: Option<String>,
    /// Whether the command gets a terminal of its own.
    tty: Option<bool>,
    /// The cgroup to make the sandbox's cgroup in, or `none`.
    cgroup_parent: Option<String>,
    /// Protections that are insisted on: `NAME` or `NAME=exact`.
    require: Option<Vec<String>>,
    /// Protections that may be missing.
    allow_missing: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CodeTable {
    /// `python`, `node` or `sh`.
    language: String,
    /// The code itself.
    text: Option<String>,
    /// A file of code.
    file: Option<String>,
    /// `true`: the code comes from standard input.
    stdin: Option<bool>,
    /// Arguments.
    args: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum MountForm {
    /// `SRC:DST[:rw]`.
    Word(String),
    /// The same as a table, for paths with a colon.
    Table(MountTable),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MountTable {
    /// Path on the host.
    source: Option<String>,
    /// Instead of `source`: `NAME` or `NAME/SUB` of a volume.
    volume: Option<String>,
    /// Absolute path inside.
    target: String,
    /// A path of the host is read-only unless `true`, a volume is writable unless `false`.
    writable: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Whole {
    Number(u64),
    Text(String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Decimal {
    Number(f64),
    Text(String),
}

#[test]
fn the_schema_knows_the_same_fields_as_the_reader() {
    let schema = schemars::schema_for!(SpecFile);
    let properties = schema.get("properties").and_then(serde_json::Value::as_object).unwrap();
    let names: std::collections::BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    assert_eq!(names, super::fields::KEYS.into_iter().collect());
}
