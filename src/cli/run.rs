//! The verbs that run a command: `run`, `code` and `exec`. The exit code is the command's, and a result object may go to a descriptor.

use super::parse::Report;
use super::render::{self, StatusFd};
use super::terminal;
use crate::error::{Error, Problem, describe_io};
use crate::outcome::Outcome;
use crate::spec::Spec;
use crate::sys;
use crate::verbs::code::{self, Code, Coded, Place, makes_no_sandbox};
use crate::verbs::exec::{Exec, Executed};
use crate::verbs::faults::Faults;
use crate::verbs::run::{Ran, Run, carry_out};
use crate::verbs::wish::Request;
use crate::verbs::{Object, Site, Told as _, Verb as _, parameters};
use clap::Args;
use std::ffi::OsString;
use std::fs::File;

/// A verb that runs a command, and where its result goes.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Commanded<V: Args> {
    /// The verb.
    #[command(flatten)]
    pub verb: V,
    /// Where its result goes.
    #[command(flatten)]
    pub report: ReportOptions,
}

/// Where a result goes.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct ReportOptions {
    /// Print the result as one JSON object on stdout, the output in it [default: off]
    #[arg(long, help_heading = crate::verbs::options::IO)]
    pub json: bool,
    /// Write the result without the output to a descriptor, as a number above 2 [default: none]
    #[arg(long, value_name = "N", help_heading = crate::verbs::options::IO, allow_hyphen_values = true)]
    pub status_fd: Option<OsString>,
}

impl ReportOptions {
    /// Where that is.
    ///
    /// # Errors
    ///
    /// The descriptor is no number.
    pub fn read(&self) -> Result<Report, Problem> {
        let mut faults = Faults::default();
        let status_fd = self.status_fd.as_deref().and_then(|word| faults.descriptor(word));
        faults.0.pop().map_or(Ok(Report { json: self.json, status_fd }), Err)
    }
}

/// Does what `act` does with a request, and where the result goes is known and open; the exit code.
///
/// The descriptor is taken over before any other file is opened: a number that names nothing must not come to name one of ours.
pub fn with_report<R>(
    options: &ReportOptions,
    request: Result<R, Error>,
    act: impl FnOnce(R, Report, StatusFd) -> i32,
) -> i32 {
    let opened = options.read().and_then(|report| Ok((report, status_fd(report)?)));
    let (report, status) = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            let mut problems = request.err().map(|error| error.problems).unwrap_or_default();
            problems.insert(0, problem);
            let report = Report { json: options.json, status_fd: None };
            return render::error(&Error::misused(problems), None, report, None);
        }
    };
    match request {
        Ok(request) => act(request, report, status),
        Err(error) => render::error(&error, None, report, status),
    }
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

/// `belljar run`; the exit code.
pub fn run(asked: Commanded<Run>) -> i32 {
    let request = asked.verb.request(terminal::ENV);
    with_report(&asked.report, request, fresh)
}

fn fresh(request: Request, report: Report, status: StatusFd) -> i32 {
    terminal::site_of_people(!report.json, |site: &Site<'_>| match carry_out(Ok(request), site) {
        Ok(ran) => told(&ran, report, status),
        Err(unrun) => not_run(*unrun, report, status),
    })
}

fn told(ran: &Ran, report: Report, status: StatusFd) -> i32 {
    match ran {
        Ran::Ran { outcome, spec } => render::outcome(outcome, spec, report, status),
        planned if report.json => render::serialised(&Object::of(planned), 0),
        planned => render::people(&planned.people(), 0),
    }
}

fn not_run((error, spec): (Error, Option<Spec>), report: Report, status: StatusFd) -> i32 {
    render::error(&error, spec.as_ref(), report, status)
}

/// `belljar code`; the exit code.
pub fn code(asked: Commanded<Code>) -> i32 {
    let request = asked.verb.request(terminal::ENV);
    with_report(&asked.report, request, |place, report, status| {
        let in_context = match &place {
            Place::Existing(_) if report.status_fd.is_some() => {
                return render::error(&makes_no_sandbox().into(), None, report, status);
            }
            Place::Existing(there) => there.context.is_some(),
            Place::Fresh(_) | Place::Warm(..) => false,
        };
        terminal::site_of_people(!report.json, |site| match code::carry_out(place, site) {
            Ok(Coded::Ran(ran)) => told(&ran, report, status),
            Ok(job) if report.json => render::serialised(&Object::of(&job), job.code()),
            Ok(job) => job.code(),
            Err(unrun) => {
                let (error, spec) = *unrun;
                let error = parameters::name_fields::<Code>(error);
                match in_context {
                    true => terminal::complain(&error, Code::exit_code(&error), report.json),
                    false => not_run((error, spec), report, status),
                }
            }
        })
    })
}

/// `belljar exec`; the exit code.
pub fn exec(asked: Commanded<Exec>) -> i32 {
    // What is wrong with it is known before anything is opened.
    let request = asked.verb.clone().request(terminal::ENV).map(|_| asked.verb);
    with_report(&asked.report, request, |exec, report, status| {
        terminal::site_of_people(!report.json, |site| match exec.perform(site) {
            Ok(Executed::Ran { outcome, spec }) => ran(&outcome, &spec, report, status),
            Ok(detached) if report.json => render::serialised(&Object::of(&detached), 0),
            Ok(detached) => render::people(&detached.people(), 0),
            Err(error) => render::error(&error, None, report, status),
        })
    })
}

fn ran(outcome: &Outcome, spec: &Spec, report: Report, status: StatusFd) -> i32 {
    render::outcome(outcome, spec, report, status)
}
