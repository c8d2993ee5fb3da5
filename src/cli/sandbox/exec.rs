//! `belljar exec`.

use super::place;
use crate::cli::parse::Report;
use crate::cli::render::{self, StatusFd};
use crate::cli::{resolve, run};
use crate::error::Error;
use crate::outcome::ErrorReport;
use crate::process::Delivery;
use crate::sandbox::{self, Exec, Trouble};
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
        Err(problem) => return render::error(&Error::Invalid(vec![problem]), None, report, None),
    };
    let Some(home) = &request.home else { return render::error(&super::no_home(), None, report, status) };
    let store = resolve::store(home);
    let delivery = Delivery { capture: report.json, fail_step: run::fail_step() };
    match sandbox::exec(&place(home), &request.name, Some(&store), &request.exec, delivery) {
        Ok((outcome, spec)) => render::outcome(&outcome, &spec, report, status),
        Err(trouble) => trouble_of(trouble, report, status),
    }
}

fn trouble_of(trouble: Trouble, report: Report, status: StatusFd) -> i32 {
    let kind = trouble.kind().to_owned();
    let error = trouble.error();
    render::failure(&error);
    let code = error.exit_code();
    let mut outcome = render::failed(&error, None);
    outcome.error = Some(ErrorReport { kind, ..ErrorReport::new(&error) });
    render::deliver(&outcome, report, status, code)
}
