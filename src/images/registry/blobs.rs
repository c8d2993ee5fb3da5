//! Blobs: fetched into `partial/`, resumed where they stopped, and whole before anybody looks into them.
//!
//! What has come of a blob stays when the connection breaks, or belljar is killed, and the next attempt asks for the
//! rest. One process at a time writes to it (flock(2)); another that wants the same waits, and then finds it in the
//! store. No byte reaches a decompressor before the digest of all of them is the one that the manifest names.

use super::auth::Session;
use super::client::{Answer, stopped};
use super::trouble::{Again, Failed, PAUSE, Patience, unreachable, wrong};
use super::url::Uri;
use crate::error::Error;
use crate::images::digest::{Digest, Hashing};
use crate::images::intake::Expected;
use crate::images::store::{LARGEST_DOCUMENT, Store, refused};
use crate::trees::progress::{Progress, Task};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ureq::http::StatusCode;

const BUFFER: usize = 128 << 10;

/// What fetching takes, for all threads.
pub struct Fetcher<'a> {
    /// Where from.
    pub session: &'a Session<'a>,
    /// Where to.
    pub store: &'a Store,
    /// Who follows.
    pub progress: &'a dyn Progress,
    /// Nobody wants the rest any more.
    pub stop: AtomicBool,
    /// Bytes that came over the network.
    pub fetched: AtomicU64,
}

/// A blob on its way, or whole; nobody else writes to it meanwhile.
pub struct Blob {
    file: Flock<File>,
    path: PathBuf,
    length: u64,
}

