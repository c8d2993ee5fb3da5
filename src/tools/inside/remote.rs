//! Starts git inside and speaks for it: what git prints goes to the host's side, and so does what git and ssh ask.

use crate::error::{Error, Kind};
use crate::sys::fd;
use crate::tools::Name;
use crate::tools::bulk::{In, Out};
use crate::tools::remote::{AGENT, Call, ERROR, Ended, MOST_CONNECTIONS, OUTPUT, QUESTION, Ssh};
use crate::tools::wire;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two words of a tool that is at work.
const PULSE: Duration = Duration::from_secs(1);
/// How long git may take to end when it is told to.
const FAREWELL: Duration = Duration::from_secs(2);
/// Between two looks whether git has ended while something that it has started holds its output.
const GLANCE_MS: u16 = 100;
/// Bytes that are passed on at once.
const PIECE: usize = 32 << 10;
/// The longest question for a password.
const LONGEST_QUESTION: usize = 64 << 10;
/// The longest list of keys of machines.
const LONGEST_KEYS: u64 = 64 << 10;
/// The highest number of a descriptor that every shell can name.
const HIGHEST: i32 = 9;
/// Processes between one that connects and git.
const DEPTH: usize = 32;

/// A directory of this call's own, gone with the value.
struct Private(PathBuf);

impl Private {
    fn new() -> io::Result<Private> {
        let name = format!(".belljar-git-{:016x}", RandomState::new().hash_one(std::process::id()));
        let path = Path::new("/tmp").join(name);
        DirBuilder::new().mode(0o700).create(&path).map(|()| Private(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Nothing secret is in it, and whoever is inside may have removed it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs git, and answers on `to`; ends it, and everything that it has started, when `from` ends.
pub fn run<R: AsFd + Read, W: AsFd + Write>(call: &Call, from: &mut In<R>, to: &mut Out<W>) -> io::Result<()> {
    let ended = start(call).and_then(|mut running| {
        let ended = running.converse(from, to);
        running.end();
        ended.map_err(|error| Error::of_io(&error))
    });
    match ended {
        Ok(Some(ended)) => {
            wire::write_json(to, wire::ITEM, &ended)?;
            wire::write_json(to, wire::END, &None::<Error>)?;
        }
        // Nobody listens any more.
        Ok(None) => return Ok(()),
        Err(error) => wire::write_json(to, wire::END, &Some(error))?,
    }
    to.flush()
}

/// Git, and its lines.
struct Running {
    child: Child,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    /// To git's helper for passwords.
    helper: Option<UnixStream>,
    /// What it has asked, as far as that has come.
    question: Vec<u8>,
    agent: Option<UnixListener>,
    connections: BTreeMap<u32, UnixStream>,
    next: u32,
    keys: Option<PathBuf>,
    _directory: Option<Private>,
}

fn start(call: &Call) -> Result<Running, Error> {
    let failed = |error: io::Error| Error::of_io(&error);
    let mut command = Command::new(call.program.path());
    let mut helper = None;
    // Held until git has been started with it.
    let mut theirs = None;
    if call.asks {
        let (ours, other) = UnixStream::pair().map_err(failed)?;
        // Without the mark that would close it there.
        let number = fcntl(&other, FcntlArg::F_DUPFD(3)).map_err(|errno| failed(errno.into()))?;
        theirs = Some(fd::own(number));
        if number > HIGHEST {
            return Err(Error::new(Kind::Failed, "the tool inside has too many open files for git's helper"));
        }
        ours.set_nonblocking(true).map_err(failed)?;
        // Those of the settings are asked nothing, and told nothing.
        command.args(["-c", "credential.helper=", "-c", &format!("credential.helper={}", asking(number))]);
        command.args(["-c", "credential.useHttpPath=false", "-c", "submodule.fetchJobs=1", "-c", "fetch.parallel=1"]);
        helper = Some(ours);
    }
    command.args(call.words.iter().map(|word| OsString::from_vec(word.0.clone())));
    let (mut directory, mut agent, mut keys) = (None, None, None);
    if let Some(ssh) = &call.ssh {
        let own = Private::new().map_err(failed)?;
        let file = own.0.join("known_hosts");
        fs::write(&file, ssh.known_hosts.as_ref().map_or(&[][..], |keys| &keys.0)).map_err(failed)?;
        if ssh.agent {
            let socket = own.0.join("agent");
            let listener = UnixListener::bind(&socket).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            command.env("SSH_AUTH_SOCK", &socket);
            agent = Some(listener);
        }
        command.env("GIT_SSH_COMMAND", ssh_words(ssh, &own.0)).env("GIT_SSH_VARIANT", "ssh");
        (directory, keys) = (Some(own), Some(file));
    }
    command.envs(call.env.iter().map(|(name, value)| (name.path().as_os_str(), value.path().as_os_str())));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::NoCommand, "there is no git in the sandbox"),
        _ => failed(error),
    })?;
    drop(theirs);
    let output = child.stdout.take().map(OwnedFd::from);
    let error = child.stderr.take().map(OwnedFd::from);
    for stream in [&output, &error].into_iter().flatten() {
        fd::set_nonblocking(stream.as_fd()).map_err(|errno| failed(io::Error::from_raw_os_error(errno)))?;
    }
    let (question, connections, next) = (Vec::new(), BTreeMap::new(), 0);
    Ok(Running { child, output, error, helper, question, agent, connections, next, keys, _directory: directory })
}

/// The helper: passes git's question on, up to an empty line, and the answer back. What a shell has built in is enough for it.
fn asking(number: i32) -> String {
    let line = "IFS= read -r l && test -n \"$l\"";
    format!(
        "!f() {{ test \"$1\" = get || exit 0; {{ while {line}; do printf '%s\\n' \"$l\"; done; echo; }} >&{number}; \
         while {line}; do printf '%s\\n' \"$l\"; done <&{number}; }}; f"
    )
}

/// How ssh is called: it asks nobody, and knows machines and keys by what the caller gives alone.
fn ssh_words(ssh: &Ssh, directory: &Path) -> String {
    let check = if ssh.known_hosts.is_some() { "yes" } else { "accept-new" };
    let directory = directory.display();
    let mut words = format!(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking={check} -o UserKnownHostsFile={directory}/known_hosts \
         -o GlobalKnownHostsFile=/dev/null -o HashKnownHosts=no -o UpdateHostKeys=no"
    );
    if ssh.agent {
        // The sandbox's own settings could send the signature elsewhere.
        words.push_str(&format!(
            " -F /dev/null -o IdentityAgent={directory}/agent -o ForwardAgent=no -o ForwardX11=no -o ControlMaster=no \
             -o ControlPath=none -o PreferredAuthentications=publickey"
        ));
    }
    words
}

impl Running {
    /// Passes everything on until git has ended; none where nobody listens any more.
    fn converse<R: AsFd + Read, W: AsFd + Write>(
        &mut self,
        from: &mut In<R>,
        to: &mut Out<W>,
    ) -> io::Result<Option<Ended>> {
        to.flush()?;
        let (mut come, mut said, mut piece) = (Vec::new(), Instant::now(), vec![0; PIECE]);
        loop {
            if said.elapsed() >= PULSE {
                said = Instant::now();
                wire::write(to, wire::PULSE, &[])?;
            }
            for (stream, kind) in [(&mut self.output, OUTPUT), (&mut self.error, ERROR)] {
                while let Some(open) = stream.as_ref() {
                    match nix::unistd::read(open, &mut piece) {
                        Ok(0) => *stream = None,
                        Ok(count) => wire::write(to, kind, &piece[..count])?,
                        Err(Errno::EAGAIN | Errno::EINTR) => break,
                        Err(errno) => return Err(errno.into()),
                    }
                }
            }
            self.hear_helper(to)?;
            self.hear_agent(to, &mut piece)?;
            if !self.hear_host(from, &mut come, &mut piece)? {
                return Ok(None);
            }
            to.flush()?;
            // What it has started may hold its output for ever, and is not waited for.
            if let Some(status) = self.child.try_wait()?
                && !self.has_output()
            {
                return Ok(Some(Ended { code: status.code(), host_keys: self.host_keys() }));
            }
            self.wait(from)?;
        }
    }

