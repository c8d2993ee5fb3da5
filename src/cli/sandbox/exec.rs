//! `belljar exec`.

use super::place;
use crate::cli::parse::Report;
use crate::cli::render::{self};
use crate::cli::{resolve, run};
use crate::error::Error;
use crate::process::Delivery;
use crate::sandbox::{self, Exec};
use std::path::PathBuf;

/// One command for a sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecRequest {
    /// The sandbox.
    pub name: String,
    /// The command.
    pub exec: Exec,
    /// Where sandboxes are.
    pub home: Option<PathBuf>,
    /// How to report.
    pub report: Report,
}

/// Runs it; the exit code.
pub fn exec(request: ExecRequest) -> i32 {
    let report = request.report;
    let status = match run::status_fd(report) {
        Ok(status) => status,
        Err(problem) => return render::error(&Error::invalid(vec![problem]), None, report, None),
    };
    let Some(home) = &request.home else { return render::error(&super::no_home(), None, report, status) };
    let store = resolve::store(home);
    let delivery = Delivery { capture: report.json, fail_step: run::fail_step() };
    match sandbox::exec(&place(home), &request.name, Some(&store), &request.exec, delivery) {
        Ok((outcome, spec)) => render::outcome(&outcome, &spec, report, status),
        Err(error) => render::error(&error, None, report, status),
    }
}
