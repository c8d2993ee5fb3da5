//! Collects everything that is wrong with a request while its words are read.

use crate::error::{Error, Kind, Problem};
use crate::spec::{self, UnitError, WordError};
use std::ffi::{OsStr, OsString};

/// The caller's environment, by name.
pub type Env<'e> = &'e dyn Fn(&str) -> Option<OsString>;

/// Everything wrong so far.
#[derive(Default)]
pub struct Faults(pub Vec<Problem>);

impl Faults {
    /// What was read, or why it cannot be.
    pub fn keep<T>(&mut self, field: &str, read: Result<T, WordError>) -> Option<T> {
        let fault = |error: WordError| Problem { hint: error.hint, ..Problem::new(field, error.message) };
        read.map_err(|error| self.0.push(fault(error))).ok()
    }

    /// A word that `read` knows.
    pub fn word<T>(&mut self, field: &str, word: &str, read: impl Fn(&str) -> Result<T, WordError>) -> Option<T> {
        self.keep(field, read(word))
    }

    /// Text.
    pub fn text(&mut self, field: &str, word: OsString) -> Option<String> {
        let fault = |word: OsString| Problem::new(field, format!("`{}` is not UTF-8", word.display()));
        word.into_string().map_err(|word| self.0.push(fault(word))).ok()
    }

    /// A text that was read has something in it.
    pub fn not_empty(&mut self, field: &str, text: Option<&str>) {
        if text == Some("") {
            self.0.push(Problem::new(field, "is empty"));
        }
    }

    /// A number with a unit.
    pub fn unit<T>(
        &mut self,
        field: &str,
        word: impl AsRef<OsStr>,
        read: impl Fn(&str) -> Result<T, UnitError>,
    ) -> Option<T> {
        let fault = |error: UnitError| Problem::new(field, error.to_string()).hint(error.right);
        read(&word.as_ref().to_string_lossy()).map_err(|error| self.0.push(fault(error))).ok()
    }

    /// The place of a cgroup.
    pub fn cgroup(&mut self, word: &OsStr) -> Option<spec::CgroupParent> {
        self.keep("cgroup_parent", spec::parse_cgroup_parent(word))
    }

    /// `K=V`, or `K` for the caller's own.
    pub fn variable(&mut self, word: OsString, env: Env<'_>) -> Option<(OsString, OsString)> {
        if let Some(variable) = spec::split_variable(&word) {
            return Some(variable);
        }
        // A variable that is not set is not the same as an empty one; a program may rest on the difference.
        let value = word.to_str().filter(|name| !name.is_empty() && !name.contains('\0')).and_then(env);
        if value.is_none() {
            let problem =
                Problem::new("env", format!("`{}` is not set here, so there is nothing to copy", word.display()));
            self.0.push(problem.hint("write `--env NAME=VALUE` to set it"));
        }
        Some((word, value?))
    }

    /// A descriptor that a result may be written to.
    pub fn descriptor(&mut self, word: &OsStr) -> Option<i32> {
        let number = word.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|text| text.parse().ok()).filter(|number| *number > 2);
        if number.is_none() {
            let problem = Problem::new("status_fd", format!("`{}` is no number above 2", word.display()));
            self.0.push(problem.hint("open a descriptor for it, as in `--status-fd 3 3>status.json`"));
        }
        number
    }

    /// A label, `K=V`.
    pub fn label(&mut self, word: &OsStr) -> Option<(String, String)> {
        let shown = word.to_string_lossy();
        if shown.chars().any(char::is_control) {
            // Printed as it is, one would look like two.
            let problem = Problem::new("label", format!("`{}` has control characters in it", shown.escape_debug()));
            self.0.push(problem.hint("a label is one line of text"));
            return None;
        }
        let split = word.to_str().and_then(|text| text.split_once('=')).filter(|(key, _)| !key.is_empty());
        if split.is_none() {
            let problem = Problem::new("label", format!("`{}` is not a label", shown.escape_debug()));
            self.0.push(problem.hint("write `KEY=VALUE`"));
        }
        split.map(|(key, value)| (key.to_owned(), value.to_owned()))
    }

    /// Nothing is wrong.
    ///
    /// # Errors
    ///
    /// `misused`, with all of it.
    pub fn none(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::misused(self.0)) }
    }
}

/// What is wrong with each parameter that was read.
pub fn problems_of<T>(read: Result<T, Error>) -> Vec<Problem> {
    read.err().map(|error| error.problems).unwrap_or_default()
}

/// Both, or all that is wrong with both.
///
/// # Errors
///
/// Those of both as one.
pub fn both<A, B>(first: Result<A, Error>, second: Result<B, Error>) -> Result<(A, B), Error> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(first), Err(second)) => Err(join(first, second)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}

/// All, or all that is wrong with any of them.
///
/// # Errors
///
/// Theirs as one.
pub fn all<T>(tried: impl IntoIterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let mut all = Ok(Vec::new());
    for one in tried {
        all = both(all, one).map(|(mut all, one)| {
            all.push(one);
            all
        });
    }
    all
}

/// Two errors as one: of what they have in common, or of a request that has something wrong with it.
fn join(mut first: Error, second: Error) -> Error {
    // What is wrong with no field stands alone.
    if first.problems.is_empty() {
        return first;
    }
    if second.problems.is_empty() {
        return second;
    }
    let kind = match (first.kind, second.kind) {
        (one, other) if one == other => one,
        (Kind::Misused, _) | (_, Kind::Misused) => Kind::Misused,
        _ => Kind::Invalid,
    };
    let new = second.problems.into_iter().filter(|problem| !first.problems.contains(problem)).collect::<Vec<_>>();
    first.problems.extend(new);
    Error::of(kind, first.problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_one_error_of_a_kind_that_fits_all_of_it() {
        let of = |kind, field| Err::<u8, _>(Error::of(kind, vec![Problem::new(field, "is wrong")]));
        let missing = || of(Kind::NotFound, "image");
        assert_eq!(both(Ok(1), Ok(2)), Ok((1, 2)));
        assert_eq!(all([Ok(1), Ok(2)]), Ok(vec![1, 2]));
        assert_eq!(both(Ok(1), missing()), missing().map(|one| (one, one)));
        let joined = all([missing(), Ok(1), missing(), of(Kind::NotFound, "other")]).unwrap_err();
        assert_eq!((joined.kind, joined.to_string().as_str()), (Kind::NotFound, "image: is wrong; other: is wrong"));
        assert_eq!(both(missing(), of(Kind::Misused, "name")).unwrap_err().kind, Kind::Misused);
        assert_eq!(both(missing(), of(Kind::Ambiguous, "name")).unwrap_err().kind, Kind::Invalid);
        let refused = || Err::<u8, _>(Error::setup("read it", libc::EIO));
        assert_eq!(all([missing(), refused(), missing()]), refused().map(|one| vec![one]));
    }
}