    /// Whether something can be read of what git has written.
    fn has_output(&self) -> bool {
        let mut list: Vec<PollFd<'_>> = [&self.output, &self.error]
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
            .collect();
        let ready = poll(&mut list, PollTimeout::ZERO).is_ok_and(|count| count > 0);
        ready && list.iter().any(|fd| fd.revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
    }

    fn wait<R: AsFd + Read>(&self, from: &In<R>) -> io::Result<()> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut list: Vec<PollFd<'_>> = vec![readable(from.as_fd())];
        list.extend([&self.output, &self.error].into_iter().flatten().map(|fd| readable(fd.as_fd())));
        list.extend(self.helper.iter().map(|fd| readable(fd.as_fd())));
        list.extend(self.agent.iter().map(|fd| readable(fd.as_fd())));
        list.extend(self.connections.values().map(|fd| readable(fd.as_fd())));
        let timeout = if from.has_some() { PollTimeout::ZERO } else { PollTimeout::from(GLANCE_MS) };
        match poll(&mut list, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what git's helper asks; a whole question goes to the host's side.
    fn hear_helper(&mut self, to: &mut dyn Write) -> io::Result<()> {
        let mut piece = [0; 4096];
        while let Some(mut helper) = self.helper.as_ref() {
            match helper.read(&mut piece) {
                Ok(count) if count > 0 && self.question.len() <= LONGEST_QUESTION => {
                    self.question.extend_from_slice(&piece[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Nobody has the other end any more, or writes what is no question.
                _ => self.helper = None,
            }
        }
        while let Some(end) = self.question.windows(2).position(|two| two == b"\n\n") {
            let question: Vec<u8> = self.question.drain(..end + 2).collect();
            wire::write(to, QUESTION, &question)?;
        }
        Ok(())
    }

    /// Takes connections to the agent of git's own processes, and passes on what they say.
    fn hear_agent(&mut self, to: &mut dyn Write, piece: &mut [u8]) -> io::Result<()> {
        while let Some(Ok((connection, _))) = self.agent.as_ref().map(UnixListener::accept) {
            // Another process inside may have found the socket.
            let peer = getsockopt(&connection, sockopt::PeerCredentials).map_or(0, |peer| peer.pid());
            if self.next < MOST_CONNECTIONS && descends(peer, self.child.id() as i32) {
                connection.set_nonblocking(true)?;
                self.connections.insert(self.next, connection);
                self.next += 1;
            }
        }
        let mut gone = Vec::new();
        for (id, mut connection) in &self.connections {
            let (count, over) = match connection.read(&mut piece[4..]) {
                Ok(count) => (count, count == 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => (0, true),
            };
            piece[..4].copy_from_slice(&id.to_le_bytes());
            wire::write(to, AGENT, &piece[..4 + count])?;
            gone.extend(over.then_some(*id));
        }
        gone.iter().for_each(|id| drop(self.connections.remove(id)));
        Ok(())
    }

    /// Takes what the host's side answers; false where it has gone.
    fn hear_host<R: AsFd + Read>(
        &mut self,
        from: &mut In<R>,
        come: &mut Vec<u8>,
        piece: &mut [u8],
    ) -> io::Result<bool> {
        match from.try_read(piece) {
            Ok(0) => return Ok(false),
            Ok(count) => come.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        while let Some((kind, length)) = wire::head_of(come)? {
            let Some(frame) = come.get(wire::HEAD..wire::HEAD + length) else { break };
            let other = match kind {
                QUESTION => self.helper.as_ref().map(|helper| (helper, frame)),
                AGENT => frame
                    .split_first_chunk::<4>()
                    .and_then(|(id, bytes)| Some((self.connections.get(&u32::from_le_bytes(*id))?, bytes))),
                _ => return Err(wire::nonsense("no answer")),
            };
            // Short, and asked for: it is taken at once, or nobody is there to take it.
            if let Some((mut other, bytes)) = other {
                let _ = other.write_all(bytes);
            }
            come.drain(..wire::HEAD + length);
        }
        Ok(true)
    }

    /// The keys by which machines are known now.
    fn host_keys(&self) -> Name {
        let mut keys = Vec::new();
        if let Some(Ok(file)) = self.keys.as_ref().map(fs::File::open) {
            // What cannot be read is not told.
            let _ = file.take(LONGEST_KEYS).read_to_end(&mut keys);
        }
        Name(keys)
    }

    /// Ends git, where it still runs, and what it has started.
    fn end(&mut self) {
        // Without a process of that group nobody is meant.
        let group = Pid::from_raw(self.child.id() as i32);
        let _ = killpg(group, Signal::SIGTERM);
        // Git then takes its locks away, and what a clone has come to.
        let until = Instant::now() + FAREWELL;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Whether `pid` is `top`, or descends from it.
fn descends(pid: i32, top: i32) -> bool {
    let mut at = pid;
    for _ in 0..DEPTH {
        if at == top {
            return true;
        }
        // proc_pid_stat(5), field 4; field 2 may hold anything.
        let stat = fs::read_to_string(format!("/proc/{at}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        match parent {
            Some(parent) if parent > 1 => at = parent,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_descends_from_us_and_pid_1_does_not() {
        let mut child = Command::new("sleep").arg("5").spawn().expect("start sleep");
        let us = std::process::id() as i32;
        assert!(descends(child.id() as i32, us) && descends(us, us));
        assert!(!descends(1, us) && !descends(us, child.id() as i32) && !descends(i32::MAX, us));
        child.kill().and_then(|()| child.wait()).expect("end it");
    }

    #[test]
    fn the_helper_passes_a_question_on_and_the_answer_back() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let number = fcntl(&theirs, FcntlArg::F_DUPFD(3)).unwrap();
        let theirs_too = fd::own(number);
        // Other tests hold descriptors of this process too.
        let script = format!("exec 7<&{number}; {} get", &asking(7)[1..]);
        let shell = if number > HIGHEST { "bash" } else { "sh" };
        let mut child =
            Command::new(shell).arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        drop((theirs, theirs_too));
        child.stdin.take().unwrap().write_all(b"protocol=https\nhost=h\\x y\n").unwrap();
        let mut question = vec![0; 26 + 1];
        (&ours).read_exact(&mut question).unwrap();
        assert_eq!(question, b"protocol=https\nhost=h\\x y\n\n");
        (&ours).write_all(b"username=u\npassword=p \\n\n\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"username=u\npassword=p \\n\n");
    }
}
