//! Warm templates: a persistent sandbox whose command is an interpreter that has done what every run begins with, and that is copied into
//! a sandbox of its own for each run.
//!
//! ```text
//! supervisor   of the template, as of any sandbox; starts the maker, and brings callers to it
//! maker        makes spares inside of the template's namespaces of users and of pids, has the interpreter copied into each, keeps
//!              copies ready, and hands them over
//! interpreter  the template's command: executes what it is told by the maker, and runs no run's code
//! caller       supervises what it was handed, as it would any run
//! ```

pub mod caller;
pub mod copy;
pub mod maker;
pub mod message;

use super::{Entry, Sandboxes};
use crate::error::{Error, Kind, Problem};
use crate::spec::{Order, Warm};

pub use caller::{Piece, run};
pub use maker::make_spares;
pub use message::WarmStats;

/// The template that `word` names, its order, and what it is a template for. `field` is where the word was given.
///
/// # Errors
///
/// `NotFound`; `Misused`, where it is a sandbox and no template.
pub fn template(sandboxes: &Sandboxes, word: &str, field: &str) -> Result<(Entry, Order, Warm), Error> {
    const LIST: &str = "`belljar warm ls` lists those that there are";
    let entry = sandboxes.find(word).map_err(|error| match error.kind {
        Kind::NotFound => {
            let problem = Problem::new(field, format!("no warm template `{}`", word.escape_debug()));
            Error::of(Kind::NotFound, vec![problem.hint(LIST)])
        }
        _ => error,
    })?;
    let order = entry.order()?;
    match order.warm.clone() {
        Some(template) => Ok((entry, order, template)),
        None => {
            let problem = Problem::new(field, format!("`{}` is no warm template", entry.name()));
            Err(Error::misused(vec![problem.hint(LIST)]))
        }
    }
}
