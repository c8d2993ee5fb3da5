//! Ports of a sandbox.

use super::text::{heading, table as rows};
use super::words::Text;
use super::{Site, Told, Verb, table};
use crate::error::Error;
use crate::sandbox::{self, Ports};
use clap::Args;
use serde::Deserialize;

table! {
    /// What to ask about ports.
    Port, METHODS, described {
        /// List the ports that programs in a sandbox listen on
        Ls(Ls) = "port.ls",
    }
}

/// `belljar port ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PortLs"))]
pub struct Ls {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "SANDBOX")]
    sandbox: Text,
}

impl Verb for Ls {
    type Told = Ports;

    fn run(self, site: &Site<'_>) -> Result<Ports, Error> {
        sandbox::ports(&site.sandboxes()?, &self.sandbox)
    }
}

impl Told for Ports {
    fn people(&self) -> String {
        if self.ports.is_empty() && self.published.is_empty() {
            return "nothing listens\n".to_owned();
        }
        let mut lines = vec![heading(["PROTOCOL", "ADDRESS", "PORT", "PID", "PROGRAM", "PUBLISHED"])];
        let unseen = || "-".to_owned();
        lines.extend(self.ports.iter().map(|port| {
            vec![
                port.protocol.name().to_owned(),
                port.address.to_string(),
                port.port.to_string(),
                port.pid.map_or_else(unseen, |pid| pid.to_string()),
                port.program.as_ref().map_or_else(unseen, ToString::to_string),
                if port.published.is_empty() { unseen() } else { port.published.join(" ") },
            ]
        }));
        let waits = |place: &String| !self.ports.iter().any(|port| port.published.contains(place));
        lines.extend(self.published.iter().filter_map(|one| {
            let place = Some(one.place().to_string()).filter(waits)?;
            let told = if one.lost.is_some() { format!("{place} (lost)") } else { place };
            Some(vec!["tcp".to_owned(), "nothing".to_owned(), one.to.to_string(), unseen(), unseen(), told])
        }));
        rows(&lines)
    }
}