impl Fetcher<'_> {
    /// A small blob, by way of memory.
    ///
    /// # Errors
    ///
    /// `Invalid`, where it is not the expected one; `Host`, where it is not to be had.
    pub fn document(&self, expected: &Expected) -> Result<Vec<u8>, Error> {
        let url = self.url(expected)?;
        if expected.size > LARGEST_DOCUMENT {
            return Err(wrong(&url, &format!("{} bytes, more than {LARGEST_DOCUMENT}", expected.size), None));
        }
        let bytes = Patience::persist(self.progress, || {
            let answer = self.session.get(&url, "", 0)?;
            match answer.status {
                StatusCode::OK => answer.read(expected.size),
                _ => Err(answer.refusal()),
            }
        })?;
        self.fetched.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let found = Digest::of(&bytes);
        match found == expected.digest && bytes.len() as u64 == expected.size {
            true => Ok(bytes),
            false => Err(wrong(
                &url,
                &format!("what came is {found}, {} bytes, not {} bytes", bytes.len(), expected.size),
                None,
            )),
        }
    }

    /// A blob in a file; `None` if it is `here` by the time it is our turn.
    ///
    /// # Errors
    ///
    /// As for [`Fetcher::document`]; `Setup`, where the file cannot be written.
    pub fn blob(&self, expected: &Expected, here: impl Fn() -> bool) -> Result<Option<Blob>, Error> {
        let url = self.url(expected)?;
        let mut blob = self.lock(expected, &url)?;
        if here() {
            blob.discard()?;
            return Ok(None);
        }
        let earlier = blob.length > 0;
        if let Err(error) = self.fill(&mut blob, expected, &url) {
            if blob.length == 0 {
                blob.discard()?;
            }
            return Err(error);
        }
        let mut found = blob.digest()?;
        if found != expected.digest && earlier {
            self.progress.note(&format!("{}: what an earlier pull left is damaged, all of it again", expected.digest));
            blob.empty()?;
            self.fill(&mut blob, expected, &url)?;
            found = blob.digest()?;
        }
        if found != expected.digest {
            blob.discard()?;
            let hint = "it was changed on its way or in the registry: push the image again, if it is yours";
            return Err(wrong(&url, &format!("what came is {found}"), Some(hint)));
        }
        Ok(Some(blob))
    }

    fn url(&self, expected: &Expected) -> Result<Uri, Error> {
        self.session.url(&format!("blobs/{}", expected.digest))
    }

    /// The file of a blob, once nobody else has it.
    fn lock(&self, expected: &Expected, url: &Uri) -> Result<Blob, Error> {
        let path = self.store.partial(&expected.digest);
        let failed = |error: io::Error| refused(format!("open `{}`", path.display()), &error);
        let mut told = false;
        loop {
            let open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
            let mut file = open.map_err(failed)?;
            let lock = loop {
                match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                    Ok(lock) => break lock,
                    Err((same, Errno::EWOULDBLOCK)) => file = same,
                    Err((_, errno)) => return Err(failed(errno.into())),
                }
                if !told {
                    self.progress.note(&format!("{}: another belljar fetches it; waiting", expected.digest));
                    told = true;
                }
                self.go_on(url)?;
                std::thread::sleep(PAUSE);
            };
            let found = lock.metadata().map_err(failed)?;
            // Who had it before us may have been done with it, and have moved or removed it.
            match fs::metadata(&path) {
                Ok(there) if (there.dev(), there.ino()) == (found.dev(), found.ino()) => {
                    return Ok(Blob { file: lock, path, length: found.len() });
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
    }

    fn go_on(&self, url: &Uri) -> Result<(), Error> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(unreachable(url, "given up, because another part of the image failed", None)),
            false => Ok(()),
        }
    }

    /// Fetches what is missing, in as many attempts as bring something.
    fn fill(&self, blob: &mut Blob, expected: &Expected, url: &Uri) -> Result<(), Error> {
        if blob.length > expected.size {
            blob.empty()?;
        }
        let mut task = self.progress.begin(&format!("fetch {}", expected.digest), Some(expected.size));
        task.advance(blob.length);
        let mut patience = Patience::new(self.progress, &self.stop);
        while blob.length < expected.size {
            let before = blob.length;
            if let Err(failed) = self.attempt(blob, expected.size, url, task.as_mut()) {
                if blob.length > before {
                    patience.renew();
                }
                patience.wait(failed)?;
            }
        }
        Ok(())
    }

    /// One request for the rest.
    fn attempt(&self, blob: &mut Blob, size: u64, url: &Uri, task: &mut dyn Task) -> Result<(), Failed> {
        let mut answer = self.session.get(url, "", blob.length)?;
        let again = |why: &str| Failed { error: unreachable(url, why, None), again: Again::Soon };
        match answer.status {
            StatusCode::PARTIAL_CONTENT if is_rest(&answer, blob.length, size) => {}
            StatusCode::OK => blob.empty()?,
            // Whatever it means by that: without a range there is no misunderstanding.
            _ => {
                blob.empty()?;
                return Err(again("the registry has another part of it than was asked for"));
            }
        }
        let (announced, rest) =
            (answer.header("Content-Length").and_then(|length| length.parse().ok()), size - blob.length);
        // Of the rest a registry may send us a part only; of all of it, not.
        let wrong_length = |length: &u64| *length > rest || *length < rest && answer.status == StatusCode::OK;
        if let Some(length) = announced.filter(wrong_length) {
            let whole = blob.length.saturating_add(length);
            return Err(wrong(url, &format!("it has {whole} bytes, {size} were announced"), None).into());
        }
        let at = answer.url.clone();
        let mut body = answer.body();
        let mut buffer = vec![0; BUFFER];
        loop {
            self.go_on(url)?;
            let count = match body.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // All is there: what else the connection does is nobody's business.
                Err(_) if blob.length == size => 0,
                other => other.map_err(|error| stopped(&at, error))?,
            };
            if count == 0 && blob.length < size {
                return Err(again(&format!("it ended after {} of {size} bytes", blob.length)));
            } else if count == 0 {
                return Ok(());
            }
            if blob.length + count as u64 > size {
                blob.empty()?;
                return Err(wrong(url, &format!("more than {size} bytes came, which were announced"), None).into());
            }
            blob.append(&buffer[..count])?;
            self.fetched.fetch_add(count as u64, Ordering::Relaxed);
            task.advance(count as u64);
        }
    }
}

/// Whether the answer is the part from `from` on.
fn is_rest(answer: &Answer, from: u64, size: u64) -> bool {
    let range = || answer.header("Content-Range")?.strip_prefix("bytes ")?.split_once(['-', '/']);
    let whole = || answer.header("Content-Range")?.rsplit_once('/')?.1.parse().ok();
    range().is_some_and(|(first, _)| first.parse() == Ok(from)) && whole().is_none_or(|whole: u64| whole == size)
}

impl Blob {
    fn failed(&self, what: &str, error: &io::Error) -> Error {
        refused(format!("{what} `{}`", self.path.display()), error)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        // What was written of it in spite of a failure counts with the next look at the file.
        (&*self.file).write_all(bytes).map_err(|error| self.failed("write", &error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn empty(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|error| self.failed("empty", &error))?;
        self.length = 0;
        Ok(())
    }

    fn digest(&self) -> Result<Digest, Error> {
        let mut hashing = Hashing::new(self.reader()?);
        io::copy(&mut hashing, &mut io::sink()).map_err(|error| self.failed("read", &error))?;
        Ok(hashing.finish().0)
    }

    /// Its bytes, from the beginning.
    pub fn reader(&self) -> Result<&File, Error> {
        let mut file = &*self.file;
        file.rewind().map_err(|error| self.failed("read", &error))?;
        Ok(file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it: it is in the store, or of no use.
    pub fn discard(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", &error)),
            _ => Ok(()),
        }
    }
}
