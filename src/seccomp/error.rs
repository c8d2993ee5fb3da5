//! Why a profile is refused. Each message names the filter, the rule and the field, and says what to write instead.
//!
//! Written out by hand because `build.rs` includes this file and thiserror is no build dependency.

use std::fmt;

use super::profile::MAX_BYTES;
use super::tree::MAX_INSTRUCTIONS;

/// A seccomp profile that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file is larger than any policy needs to be.
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON, not this format, or a rule that contradicts itself. The text ends with line and column.
    Json(String),
    /// There is no filter, or none for this architecture.
    NoFilter,
    /// A filter that is not the last one has no rule, so it decides nothing.
    EmptyFilter {
        /// The filter's name.
        filter: String,
    },
    /// A name that is no system call of this architecture.
    UnknownSyscall {
        /// The filter's name.
        filter: String,
        /// The rule, counted from 1.
        rule: usize,
        /// The name.
        syscall: String,
        /// The architecture.
        arch: String,
        /// Line and column of the name, from 1.
        position: Option<(usize, usize)>,
    },
    /// A rule that can never decide, because another one always does.
    Unreachable {
        /// The filter's name.
        filter: String,
        /// The rule, counted from 1.
        rule: usize,
        /// Its call.
        syscall: String,
        /// The filter of the rule that is in the way.
        by_filter: String,
        /// That rule, counted from 1.
        by_rule: usize,
    },
    /// The program would be longer than the kernel takes.
    TooManyInstructions {
        /// How long it would be.
        instructions: usize,
    },
    /// belljar has no system call table for this architecture.
    UnknownArchitecture(String),
}

impl std::error::Error for ProfileError {}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(f, "the profile has {bytes} bytes, more than the {MAX_BYTES} that are read; shorten it")
            }
            Self::Json(problem) => f.write_str(problem),
            Self::NoFilter => f.write_str("the profile has no filter for this architecture; add one"),
            Self::EmptyFilter { filter } => {
                write!(
                    f,
                    "filter `{filter}`: `filter` is empty and the filter is not the last, so it decides nothing; remove it"
                )
            }
            Self::UnknownSyscall { filter, rule, syscall, arch, position } => {
                write!(f, "filter `{filter}`: rule {rule}: `syscall`: `{syscall}` is no system call of {arch}; ")?;
                write!(f, "correct the name, or move the rule to a filter `NAME@ARCH`")?;
                match position {
                    Some((line, column)) => write!(f, " at line {line} column {column}"),
                    None => Ok(()),
                }
            }
            Self::Unreachable { filter, rule, syscall, by_filter, by_rule } => write!(
                f,
                "filter `{filter}`: rule {rule}: `{syscall}` is decided by rule {by_rule} of filter `{by_filter}` already; remove one of them"
            ),
            Self::TooManyInstructions { instructions } => write!(
                f,
                "the profile needs {instructions} instructions, more than the kernel's {MAX_INSTRUCTIONS}; use fewer rules"
            ),
            Self::UnknownArchitecture(arch) => write!(f, "there is no system call table for {arch}"),
        }
    }
}
