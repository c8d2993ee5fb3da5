//! The front door: every verb once, typed, for every adapter.
//!
//! A verb is a struct, which is the arguments of the command line and the parameters of JSON at once; a result, which is an object
//! with a schema and lines for people; and one function from the one to the other. An adapter reads the struct in its way and
//! tells the result in its way, and decides nothing. A file here is a noun: a verb is added by a struct, a result, `run`, and a
//! line in the noun's table, which makes it a command and a method of `rpc` (docs/rpc.json has the schemas of all).
//!
//! A verb prints nothing. What it has to say on its way it says to its [`Site`], whose owner decides who hears it.

pub mod bundle;
pub mod code;
pub mod create;
pub mod exec;
pub mod faults;
pub mod files;
pub mod git;
pub mod host;
pub mod image;
pub mod lsp;
pub mod net;
pub mod options;
pub mod parameters;
pub mod port;
pub mod preview;
pub mod pty;
pub mod published;
pub mod resolve;
pub mod run;
pub mod sandbox;
pub mod session;
pub mod text;
pub mod volume;
pub mod warm;
pub mod wish;
pub mod words;

use crate::error::{Error, Kind, Problem};
use crate::images::Store;
use crate::process::{self, Delivery};
use crate::sandbox::{Ready as Waiting, Sandboxes};
use crate::trees::progress::Progress;
use clap::Args;
use faults::Env;
use parameters::Take;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

/// What can be asked for.
pub trait Verb: Take {
    /// What comes of it.
    type Told: Told;

    /// Whether it runs a command, whose exit code is its own: then ours are 125, 126 and 127.
    const RUNS_A_COMMAND: bool = false;

    /// Does it.
    ///
    /// # Errors
    ///
    /// What could not be done; of a request that cannot be understood everything that is wrong with it.
    fn run(self, site: &Site<'_>) -> Result<Self::Told, Error>;

    /// What is wrong with its values, as far as that shows without a look at anything: said together with what else is wrong with
    /// its parameters. [`Verb::run`] says it by itself.
    fn faults(self, env: Env<'_>) -> Vec<Problem> {
        let _ = env;
        Vec::new()
    }

    /// Does it, as adapters ask for it: an error names the parameters as this verb has them.
    ///
    /// # Errors
    ///
    /// As [`Verb::run`].
    fn perform(self, site: &Site<'_>) -> Result<Self::Told, Error> {
        self.run(site).map_err(parameters::name_fields::<Self>)
    }

    /// The exit code where that could not be done.
    fn exit_code(error: &Error) -> i32 {
        if Self::RUNS_A_COMMAND { error.exit_code() } else { exit_code(error) }
    }
}

/// What comes of a verb.
pub trait Told: Serialize {
    /// Lines for people, each with its end.
    fn people(&self) -> String;

    /// The exit code: 0, unless a part could not be done or the verb says how something else has ended.
    fn code(&self) -> i32 {
        0
    }

    /// The same for people whose terminal shows colour, where there is any.
    fn coloured(&self) -> Option<String> {
        None
    }

    /// Whether people get the object too.
    const IS_OBJECT: bool = false;

    /// Whether the object says its version by itself.
    const HAS_VERSION: bool = false;
}

/// Makes a writer for what is told as it comes.
pub type Live<'s> = &'s (dyn Fn() -> Box<dyn Write + Send> + Sync);

/// Where a verb is asked for.
pub struct Site<'s> {
    /// Where what belljar keeps lies; none where the environment names no place.
    pub home: Option<PathBuf>,
    /// The caller's environment.
    pub env: Env<'s>,
    /// Takes what is printed, as it comes; without one it goes into the result.
    pub live: Option<Live<'s>>,
    /// The same of standard error, where that is another stream: nobody asks for it without [`Site::live`].
    pub live_error: Live<'s>,
    /// Whether a program reads the result too: what it says is not said on the way then.
    pub is_read: bool,
    /// Hears what is worth a line and is no part of the result, from any thread and to the end of the process.
    pub say: &'static (dyn Fn(&str) + Sync),
    /// Hears why a part could not be done, where the rest goes on.
    pub complain: &'s dyn Fn(&Error),
    /// Sees how far a long task is.
    pub progress: &'s dyn Fn() -> Box<dyn Progress>,
    /// What somebody keeps ready.
    pub ready: Ready<'s>,
}

