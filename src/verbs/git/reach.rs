//! How another machine is reached in one call: who one is there, and what is trusted.

use crate::error::{Error, Problem};
use crate::git::Credentials;
use crate::name::Name;
use crate::sys::fd;
use crate::tools::remote::Ssh;
use crate::verbs::faults::{Env, Faults};
use crate::verbs::words::{Text, Word};
use clap::Args;
use serde::Deserialize;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest password, and the longest list of keys, that is read.
const LONGEST: u64 = 64 << 10;

/// A word that is shown to nobody.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Secret(Text);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a verb takes that reaches another machine.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reach {
    /// Who one is on a web server; needs a password
    #[arg(long, value_name = "NAME")]
    pub username: Option<Text>,
    /// Read the password from standard input
    #[arg(long)]
    #[serde(default)]
    pub password_stdin: bool,
    /// Take the password from this variable of the caller's environment
    #[arg(long, value_name = "VARIABLE")]
    pub password_env: Option<Word>,
    /// Read the password from this descriptor
    #[arg(long, value_name = "N")]
    pub password_fd: Option<Word>,
    /// The password itself: only for those who ask by `rpc`, since everybody can read a command line.
    #[arg(skip)]
    #[cfg_attr(test, schemars(with = "Option<Text>"))]
    pub password: Option<Secret>,
    /// The machine that the password is for [default: that of the address, as the sandbox has it]
    ///
    /// The address of a remote is what the settings inside say. With this the call is refused where that leads elsewhere.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub password_for: Option<Text>,
    /// Let the caller's ssh agent (`SSH_AUTH_SOCK`) sign the login of this call, and nothing else
    #[arg(long)]
    #[serde(default)]
    pub ssh_agent: bool,
    /// The keys by which ssh knows machines, as in ~/.ssh/known_hosts [default: those that they show, which are told]
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<Word>,
    /// Believe any certificate
    #[arg(long)]
    #[serde(default)]
    pub insecure_tls: bool,
}

/// Everything that was given, read.
pub struct Opened {
    /// Who one is on a web server.
    pub credentials: Option<Credentials>,
    /// Where the caller's agent listens.
    pub agent: Option<PathBuf>,
    /// How ssh is called; none: as the sandbox is set up.
    pub ssh: Option<Ssh>,
    /// Whether any certificate is believed.
    pub insecure_tls: bool,
}

/// From where the password comes.
enum Source<'a> {
    Stdin,
    Variable(&'a Word),
    Descriptor(i32),
    Given(&'a str),
}

impl Reach {
    /// What is wrong with it, as far as nothing is read.
    pub fn check(&self) -> Result<(), Error> {
        let mut faults = Faults::default();
        let source = self.source(&mut faults);
        let given = self.username.as_ref().is_some_and(|name| !name.is_empty());
        if given && source.is_none() && faults.0.is_empty() {
            let problem = Problem::new("username", "needs a password");
            let hint = "add `--password-env VARIABLE`, or `--password-stdin` and write the password to standard input";
            faults.0.push(problem.hint(hint));
        }
        if self.username.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            faults.0.push(Problem::new("username", "has control characters in it"));
        }
        faults.none()
    }

    fn source(&self, faults: &mut Faults) -> Option<Source<'_>> {
        let descriptor = |word: &Word| word.to_str().and_then(|text| text.parse::<i32>().ok()).filter(|fd| *fd > 2);
        let mut found: Vec<(&str, Source<'_>)> = Vec::new();
        found.extend(self.password_stdin.then_some(("password_stdin", Source::Stdin)));
        found.extend(self.password_env.as_ref().map(|name| ("password_env", Source::Variable(name))));
        found.extend(self.password.as_ref().map(|password| ("password", Source::Given(&password.0))));
        if let Some(word) = &self.password_fd {
            match descriptor(word) {
                Some(number) => found.push(("password_fd", Source::Descriptor(number))),
                None => faults.0.push(
                    Problem::new("password_fd", "is no number above 2")
                        .hint("open a descriptor for it, as in `--password-fd 3 3<FILE`"),
                ),
            }
        }
        let mut found = found.into_iter();
        let first = found.next();
        if let (Some((one, _)), Some((other, _))) = (&first, found.next()) {
            faults
                .0
                .push(Problem::new(other, format!("does not go with `{one}`")).hint("give the password in one way"));
        }
        first.map(|(_, source)| source)
    }

    /// Reads the password and the keys of machines. `user`, `password`: what stands in the address of the call.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn open(&self, env: Env<'_>, user: Option<&str>, password: Option<&str>) -> Result<Opened, Error> {
        self.check()?;
        let mut faults = Faults::default();
        let given = self.source(&mut faults).and_then(|source| read(&source, env, &mut faults));
        let username = self.username.as_ref().map(|name| name.0.clone()).or_else(|| user.map(str::to_owned));
        let password = given.or_else(|| password.map(str::to_owned));
        let credentials = match (username, password) {
            // What stands for a password needs no user on many servers; git asks for one.
            (username, Some(password)) => {
                Some(Credentials { username: username.unwrap_or_else(|| "git".to_owned()), password })
            }
            (_, None) => None,
        };
        let agent = if self.ssh_agent { agent(env, &mut faults) } else { None };
        let known_hosts = self.known_hosts.as_ref().and_then(|file| known_hosts(file, &mut faults));
        faults.none()?;
        let ssh = (self.ssh_agent || known_hosts.is_some()).then_some(Ssh { agent: agent.is_some(), known_hosts });
        Ok(Opened { credentials, agent, ssh, insecure_tls: self.insecure_tls })
    }
}

fn read(source: &Source<'_>, env: Env<'_>, faults: &mut Faults) -> Option<String> {
    let (field, text) = match source {
        Source::Given(password) => ("password", Ok((*password).to_owned())),
        Source::Variable(name) => {
            let value = name.to_str().and_then(env).map(|value| value.into_string().unwrap_or_default());
            ("password_env", value.ok_or_else(|| format!("`{}` is not set here", Name::from(name.0.clone()))))
        }
        Source::Stdin => ("password_stdin", text_of(std::io::stdin().lock())),
        Source::Descriptor(number) => {
            let file = fd::inherited(*number).map(File::from);
            ("password_fd", file.map_err(|error| error.to_string()).and_then(text_of))
        }
    };
    let checked = text.and_then(|text| {
        let password = text.trim_end_matches(['\r', '\n']).to_owned();
        match password {
            password if password.is_empty() => Err("is empty".to_owned()),
            // Git's helpers speak in lines.
            password if password.contains(['\n', '\0']) => Err("has several lines".to_owned()),
            password => Ok(password),
        }
    });
    checked.map_err(|why| faults.0.push(Problem::new(field, why))).ok()
}

fn text_of(from: impl Read) -> Result<String, String> {
    let mut text = String::new();
    from.take(LONGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

fn agent(env: Env<'_>, faults: &mut Faults) -> Option<PathBuf> {
    let socket = env("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    if socket.is_none() {
        let problem = Problem::new("ssh_agent", "there is no agent: `SSH_AUTH_SOCK` is not set here");
        faults.0.push(problem.hint("start one with `eval $(ssh-agent)` and add a key with `ssh-add`"));
    }
    socket
}

fn known_hosts(file: &Word, faults: &mut Faults) -> Option<Name> {
    let path = Path::new(&file.0);
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Ok(_) => Some(Name(bytes)),
        Err(error) => {
            faults.0.extend(Error::of_file("known_hosts", path, &error).problems);
            None
        }
    }
}
