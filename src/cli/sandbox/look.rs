//! What is told of sandboxes.

use super::{Told, table};
use crate::cli::args::sandbox as args;
use crate::cli::render::{self, say, size};
use crate::error::Error;
use crate::sandbox::{self, End, Entry, Run, Sandboxes, State};
use crate::spec::{Network, Spec, show_bytes};
use crate::tools::Name;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Exit code for an end that nobody has seen.
const UNKNOWN: i32 = 125;

/// Everything that is known of one.
fn object(entry: &Entry) -> Result<(Value, Run, State), Error> {
    let (record, spec, state, run) = (entry.record()?, entry.spec()?, entry.state(), entry.run());
    let object = json!({
        "id": entry.id,
        "name": record.name,
        "state": state,
        "image": if run.image.is_empty() { spec.image.clone().unwrap_or_else(|| "host".to_owned()) } else { run.image.clone() },
        "labels": record.labels,
        "keep": record.keep,
        "created": time(record.created),
        "started": (run.started > 0).then(|| time(run.started)),
        "ttl_seconds": record.ttl,
        "idle_stop_seconds": record.idle_stop,
        "idle_rm_seconds": record.idle_rm,
        "limits": limits(&spec),
        "net": match &spec.net {
            Network::None => "none",
            Network::Host => "host",
            Network::Policy(policy) => policy,
        },
        "end": run.end.as_ref().map(end),
        "enforcement": run.enforcement,
    });
    Ok((object, run, state))
}

/// How it ended, the same in every verb.
pub fn end(end: &End) -> Value {
    json!({
        "at": time(end.at),
        "status": end.status,
        "exit_code": end.exit_code,
        "signal": end.signal,
        "usage": end.usage,
        "error": end.error,
        "reason": end.reason,
    })
}

pub fn limits(spec: &Spec) -> Value {
    json!({
        "memory_bytes": spec.memory,
        "cpus": f64::from(spec.millicpus) / 1000.0,
        "pids": spec.pids,
        "disk_bytes": spec.disk,
    })
}

pub fn ls(sandboxes: &Sandboxes, ls: &args::Ls) -> Result<Told, Error> {
    let wanted = ls.label.iter().map(super::life::split).collect::<Result<Vec<_>, _>>();
    let wanted = wanted.map_err(|problem| Error::misused(vec![problem]))?;
    let heading = ["NAME", "ID", "STATE", "IMAGE", "CREATED"].map(str::to_owned).to_vec();
    let (mut rows, mut objects) = (vec![heading], Vec::new());
    let mut entries: Vec<_> = sandboxes.list()?;
    // In the order in which they were made; those of one second by their names.
    entries.sort_by_cached_key(|entry| entry.record().ok().map(|record| (record.created, record.name)));
    for entry in entries {
        let (record, (object, run, state)) = match entry.record().and_then(|record| Ok((record, object(&entry)?))) {
            Ok(known) => known,
            // Gone between the list and the look.
            Err(_) if !entry.directory.exists() => continue,
            Err(trouble) => {
                let broken = State::Broken.name().to_owned();
                rows.push(vec!["-".to_owned(), entry.id.clone(), broken, String::new(), String::new()]);
                objects.push(json!({ "id": entry.id, "state": State::Broken, "error": trouble.to_string() }));
                continue;
            }
        };
        if !wanted.iter().all(|(key, value)| record.labels.get(key) == Some(value)) {
            continue;
        }
        let image = run.image.split('@').next().unwrap_or_default().to_owned();
        let name = if record.name == entry.id { "-".to_owned() } else { record.name };
        rows.push(vec![name, entry.id, state.name().to_owned(), image, ago(record.created)]);
        objects.push(object);
    }
    let people = match rows.len() {
        1 => "no sandboxes; `belljar create` makes one\n".to_owned(),
        _ => table(&rows),
    };
    Ok(Told::new(people, json!({ "version": 1, "sandboxes": objects })))
}

pub fn inspect(sandboxes: &Sandboxes, word: &str) -> Result<Told, Error> {
    let (mut object, _, _) = object(&sandboxes.find(word)?)?;
    object["version"] = json!(1);
    Ok(Told::new("", object))
}

pub fn wait(sandboxes: &Sandboxes, word: &str) -> Result<Told, Error> {
    let run = sandbox::wait(sandboxes, word)?;
    // As if the caller had run the sandbox's command itself; without a word of its supervisor nothing is known.
    let code = run.end.as_ref().map_or(UNKNOWN, End::exit_code);
    Ok(Told { code, ..Told::new(format!("{code}\n"), json!({ "version": 1, "end": run.end.as_ref().map(end) })) })
}

pub fn logs(sandboxes: &Sandboxes, logs: &args::Logs) -> Result<Told, Error> {
    let entry = sandboxes.find(&super::word(&logs.name))?;
    if !logs.json {
        sandbox::follow_log(&entry, logs.follow, &mut render::out())?;
        if sandbox::is_log_full(&entry) {
            say("the command wrote more than is kept of it (10 MiB), and the rest was dropped");
        }
        return Ok(Told::new("", Value::Null));
    }
    let mut bytes = Vec::new();
    sandbox::follow_log(&entry, logs.follow, &mut bytes)?;
    let object = json!({ "version": 1, "log": Name(bytes), "truncated": sandbox::is_log_full(&entry) });
    Ok(Told::new("", object))
}

pub fn stats(sandboxes: &Sandboxes, word: &str) -> Result<Told, Error> {
    let stats = sandbox::stats(&sandboxes.find(word)?)?;
    let rows = [
        ("memory", format!("{} of {}", size(stats.memory_bytes), show_bytes(stats.memory_limit_bytes))),
        ("processes", format!("{} of {}", stats.pids, stats.pids_limit)),
        ("cpu time", format!("{:.2} s", stats.cpu_ms as f64 / 1000.0)),
        ("cpus", format!("{}", f64::from(stats.millicpus_limit) / 1000.0)),
        ("disk", format!("{} of {}", size(stats.disk_bytes), show_bytes(stats.disk_limit_bytes))),
        ("up", format!("{:.0} s", stats.uptime_ms as f64 / 1000.0)),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let mut object = serde_json::to_value(stats).unwrap_or_default();
    object["version"] = json!(1);
    Ok(Told::new(table(&rows), object))
}

/// RFC 3339, in UTC.
pub fn time(seconds: u64) -> String {
    moment(seconds as i64)
}

/// The same before 1970 too.
pub fn moment(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The day of the Gregorian calendar, counted from 1970-01-01: years begin in March here, so that a leap day ends one.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// As people say it.
fn ago(seconds: u64) -> String {
    match now().saturating_sub(seconds) {
        age @ ..60 => format!("{age} s ago"),
        age @ ..3600 => format!("{} min ago", age / 60),
        age @ ..86_400 => format!("{} h ago", age / 3600),
        age => format!("{} d ago", age / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{moment, time};

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(-1), "1969-12-31T23:59:59Z");
        assert_eq!(moment(-11_676_096_000), "1600-01-01T00:00:00Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(time(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(time(4_102_444_800), "2100-01-01T00:00:00Z");
    }
}