/// What is made before it is asked for, where somebody keeps some ready.
#[derive(Clone, Copy, Default)]
pub struct Ready<'s> {
    /// Sandboxes that wait to be taken by whoever makes one.
    pub sandboxes: Option<&'s Waiting>,
    /// One that waits for a command.
    pub run: Option<&'s process::Ready>,
}

impl Site<'_> {
    /// Belljar's own directory.
    ///
    /// # Errors
    ///
    /// There is no place for it.
    pub fn home(&self) -> Result<&Path, Error> {
        self.home.as_deref().ok_or_else(no_home)
    }

    /// How what a command writes comes back.
    pub fn delivery(&self) -> Delivery {
        Delivery { capture: self.live.is_none(), fail_step: self.fail_step() }
    }

    /// The step that a test makes fail, in debug builds only.
    #[cfg(debug_assertions)]
    fn fail_step(&self) -> Option<usize> {
        (self.env)("BELLJAR_FAIL_STEP")?.to_str()?.parse().ok()
    }

    /// Nothing fails on purpose in a release build.
    #[cfg(not(debug_assertions))]
    fn fail_step(&self) -> Option<usize> {
        None
    }

    /// The sandboxes there.
    ///
    /// # Errors
    ///
    /// As [`Site::home`].
    pub fn sandboxes(&self) -> Result<Sandboxes, Error> {
        self.home().map(place)
    }

    /// The images there.
    ///
    /// # Errors
    ///
    /// There is no place for them.
    pub fn store(&self) -> Result<Store, Error> {
        let nowhere = || {
            let problem = Problem::new("image", "there is no place for images");
            Error::invalid(vec![problem.hint("set `BELLJAR_HOME`, `XDG_DATA_HOME` or `HOME`")])
        };
        self.home.as_deref().map(store).ok_or_else(nowhere)
    }

    /// Standard output, for bytes that are no part of the result.
    ///
    /// # Errors
    ///
    /// `Invalid`, where the result goes there, or where it is a terminal.
    pub fn raw_output(&self) -> Result<Box<dyn Write + Send>, Error> {
        let refused = |why: &str, hint: &str| Error::invalid(vec![Problem::new("output", why).hint(hint)]);
        let Some(out) = self.live else {
            let hint = "name a file in the place of `-`, go without `--json`, or ask `rpc` with `stream`";
            return Err(refused("the file goes to standard output, where the object would", hint));
        };
        if std::io::stdout().is_terminal() {
            return Err(refused("standard output is a terminal", "name a file, or pipe it into a program"));
        }
        Ok(out())
    }
}

/// The images in belljar's own directory, which may count from the current one.
pub fn store(home: &Path) -> Store {
    // Without a current directory nothing can be found from it either, and the store says so.
    Store::new(&std::path::absolute(home).unwrap_or_else(|_| home.to_owned()))
}

/// The sandboxes in belljar's own directory, which may count from the current one.
pub fn place(home: &Path) -> Sandboxes {
    Sandboxes::new(&std::path::absolute(home).unwrap_or_else(|_| home.to_owned()))
}

/// Nobody says where what belljar keeps lies.
pub fn no_home() -> Error {
    let problem = Problem::new("sandbox", "there is no place for sandboxes");
    Error::invalid(vec![problem.hint("set `BELLJAR_HOME`, `XDG_DATA_HOME` or `HOME`")])
}

/// The exit code of a verb that could not do what was asked: 2 where it is not understood, else 1. Where a command was to run see
/// [`Error::exit_code`].
pub fn exit_code(error: &Error) -> i32 {
    if error.kind == Kind::Misused { 2 } else { 1 }
}

/// A verb on the command line.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Reported<V: Args> {
    /// The verb itself.
    #[command(flatten)]
    pub verb: V,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// An adapter's way to do a verb and to tell what came of it.
pub trait Teller {
    /// Does it and tells; the exit code.
    fn tell<V: Verb + Args>(&self, verb: Reported<V>) -> i32;
}

/// The object of a result: the result itself and the version of its shape.
#[derive(Serialize)]
pub struct Object<'t, T> {
    #[serde(flatten)]
    told: &'t T,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
}

