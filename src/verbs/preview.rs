//! A port of the host that leads into a sandbox, for as long as somebody looks.

use super::faults::Faults;
use super::words::{Text, Word, number};
use super::{Site, Told, Verb};
use crate::error::{Error, Problem};
use crate::outcome::Published;
use crate::sandbox;
use crate::spec::{self, Publish};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `belljar preview`.
#[derive(Clone, Debug, PartialEq, Args, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[command(
    after_help = "Prints an address for the browser, and stays until Ctrl-C or the end of the sandbox. The sandbox is not idle meanwhile. With \
--json the object is the first line; in `rpc` take `stream`, or name the port."
)]
pub struct Preview {
    /// The sandbox, by its name or the beginning of its id
    #[arg(value_name = "NAME")]
    name: Text,
    /// The TCP port inside
    #[arg(value_name = "PORT")]
    #[serde(deserialize_with = "number")]
    #[cfg_attr(test, schemars(with = "crate::verbs::words::Count"))]
    port: u16,
    /// Where to open it, as ADDR:PORT or PORT [default: any free port of 127.0.0.1]
    ///
    /// An address that is no loopback opens the sandbox's port to other machines too.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Word>,
}

/// Where it is open.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Previewed {
    /// The same as the address of a web page.
    url: String,
    /// The host's address.
    address: IpAddr,
    /// The host's port.
    port: u16,
    /// The port inside.
    to: u16,
}

impl Previewed {
    fn of(published: &Published) -> Previewed {
        let Published { address, port, to, .. } = *published;
        // What listens at every address is reached at the loopback.
        let shown = match address {
            IpAddr::V4(all) if all.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(all) if all.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            address => address,
        };
        Previewed { url: format!("http://{}/", SocketAddr::new(shown, port)), address, port, to }
    }
}

/// A port that is open, and what is told of it.
pub struct Opened {
    /// Told at once.
    pub told: Previewed,
    preview: sandbox::Preview,
}

impl Preview {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// The sandbox does not run, or the port cannot be had.
    pub fn open(self, site: &Site<'_>) -> Result<Opened, Error> {
        let mut faults = Faults::default();
        if self.port == 0 {
            faults.0.push(Problem::new("port", "0 is no port of a sandbox").hint("`belljar port ls NAME` lists them"));
        }
        let place = match &self.listen {
            None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            Some(word) => faults.word("listen", &word.to_string_lossy(), spec::parse_listen),
        };
        faults.none()?;
        let place = place.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let publish = Publish { address: place.ip(), host: place.port(), inside: self.port };
        let preview = sandbox::preview(&site.sandboxes()?, &self.name, publish)?;
        let published = preview.published();
        let told = Previewed::of(&published);
        Ok(Opened { told, preview })
    }
}

impl Opened {
    /// Stays until the sandbox ends.
    ///
    /// # Errors
    ///
    /// The port was closed before that.
    pub fn wait(self, site: &Site<'_>) -> Result<(), Error> {
        let end = self.preview.wait()?;
        (site.say)(&end);
        Ok(())
    }
}

impl Verb for Preview {
    type Told = Previewed;

    fn run(self, site: &Site<'_>) -> Result<Previewed, Error> {
        let opened = self.open(site)?;
        let told = opened.told.clone();
        if let Some(live) = site.live {
            let mut out = live();
            out.write_all(told.people().as_bytes()).and_then(|()| out.flush()).map_err(|error| Error::of_io(&error))?;
        }
        opened.wait(site)?;
        Ok(told)
    }
}

impl Told for Previewed {
    fn people(&self) -> String {
        format!("{}\n", self.url)
    }
}
