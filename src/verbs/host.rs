//! `doctor` and `schema`.

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
        /// Print the JSON Schema of results, of spec files or of what doctor tells, or the methods of rpc
        Schema(Schema) = "schema",
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

/// `belljar schema`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Schema {
    /// Which schema to print
    #[arg(value_enum, default_value_t)]
    #[serde(default)]
    pub of: Which,
}

/// Which schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Of the result of a run.
    #[default]
    Result,
    /// Of spec files.
    Spec,
    /// Of the report of `doctor`.
    Doctor,
    /// Of the methods of `rpc`, in the form of OpenRPC.
    Rpc,
}

impl Which {
    /// The committed schema, which a test makes from the types.
    fn text(self) -> &'static str {
        match self {
            Which::Result => include_str!("../../docs/schema.json"),
            Which::Spec => include_str!("../../docs/spec.schema.json"),
            Which::Doctor => include_str!("../../docs/doctor.schema.json"),
            Which::Rpc => include_str!("../../docs/rpc.json"),
        }
    }
}

/// A schema.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Printed {
    /// JSON Schema, or an OpenRPC document.
    schema: serde_json::Value,
    #[serde(skip)]
    text: &'static str,
}

impl Verb for Schema {
    type Told = Printed;

    fn run(self, _: &Site<'_>) -> Result<Printed, Error> {
        let text = self.of.text();
        let schema = serde_json::from_str(text).map_err(|error| Error::new(Kind::Failed, error.to_string()))?;
        Ok(Printed { schema, text })
    }
}

impl Told for Printed {
    fn people(&self) -> String {
        self.text.to_owned()
    }
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