impl<'t, T: Told> Object<'t, T> {
    /// Of what was told.
    pub fn of(told: &'t T) -> Object<'t, T> {
        Object { told, version: (!T::HAS_VERSION).then_some(1) }
    }
}

/// What a method answers: its object, and the exit code that the command line would have.
pub type Answer = Result<(Value, i32), Error>;

/// Looks at the parameters of a method of that name.
type Check = fn(&str, Map<String, Value>, Env<'_>) -> Result<(), Error>;

/// A verb as a method, by name.
pub struct Method {
    /// As it is called, with dots: `fs.ls`.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    call: fn(&str, Map<String, Value>, &Site<'_>) -> Answer,
    check: Check,
    exit_code: fn(&Error) -> i32,
}

impl Method {
    /// That of a verb.
    pub const fn of<V: Verb>(name: &'static str, about: &'static str) -> Method {
        Method {
            name,
            about,
            call: |name, given, site| {
                let told = parameters::read(name, given, |verb: V| verb.faults(site.env))?.perform(site)?;
                let object = serde_json::to_value(Object::of(&told))
                    .map_err(|error| Error::new(Kind::Failed, format!("write the result: {error}")))?;
                Ok((object, told.code()))
            },
            check: |name, given, env| {
                let problems = parameters::read(name, given, |verb: V| verb.faults(env))?.faults(env);
                if problems.is_empty() { Ok(()) } else { Err(Error::misused(problems)) }
            },
            exit_code: V::exit_code,
        }
    }

    /// Does it with these parameters.
    ///
    /// # Errors
    ///
    /// As [`Verb::run`], and parameters that are wrong.
    pub fn call(&self, given: Map<String, Value>, site: &Site<'_>) -> Answer {
        (self.call)(self.name, given, site)
    }

    /// The exit code that the command line would have for this error.
    pub fn exit_code(&self, error: &Error) -> i32 {
        (self.exit_code)(error)
    }

    /// Reads these parameters, and does nothing.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub fn check(&self, given: Map<String, Value>, env: Env<'_>) -> Result<(), Error> {
        (self.check)(self.name, given, env)
    }
}

/// Those that tell of what they do in ways of their own on a terminal.
const COMMANDS: &[Method] = &[
    Method::of::<run::Run>("run", RUN),
    Method::of::<code::Code>("code", CODE),
    Method::of::<exec::Exec>("exec", EXEC),
    Method::of::<preview::Preview>("preview", PREVIEW),
];
/// What `run` does.
pub const RUN: &str = "Run one command in a fresh sandbox that is destroyed afterwards";
/// What `code` does.
pub const CODE: &str = "Run a piece of code in a fresh sandbox that is destroyed afterwards";
/// What `exec` does.
pub const EXEC: &str = "Run a command in a persistent sandbox";
/// What `preview` does.
pub const PREVIEW: &str = "Open a port of this machine that leads to one in a sandbox";

/// All methods, noun by noun.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    let nouns = [
        sandbox::METHODS,
        sandbox::SNAPSHOT_METHODS,
        volume::METHODS,
        warm::METHODS,
        net::METHODS,
        files::COPY_METHODS,
        files::METHODS,
        session::METHODS,
        git::METHODS,
        pty::METHODS,
        lsp::METHODS,
        port::METHODS,
        image::METHODS,
        host::METHODS,
    ];
    COMMANDS.iter().chain(nouns.into_iter().flatten())
}

/// The method of that name.
pub fn method(name: &str) -> Option<&'static Method> {
    methods().find(|method| method.name == name)
}

/// The table of a noun: each line makes a command and a method of a verb.
macro_rules! table {
    ($(#[$meta:meta])* $table:ident, $methods:ident, $described:ident {
        $($(#[doc = $about:literal])+ $command:ident($verb:ty) = $method:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, clap::Subcommand)]
        pub enum $table {
            $($(#[doc = $about])+ $command($crate::verbs::Reported<$verb>),)+
        }

        impl $table {
            /// Does what was asked and tells it; the exit code.
            pub fn tell(self, teller: &impl $crate::verbs::Teller) -> i32 {
                match self {
                    $($table::$command(verb) => teller.tell(verb),)+
                }
            }
        }

        /// The same as methods.
        pub const $methods: &[$crate::verbs::Method] =
            &[$($crate::verbs::Method::of::<$verb>($method, concat!($($about),+)),)+];

        /// The schemas of parameters and results.
        #[cfg(test)]
        pub fn $described(schemas: &mut $crate::verbs::schema::Schemas) {
            $(schemas.add::<$verb, <$verb as $crate::verbs::Verb>::Told>($method, concat!($($about),+));)+
        }
    };
}

use table;

#[cfg(test)]
pub mod schema;
