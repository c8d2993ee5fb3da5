//! The host: what it can enforce.

mod report;

use super::{Site, Told, Verb, table};
use crate::doctor::{self, Report};
use crate::error::{Error, Kind, describe_io};
use clap::Args;
use serde::{Deserialize, Serialize};

/// Exit code of a host that cannot do what a default `run` needs.
const MISSING: i32 = 1;

table! {
    /// What to ask about the host.
    Host, METHODS, described {
        /// Say what this host can enforce, what is missing and how to get it
        Doctor(Doctor) = "doctor",
    }
}

/// `belljar doctor`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Doctor {
    /// Print an AppArmor profile that allows belljar its user namespace
    #[arg(long, conflicts_with = "json")]
    #[serde(default)]
    pub apparmor_profile: bool,
}

/// What was found out.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Examined {
    /// What the host can do.
    Report(Box<Report>),
    /// What it is to be told, so that it can.
    Profile {
        /// An AppArmor profile for this very program.
        apparmor_profile: String,
    },
}

impl Verb for Doctor {
    type Told = Examined;

    fn run(self, _: &Site<'_>) -> Result<Examined, Error> {
        if !self.apparmor_profile {
            return Ok(Examined::Report(Box::new(doctor::examine())));
        }
        let profile = std::env::current_exe()
            .map_err(|error| format!("cannot tell where belljar is: {}", describe_io(&error)))
            .and_then(|path| doctor::apparmor_profile(&path));
        let apparmor_profile = profile.map_err(|why| Error::new(Kind::Failed, why))?;
        Ok(Examined::Profile { apparmor_profile })
    }
}

impl Told for Examined {
    fn people(&self) -> String {
        match self {
            Examined::Report(report) => report::lines(report, false),
            Examined::Profile { apparmor_profile } => apparmor_profile.clone(),
        }
    }

    fn coloured(&self) -> Option<String> {
        match self {
            Examined::Report(report) => Some(report::lines(report, true)),
            Examined::Profile { .. } => None,
        }
    }

    fn code(&self) -> i32 {
        match self {
            Examined::Report(report) if !report.ok => MISSING,
            Examined::Report(_) | Examined::Profile { .. } => 0,
        }
    }
}
