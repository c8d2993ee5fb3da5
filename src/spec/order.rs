//! An order: a wish, and what belljar adds to carry it out.
//!
//! [`Spec`] is what people write, on the command line and in files, and nothing else. What no field of a spec file says stands here:
//! what a bundle brings, how a sandbox outlives its command, what our own work takes, and which terminal the caller sits at.
//! Everything from `process` down that needs any of it takes the order; what needs the wish only takes the wish.
//!
//! A sandbox that waits for commands is a wish ([`Program::Nothing`]: `create` without a command, and an exported file
//! says it too). That our own program runs in the place of what the wish names is not.

use super::{Bundle, Code, Language, Program, Spec};
use crate::own::Own;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// One sandbox as it is to be made. Written down for a persistent sandbox as one object, the fields of the wish among its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The wish.
    #[serde(flatten)]
    pub spec: Spec,
    /// The root file system of a bundle, in the place of an image.
    #[serde(skip)]
    pub bundle: Option<Bundle>,
    /// How the sandbox outlives its command. `None`: it does not.
    #[serde(default)]
    pub lasting: Option<Lasting>,
    /// What the sandbox is a template for. `None`: for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
    /// What the payload may do that a sandbox's may not.
    #[serde(skip)]
    pub privileges: Privileges,
    /// Value of `TERM` inside; the adapter copies it from the caller's terminal.
    #[serde(default)]
    pub term: Option<String>,
    /// belljar's own binary in this role, from a sealed copy in memory, in the place of the wish's program: what our own tools do
    /// inside, they do with all that restricts a command.
    #[serde(skip)]
    pub own: Option<Own>,
}

/// What a sandbox that others join has beyond one that is destroyed with its command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// The directory with `upper` and `work` in which its files are kept. `None`: they are in memory, and go with it.
    pub kept: Option<PathBuf>,
    /// Of a command that joins: it is another user than the sandbox was made for, and nothing there is that user's.
    #[serde(default)]
    pub guest: bool,
}

/// A template: its command is an interpreter that has done what every run begins with. A Python is copied into a sandbox for each; a Node has
/// another one executed there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    /// Of which language; of a shell there is none.
    #[serde(default)]
    pub language: Language,
    /// The code that it has run.
    pub preload: String,
    /// How many copies wait.
    pub ready: u32,
    /// How long the preload may take. `None`: any time.
    #[serde(default)]
    pub patience: Option<Duration>,
}

/// What belljar's own work takes beyond what a sandbox is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Privileges {
    /// Nothing.
    #[default]
    None,
    /// To install a distribution's packages as user 0: it may chroot(2), no file mode stops it at the caller's own files, and changes
    /// of owners and identities, of which there is one, seem to succeed.
    Build {
        /// The directory inside that becomes a root; the sandbox's devices and its `/proc` are shown there too.
        root: PathBuf,
    },
}

/// What runs in the sandbox of an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Runs<'a> {
    /// See [`Program::Command`].
    Command(&'a [OsString]),
    /// See [`Program::Code`].
    Code(&'a Code),
    /// See [`Program::Nothing`].
    Nothing,
    /// See [`Order::own`].
    Own(&'a Own),
}

impl From<Spec> for Order {
    fn from(spec: Spec) -> Order {
        Order { spec, ..Order::default() }
    }
}

impl Order {
    /// What runs. Nobody who carries an order out asks the wish.
    pub fn runs(&self) -> Runs<'_> {
        match (&self.own, &self.spec.program) {
            (Some(own), _) => Runs::Own(own),
            (None, Program::Command(words)) => Runs::Command(words),
            (None, Program::Code(code)) => Runs::Code(code),
            (None, Program::Nothing) => Runs::Nothing,
        }
    }

    /// Whether the writable layer lies on a disk, where nobody limits it but we.
    pub fn keeps_files(&self) -> bool {
        self.lasting.as_ref().is_some_and(|lasting| lasting.kept.is_some())
    }

    /// Whether the writable layer is in memory, and handed to those who need it.
    pub fn hands_layer(&self) -> bool {
        self.lasting.as_ref().is_some_and(|lasting| lasting.kept.is_none())
    }

    /// Whether nobody has made anything for the user of a command that joins.
    pub fn is_guest(&self) -> bool {
        self.lasting.as_ref().is_some_and(|lasting| lasting.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Seccomp, User};
    use std::time::Duration;

    #[test]
    fn an_order_is_written_down_as_one_object_and_read_back() {
        let spec = Spec {
            program: Program::Nothing,
            memory: u64::MAX,
            timeout: Some(Duration::from_millis(1500)),
            env: vec![("A".into(), "é".into())],
            user: Some(User { uid: 1, gid: 2 }),
            seccomp: Seccomp::Custom { path: "/p".into(), json: vec![0, 255] },
            ..Spec::default()
        };
        let lasting = Some(Lasting { kept: Some("/k".into()), guest: false });
        let order = Order { lasting, term: Some("xterm".to_owned()), ..Order::from(spec) };
        let text = serde_json::to_string(&order).expect("text");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("an order"), order);
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("an object");
        let there = ["program", "memory", "lasting", "term", "spec", "own"].map(|name| fields.contains_key(name));
        assert_eq!(there, [true, true, true, true, false, false]);
    }

    #[test]
    fn our_own_program_takes_the_place_of_what_the_wish_names() {
        let waiting = Order::from(Spec { program: Program::Nothing, ..Spec::default() });
        assert_eq!(waiting.runs(), Runs::Nothing);
        let tools = Own::Tools { room: None };
        assert_eq!(Order { own: Some(tools.clone()), ..waiting }.runs(), Runs::Own(&tools));
    }

    #[test]
    fn what_an_order_does_not_say_is_the_default() {
        assert_eq!(serde_json::from_str::<Order>("{}").expect("an order"), Order::default());
    }
}
