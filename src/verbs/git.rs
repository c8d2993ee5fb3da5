//! `git`: repositories in a sandbox, by the sandbox's own git.
//!
//! Git runs inside and nowhere else, by the way of every other command (`exec`). What it prints comes from a repository that nobody has
//! read: it is taken apart here ([`crate::git`]), and people are shown names without what a terminal acts on.
//!
//! On the command line the sandbox stands before the verb, `belljar git SANDBOX status`; in `rpc` it is a parameter like the others.

mod branch;
mod brought;
mod change;
mod cloning;
mod config;
mod history;
mod line;
mod look;
pub mod made;
mod push;
mod reach;
mod run;
mod stash;
mod transfer;

pub use branch::{Branch, Checkout};
pub use change::{Add, Commit, Init, Reset, Restore};
pub use cloning::{CloneOf, CloneOwn, Cloned};
pub use config::{Config, Remote};
pub use history::{Diff, Log, Show};
pub use look::Status;
pub use push::Push;
pub use reach::Reach;
pub use stash::Stash;
pub use transfer::{Fetch, Pull};

use super::table;
use super::words::{Text, Word};

table! {
    /// What to do with repositories.
    Git, METHODS, described {
        /// Bring a repository in from another machine
        Clone(CloneOf) = "git.clone",
        /// Make a repository
        Init(Init) = "git.init",
        /// Show the branch, how far it is from its upstream, and what differs
        Status(Status) = "git.status",
        /// Stage files
        Add(Add) = "git.add",
        /// Commit what is staged
        Commit(Commit) = "git.commit",
        /// List commits
        Log(Log) = "git.log",
        /// List branches; make, rename or delete one
        Branch(Branch) = "git.branch",
        /// Go to a branch or a commit
        Checkout(Checkout) = "git.checkout",
        /// Show what differs
        Diff(Diff) = "git.diff",
        /// Show a commit and what it changed
        Show(Show) = "git.show",
        /// Bring in what is new on another machine
        Fetch(Fetch) = "git.fetch",
        /// Fetch, and go forward to it
        Pull(Pull) = "git.pull",
        /// Send commits to another machine
        Push(Push) = "git.push",
        /// Move the branch to a commit, or take files out of what is staged
        Reset(Reset) = "git.reset",
        /// Bring files back
        Restore(Restore) = "git.restore",
        /// Put changes aside, list such, and bring them back
        Stash(Stash) = "git.stash",
        /// List remotes; add, change or remove one
        Remote(Remote) = "git.remote",
        /// List, show, change and remove settings
        Config(Config) = "git.config",
    }
}

impl Git {
    /// The same in that sandbox, which stands before the verb on the command line.
    pub fn inside(mut self, sandbox: Text) -> Git {
        let place = match &mut self {
            Git::Clone(asked) => &mut asked.verb.own.sandbox,
            Git::Fetch(asked) => &mut asked.verb.own.sandbox,
            Git::Pull(asked) => &mut asked.verb.own.sandbox,
            Git::Push(asked) => &mut asked.verb.own.sandbox,
            Git::Init(asked) => &mut asked.verb.sandbox,
            Git::Status(asked) => &mut asked.verb.sandbox,
            Git::Add(asked) => &mut asked.verb.sandbox,
            Git::Commit(asked) => &mut asked.verb.sandbox,
            Git::Log(asked) => &mut asked.verb.sandbox,
            Git::Branch(asked) => &mut asked.verb.sandbox,
            Git::Checkout(asked) => &mut asked.verb.sandbox,
            Git::Diff(asked) => &mut asked.verb.sandbox,
            Git::Show(asked) => &mut asked.verb.sandbox,
            Git::Reset(asked) => &mut asked.verb.sandbox,
            Git::Restore(asked) => &mut asked.verb.sandbox,
            Git::Stash(asked) => &mut asked.verb.sandbox,
            Git::Remote(asked) => &mut asked.verb.sandbox,
            Git::Config(asked) => &mut asked.verb.sandbox,
        };
        *place = sandbox;
        self
    }
}

/// Where commands begin.
fn here() -> Word {
    Word::from(".")
}
