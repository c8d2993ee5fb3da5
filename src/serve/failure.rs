//! What is answered where something could not be done: an HTTP status, and a body in the manner of who is asked.

use crate::error::{Error, Kind};
use crate::spec::network::{Target, parse_rule};
use axum::http::StatusCode;

/// A request that was not done.
#[derive(Debug)]
pub struct Failure {
    /// What HTTP says of it.
    pub status: StatusCode,
    /// A word that clients decide by, where one is more exact than the status.
    pub code: Option<&'static str>,
    /// What went wrong, with its cure.
    pub message: String,
}

/// What handlers answer.
pub type Answer<T> = Result<T, Failure>;

impl Failure {
    /// One of this status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Failure {
        Failure { status, code: None, message: message.into() }
    }

    /// The request is wrong.
    pub fn bad(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_FOUND, message)
    }

    /// What is there stands in the way.
    pub fn conflict(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::CONFLICT, message)
    }

    /// Belljar does not do that, and says so.
    pub fn not_here(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// The same with a word for clients.
    pub fn code(mut self, code: &'static str) -> Failure {
        self.code = Some(code);
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = match &error.hint {
            Some(hint) => format!("{error} ({})", hint.replace('\n', "; ")),
            None => error.to_string(),
        };
        Failure::new(status_of(error.kind), message)
    }
}

/// That no rule of what a sandbox is to reach leads to this machine: whoever has the token has sandboxes, and nothing else here.
///
/// # Errors
///
/// One does; which, and of which field.
pub fn not_the_host<'r>(field: &str, rules: impl IntoIterator<Item = &'r str>) -> Answer<()> {
    // What is no rule at all is refused by the verb, in better words.
    let leads = |rule: &&str| parse_rule(rule).is_ok_and(|rules| rules.iter().any(|rule| rule.target == Target::Host));
    match rules.into_iter().find(leads) {
        None => Ok(()),
        Some(rule) => Err(Failure::bad(format!(
            "{field}: `{}` leads to the machine that serves; only its owner opens that, by `belljar net set`",
            rule.escape_debug()
        ))),
    }
}

/// The status of an error of a verb.
fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid
        | Kind::Misused
        | Kind::NotRunning
        | Kind::NotEmpty
        | Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::NotAFile => StatusCode::BAD_REQUEST,
        Kind::NoCommand | Kind::NotExecutable => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Ambiguous | Kind::NameTaken | Kind::Exists | Kind::Running => StatusCode::CONFLICT,
        Kind::Ended | Kind::SessionEnded | Kind::Lost => StatusCode::GONE,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Silent => StatusCode::GATEWAY_TIMEOUT,
        Kind::Broken => StatusCode::BAD_GATEWAY,
        Kind::Host => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
