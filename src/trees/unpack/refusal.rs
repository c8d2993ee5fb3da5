//! Why an archive is not unpacked: the entry, what is wrong with it, and the cure.

use crate::error::{describe, used_up};
use crate::name::escaped;
use nix::errno::Errno;
use std::fmt;
use std::io;

/// Why an archive was not unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry's name, escaped for people; none where the archive as a whole is at fault.
    pub entry: Option<String>,
    /// What is wrong.
    pub why: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// What the kernel answered, if it was the one who refused.
    pub io: Option<i32>,
}

impl Refusal {
    /// A refusal of ours.
    pub(crate) fn new(why: impl Into<String>) -> Refusal {
        Refusal { entry: None, why: why.into(), hint: None, io: None }
    }

    /// A refusal of the kernel's.
    pub(crate) fn kernel(why: impl Into<String>, errno: Errno) -> Refusal {
        let hint = used_up(errno as i32).map(str::to_owned);
        Refusal { entry: None, why: why.into(), hint, io: Some(errno as i32) }
    }

    /// An archive that cannot be read.
    pub(crate) fn unreadable(error: &io::Error) -> Refusal {
        match error.raw_os_error() {
            Some(errno) => Refusal::kernel("cannot read the archive", Errno::from_raw(errno)),
            // What a decoder says stands for itself.
            None if error.kind() == io::ErrorKind::InvalidData => Refusal::new(error.to_string()).again(),
            None => Refusal::new(format!("cannot read the archive: {error}")),
        }
    }

    /// The same with its cure.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    /// The same for an archive that was damaged on its way.
    pub(crate) fn again(self) -> Refusal {
        self.hint("get or make the archive again")
    }

    /// The same about the entry of that name, unless it names one already.
    pub(crate) fn about(mut self, name: &[u8]) -> Refusal {
        self.entry.get_or_insert_with(|| escaped(name));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "entry `{entry}`: ")?;
        }
        f.write_str(&self.why)?;
        match self.io {
            Some(errno) => write!(f, ": {}", describe(errno)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_entry_the_reason_and_the_kernels_answer() {
        let refusal = Refusal::kernel("cannot write it", Errno::ENOSPC).about(b"a/b").about(b"c");
        assert_eq!(refusal.to_string(), "entry `a/b`: cannot write it: No space left on device");
        assert!(refusal.hint.is_some());
        assert_eq!(Refusal::new("the archive is cut off").to_string(), "the archive is cut off");
    }
}
