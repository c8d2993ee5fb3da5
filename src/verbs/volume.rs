//! `volume`: directories that several sandboxes share.

use super::text::{heading, size, table, time};
use super::words::{Text, some};
use super::{Site, Told, Verb, table};
use crate::error::Error;
use crate::sandbox::Volumes;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::time::UNIX_EPOCH;

table! {
    /// What to do with volumes.
    Volume, METHODS, described {
        /// Make an empty volume
        Create(Create) = "volume.create",
        /// List volumes, what they take on the disk, and who has them
        Ls(Ls) = "volume.ls",
        /// Remove volumes and their files
        Rm(Rm) = "volume.rm",
    }
}

/// `belljar volume create`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Create {
    /// What to call it
    #[arg(value_name = "NAME")]
    name: Text,
}

/// A volume that was made.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "VolumeCreated"))]
pub struct Created {
    /// Its name.
    name: String,
}

impl Verb for Create {
    type Told = Created;

    fn run(self, site: &Site<'_>) -> Result<Created, Error> {
        Volumes::new(site.home()?).create(&self.name)?;
        Ok(Created { name: self.name.0 })
    }
}

impl Told for Created {
    fn people(&self) -> String {
        format!("{}\n", self.name)
    }
}

/// `belljar volume ls`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ls {}

/// A volume.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "OneVolume"))]
pub struct One {
    /// Its name.
    name: String,
    /// Where its files are on the host.
    path: String,
    /// What its files take on the disk.
    bytes: u64,
    /// When it was made, as RFC 3339 has it; null where the file system does not say.
    created: Option<String>,
    /// Names of sandboxes that have it.
    sandboxes: Vec<String>,
}

/// The volumes that there are.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Volumes"))]
pub struct All {
    /// By their names.
    volumes: Vec<One>,
}

impl Verb for Ls {
    type Told = All;

    fn run(self, site: &Site<'_>) -> Result<All, Error> {
        let found = Volumes::new(site.home()?).list(&site.sandboxes()?)?;
        let one = |volume: crate::sandbox::Volume| One {
            path: volume.path.to_string_lossy().into_owned(),
            bytes: volume.bytes,
            created: volume.created.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| time(at.as_secs())),
            sandboxes: volume.sandboxes,
            name: volume.name,
        };
        Ok(All { volumes: found.into_iter().map(one).collect() })
    }
}

impl Told for All {
    fn people(&self) -> String {
        if self.volumes.is_empty() {
            return "no volumes; `belljar volume create` makes one\n".to_owned();
        }
        let mut rows = vec![heading(["NAME", "SIZE", "CREATED", "SANDBOXES"])];
        rows.extend(self.volumes.iter().map(|volume| {
            let users = if volume.sandboxes.is_empty() { "-".to_owned() } else { volume.sandboxes.join(" ") };
            let created = volume.created.clone().unwrap_or_else(|| "-".to_owned());
            vec![volume.name.clone(), size(volume.bytes), created, users]
        }));
        table(&rows)
    }
}

/// `belljar volume rm`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rm {
    /// Which
    #[arg(value_name = "NAME", required = true)]
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::OneOrSome<Text>"))]
    name: Vec<Text>,
}

/// What became of each volume that was named.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "VolumesRemoved"))]
pub struct Removed {
    /// Those that are gone, in the order in which they were asked for.
    removed: Vec<String>,
    /// Those that are not; where one alone was asked for, that is an error.
    failed: Vec<NotRemoved>,
}

/// A volume that was not removed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "VolumeNotRemoved"))]
pub struct NotRemoved {
    /// As it was asked for.
    name: String,
    /// Why.
    error: Error,
}

impl Verb for Rm {
    type Told = Removed;

    fn run(self, site: &Site<'_>) -> Result<Removed, Error> {
        let (volumes, sandboxes) = (Volumes::new(site.home()?), site.sandboxes()?);
        let several = self.name.len() > 1;
        let (mut removed, mut failed) = (Vec::new(), Vec::new());
        for Text(name) in self.name {
            match volumes.remove(&name, &sandboxes) {
                Ok(()) => removed.push(name),
                // The rest is removed all the same.
                Err(error) if several => {
                    (site.complain)(&error);
                    failed.push(NotRemoved { name, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Removed { removed, failed })
    }
}

impl Told for Removed {
    fn people(&self) -> String {
        self.removed.iter().map(|name| format!("{name}\n")).collect()
    }

    fn code(&self) -> i32 {
        self.failed.last().map_or(0, |failed| super::exit_code(&failed.error))
    }
}
