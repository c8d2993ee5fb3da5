//! Code by a warm template: what a run may say for itself, and what its template has said for all.

use crate::error::{Error, Problem};
use crate::sandbox::{self, Piece};
use crate::spec::{PartialSpec, Program, Spec};
use crate::verbs::Site;
use crate::verbs::run::{Ran, Unrun};
use crate::verbs::wish::Request;

/// What is asked for; nothing is opened. `in_another`: it was also to run in a sandbox that is there.
///
/// # Errors
///
/// `misused`, with everything that the template decides.
pub fn piece(request: Request, in_another: bool) -> Result<Piece, Error> {
    let (wish, program) = (request.wish, "the template's: give it to `belljar warm create`, or leave `--warm` out");
    let PartialSpec { program: code, timeout, output_limit, env, stdin, tty, .. } = &wish;
    let mut problems: Vec<Problem> = theirs(&wish)
        .into_iter()
        .map(|field| Problem::new(field, "is not for a run by a template to say").hint(format!("it is {program}")))
        .collect();
    for (field, given, why) in [
        ("sandbox", in_another, "does not go with `warm`, which has a fresh sandbox for each run"),
        ("tty", tty.is_some(), "does not go with `warm`"),
        ("spec", request.spec_file.is_some(), "does not go with `warm`"),
        ("dry_run", request.dry_run, "does not go with `warm`: the sandbox is there already"),
    ] {
        if given {
            problems.push(Problem::new(field, why).hint("leave it or `--warm` out"));
        }
    }
    match code {
        Some(Program::Code(code)) if problems.is_empty() => Ok(Piece {
            code: code.clone(),
            env: env.clone(),
            timeout: timeout.unwrap_or(Spec::default().timeout),
            output_limit: *output_limit,
            stdin: stdin.clone(),
        }),
        Some(Program::Code(_)) => Err(Error::misused(problems)),
        _ => {
            problems.push(Problem::new("code", "is missing").hint("give `-e CODE`, a FILE, or `-` for standard input"));
            Err(Error::misused(problems))
        }
    }
}

/// The fields that belong to the template, as far as they are given.
fn theirs(wish: &PartialSpec) -> Vec<&'static str> {
    let given = [
        ("image", wish.image.is_some()),
        ("memory", wish.memory.is_some()),
        ("cpus", wish.millicpus.is_some()),
        ("pids", wish.pids.is_some()),
        ("disk", wish.disk.is_some()),
        ("disk_bandwidth", wish.disk_bandwidth.is_some()),
        ("cpu_time", wish.cpu_time.is_some()),
        ("net", wish.net.is_some()),
        ("allow", !wish.allow.is_empty()),
        ("deny", !wish.deny.is_empty()),
        ("net_rate", wish.net_rate.is_some()),
        ("net_connections", wish.net_connections.is_some()),
        ("publish", !wish.publish.is_empty()),
        ("mount", !wish.mounts.is_empty()),
        ("workdir", wish.workdir.is_some()),
        ("user", wish.user.is_some()),
        ("userns", wish.userns.is_some()),
        ("hostname", wish.hostname.is_some()),
        ("seccomp", wish.seccomp.is_some()),
        ("cgroup_parent", wish.cgroup_parent.is_some()),
        ("require", !wish.require.is_empty()),
        ("allow_missing", !wish.allow_missing.is_empty()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field).collect()
}

/// Runs it.
///
/// # Errors
///
/// Whatever keeps it from being run.
pub fn run(name: &str, piece: &Piece, site: &Site<'_>) -> Result<Ran, Unrun> {
    let unrun = |error| Box::new((error, None));
    let (sandboxes, store) = (site.sandboxes().map_err(unrun)?, site.store().map_err(unrun)?);
    let (outcome, spec) = sandbox::run_warm(&sandboxes, name, Some(&store), piece, site.delivery()).map_err(unrun)?;
    Ok(Ran::Ran { outcome: Box::new(outcome), spec: Box::new(spec) })
}
