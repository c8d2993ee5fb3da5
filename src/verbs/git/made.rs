//! `create --git`: a repository that a new sandbox is made with.

use super::cloning::{CloneOwn, Cloned};
use super::reach::{Opened, Reach};
use super::transfer::open;
use crate::error::{Error, Problem};
use crate::git::Address;
use crate::sandbox::{self, Entry};
use crate::spec::network::Policy;
use crate::spec::{self, Network, Spec};
use crate::verbs::Site;
use crate::verbs::faults::Faults;
use crate::verbs::words::{Text, Word};
use clap::Args;
use serde::Deserialize;

/// What `create` takes of it.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FromGit {
    /// Clone this repository into it, and check out a branch, tag or commit of it [default: none]
    ///
    /// Its host may be reached for that and no longer, whatever `--net` says. A sandbox whose repository cannot be cloned is removed.
    #[arg(long, value_name = "URL[#REF]")]
    pub git: Option<Word>,
    /// Where the repository goes [default: the last part of its address, in the working directory]
    #[arg(long, value_name = "DIR", requires = "git")]
    pub git_dir: Option<Word>,
}

/// A repository that is to be cloned.
pub struct Wanted {
    own: CloneOwn,
    address: Address,
    opened: Opened,
}

/// Hexadecimal digits of a whole hash.
const HASHES: [usize; 2] = [40, 64];

impl FromGit {
    /// The clone that is asked for.
    fn own(&self) -> Result<Option<CloneOwn>, Error> {
        let Some(word) = &self.git else {
            let problem = Problem::new("git", "is missing").hint("say which repository goes there");
            return if self.git_dir.is_some() { Err(Error::misused(vec![problem])) } else { Ok(None) };
        };
        let mut faults = Faults::default();
        let text = faults.text("git", word.0.clone()).unwrap_or_default();
        faults.none()?;
        let (url, name) = text.split_once('#').map_or((text.as_str(), None), |(url, name)| (url, Some(name)));
        let is_hash = |name: &&str| HASHES.contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let own = CloneOwn {
            sandbox: Text::default(),
            url: url.into(),
            path: self.git_dir.clone(),
            branch: name.filter(|name| !is_hash(name)).map(Word::from),
            commit: name.filter(is_hash).map(Word::from),
            depth: None,
            submodules: false,
            timeout: None,
        };
        let names = [("url", "git"), ("branch", "git"), ("commit", "git"), ("path", "git_dir")];
        let renamed = |error: Error| names.iter().fold(error, |error, (from, to)| error.rename_field(from, to));
        own.check().map_err(renamed)?;
        Ok(Some(own))
    }

    /// What is wrong with it; `has_command`: whether the sandbox has a command of its own.
    pub fn check(&self, reach: &Reach, has_command: bool) -> Result<(), Error> {
        reach.check()?;
        if self.own()?.is_some() && has_command {
            // It would run before the repository is there, and with its host in reach.
            let problem = Problem::new("git", "does not go with a command of the sandbox's own");
            return Err(Error::misused(vec![
                problem.hint("leave the command out, and start it with `belljar exec --detach`"),
            ]));
        }
        Ok(())
    }

    /// Reads what was given for the clone.
    pub fn open(&self, reach: &Reach, site: &Site<'_>) -> Result<Option<Wanted>, Error> {
        let Some(own) = self.own()? else { return Ok(None) };
        let (address, _) = own.check()?;
        let opened = open(reach, site, &address)?;
        Ok(Some(Wanted { own, address, opened }))
    }
}

impl Wanted {
    /// What the sandbox may reach while it is cloned into, where that is more than it may reach anyhow. A sandbox without a network gets one
    /// that leads nowhere, since none can be added later.
    pub fn lent(&self, spec: &mut Spec) -> Result<Option<Policy>, Error> {
        let Some(target) = self.address.target() else { return Ok(None) };
        let rules = spec::parse_target(&target).map_err(|error| Problem::new("git", error.message))?;
        if spec.net == Network::None {
            spec.net = Network::Only;
        }
        Ok(spec.policy().map(|mut policy| {
            policy.allow.extend(rules);
            policy
        }))
    }

    /// Clones into the sandbox. Where that fails, or somebody ends it, the sandbox does not stay.
    pub fn bring(mut self, site: &Site<'_>, entry: Entry, lent: Option<Policy>) -> Result<Cloned, Error> {
        self.own.sandbox = Text(entry.id.clone());
        let filling = sandbox::fill(entry, lent)?;
        let cloned = self.own.run(site, &self.opened)?;
        filling.done()?;
        Ok(cloned)
    }
}
