//! `belljar run` and `belljar code`: request to spec to outcome to exit code.

use super::parse::{Report, RunRequest};
use super::render::{self, StatusFd};
use super::resolve::{self, resolve};
use crate::error::{Error, Problem, describe_io};
use crate::images::Store;
use crate::process::{self, Delivery};
use crate::spec::Spec;
use crate::sys;
use std::fs::File;

/// Runs it; the exit code.
pub fn run(request: RunRequest) -> i32 {
    let report = request.report;
    // Before any other file is opened: a number that names nothing must not come to name one of ours.
    let status = match status_fd(report) {
        Ok(status) => status,
        Err(problem) => return render::error(&Error::invalid(vec![problem]), None, report, None),
    };
    let dry_run = request.dry_run;
    let store = request.home.as_deref().map(resolve::store);
    let spec = match resolve(request) {
        Ok(spec) => spec,
        Err(error) => return render::error(&error, None, report, status),
    };
    if dry_run {
        return plan(&spec, store.as_ref(), report, status);
    }
    match process::run(&spec, store.as_ref(), Delivery { capture: report.json, fail_step: fail_step() }) {
        Ok(outcome) => render::outcome(&outcome, &spec, report, status),
        Err(error) => render::error(&error, Some(&spec), report, status),
    }
}

/// The step that a test makes fail, in debug builds only.
#[cfg(debug_assertions)]
pub fn fail_step() -> Option<usize> {
    std::env::var("BELLJAR_FAIL_STEP").ok()?.parse().ok()
}

/// Nothing fails on purpose in a release build.
#[cfg(not(debug_assertions))]
pub fn fail_step() -> Option<usize> {
    None
}

/// `--dry-run`: what would be done, on stdout.
fn plan(spec: &Spec, store: Option<&Store>, report: Report, status: StatusFd) -> i32 {
    let plan = match process::plan(spec, store) {
        Ok(plan) => plan,
        Err(error) => return render::error(&error, Some(spec), report, status),
    };
    if !report.json {
        return render::people(&plan.to_string(), 0);
    }
    render::object(&serde_json::json!({ "version": 1, "image": plan.image, "steps": plan.lines() }), 0)
}

/// Takes the descriptor over: from here on it is ours, and close-on-exec.
pub fn status_fd(report: Report) -> Result<StatusFd, Problem> {
    let Some(number) = report.status_fd else { return Ok(None) };
    match sys::fd::inherited(number) {
        Ok(descriptor) => Ok(Some(File::from(descriptor))),
        Err(error) => {
            Err(Problem::new("status_fd", format!("descriptor {number} cannot be written to: {}", describe_io(&error)))
                .hint("open it for belljar, as in `--status-fd 3 3>status.json`"))
        }
    }
}
