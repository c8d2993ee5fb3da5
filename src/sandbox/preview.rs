//! A port of the host that leads into a sandbox that runs, as long as its caller and the sandbox are there.

use super::call::{Answer, Call, Line};
use super::{Entry, Sandboxes};
use crate::error::{Error, Kind, Problem};
use crate::outcome::Published;
use crate::process::{News, Publisher};
use crate::spec::{Network, Publish};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd as _;

/// A port that is open. It is closed with this value.
pub struct Preview {
    entry: Entry,
    line: Line,
    publisher: Publisher,
}

/// Opens a port as `publish` says. The caller has one thread, and the port is gone with its process.
///
/// # Errors
///
/// `NotRunning`, and `Invalid`, where the port cannot be had.
pub fn preview(sandboxes: &Sandboxes, word: &str, publish: Publish) -> Result<Preview, Error> {
    let entry = sandboxes.find(word)?;
    if entry.spec()?.net == Network::Host {
        let message = format!("the ports of `{}` are the host's already", entry.name());
        let problem =
            Problem::new("sandbox", message).hint(format!("it has `--net host`: go to port {}", publish.inside));
        return Err(Error::invalid(vec![problem]));
    }
    let line = Line::to(&entry)?;
    let (_, places) = line.ask(&entry, &Call::Network)?;
    let [users, network] = &places[..] else { return Err(entry.ended()) };
    let mut publisher = Publisher::start("listen", &[publish])?;
    publisher
        .hand_over(users.as_fd(), network.as_fd())
        .map_err(|errno| Error::setup("hand the sandbox's network to the publisher", errno))?;
    let mut preview = Preview { entry, line, publisher };
    while !preview.publisher.has_served() {
        if let Some(end) = preview.turn()? {
            return Err(end);
        }
    }
    Ok(preview)
}

impl Preview {
    /// Where it is.
    pub fn published(&self) -> Published {
        // One was asked for.
        self.publisher.published().first().cloned().unwrap_or(Published {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            port: 0,
            to: 0,
            lost: None,
        })
    }

    /// Waits for the end of the sandbox; what is known of that.
    ///
    /// # Errors
    ///
    /// The port was closed before.
    pub fn wait(mut self) -> Result<String, Error> {
        loop {
            if let Some(end) = self.turn()? {
                self.publisher.close();
                return Ok(end.to_string());
            }
        }
    }

    /// Waits for something to happen. `Some`: the sandbox has ended.
    fn turn(&mut self) -> Result<Option<Error>, Error> {
        let mut list = vec![PollFd::new(self.line.descriptor(), PollFlags::POLLIN)];
        list.extend(self.publisher.descriptor().map(|line| PollFd::new(line, PollFlags::POLLIN)));
        match poll(&mut list, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::attempt("wait for the sandbox", &errno.into())),
        }
        let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let (sandbox, publisher) = (list.first().is_some_and(ready), list.get(1).is_some_and(ready));
        if sandbox {
            match self.line.hear::<Answer>() {
                Ok(Some((Answer::Ended(run), _))) => return Ok(Some(self.entry.ended_so(&run))),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Ok(Some(self.entry.ended())),
            }
        }
        match if publisher { self.publisher.hear() } else { News::Nothing } {
            News::Nothing => Ok(None),
            News::Refused(error) => Err(error),
            News::Lost => {
                let published = self.published();
                let why = published.lost.as_deref().unwrap_or_default();
                Err(Error::new(Kind::Failed, format!("{} is closed: {why}", published.place())))
            }
        }
    }
}
