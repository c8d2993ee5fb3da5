//! The store on disk, and how it is looked things up in.
//!
//! ```text
//! lock                 shared by who adds, exclusive to who removes (flock(2))
//! blobs/sha256/HEX     manifests, configurations and layers as they came; HEX.zst where we compressed them
//! layers/HEX           a layer's tree, by its diff id
//! images/HEX           what a start needs to know, by the manifest's digest; the file locked by those who use the image
//! names/NAME:TAG       the manifest's digest
//! partial/HEX          what of a blob was fetched before the connection broke
//! tmp/                 work in progress
//! ```
//!
//! Everything comes to its place by rename(2), the image's record after all that it needs and the name last.

mod parts;

use super::digest::Digest;
use super::reference::{Reference, shortened};
use crate::error::{Error, Failure, Kind, Problem, describe_io};
use crate::host::image::{Config, Image};
use crate::host::{UNPRIVILEGED_ID, initial_user_namespace};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The version of what lies on disk.
const VERSION: u32 = 1;
/// The largest manifest, configuration or record that is read: registries take no more than 4 MiB.
pub const LARGEST_DOCUMENT: u64 = 4 << 20;
/// Digits of a digest that are enough to name an image, if they name only one.
const LEAST_DIGITS: usize = 6;

/// The directory, and how to find things in it.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Ids that layers' files get: those that a sandbox of this caller has on the host.
    pub owner: Option<(u32, u32)>,
}

/// What a start needs to know of an image, and what others are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of this form.
    pub version: u32,
    /// The manifest's digest: the image's own.
    pub manifest: Digest,
    /// Digest of the configuration, which Docker calls the image's id.
    pub config_digest: Digest,
    /// Diff ids of the layers, the lowest first.
    pub layers: Vec<Digest>,
    /// How many of them one above hides as a whole: they are not mounted.
    pub hidden: usize,
    /// Digests of the layers' blobs, in the same order.
    pub blobs: Vec<Digest>,
    /// Bytes of the files of all layers.
    pub bytes: u64,
    /// When it was made, as its makers say it (RFC 3339).
    pub created: Option<String>,
    /// What bears on a sandbox.
    pub config: Config,
    /// Whether it lies on the machine's own files, and is good for sandboxes on them only.
    #[serde(default)]
    pub needs_host: bool,
}

/// An image in use: it is not removed while this lives.
#[derive(Debug)]
pub struct Lease {
    /// As a sandbox is started from it.
    pub image: Image,
    /// All that is known of it.
    pub record: Record,
    /// Shared lock on the record.
    _lock: Flock<File>,
}

/// A name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The name.
    pub reference: Reference,
    /// The manifest's digest.
    pub manifest: Digest,
}

/// Something of the store that the kernel refused.
pub fn refused(attempt: impl Into<String>, error: &io::Error) -> Error {
    Error::attempt(attempt, error)
}

/// A file of the store that is not what it should be.
pub fn damaged(what: &str, why: &str) -> Error {
    Error::from(Failure {
        step: None,
        attempt: format!("read {what} of the image store: {why}"),
        errno: 0,
        hint: Some(
            "`belljar image verify` says what else is damaged; remove the image and bring it in again".to_owned(),
        ),
    })
}

impl Store {
    /// The store in `home`, an absolute path, which need not be there: then the store is empty.
    pub fn new(home: &Path) -> Store {
        let real_root = nix::unistd::geteuid().is_root() && initial_user_namespace();
        let owner = real_root.then_some((UNPRIVILEGED_ID, UNPRIVILEGED_ID));
        Store { root: home.to_owned(), owner }
    }

    /// Makes the directories that are missing.
    ///
    /// # Errors
    ///
    /// `Setup`, where that is refused; `Invalid`, where another version has written there.
    pub fn make(&self) -> Result<(), Error> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for directory in ["blobs/sha256", "layers", "images", "names", "partial", "tmp"] {
            let path = self.root.join(directory);
            builder.create(&path).map_err(|error| {
                Error::from(Failure {
                    step: None,
                    attempt: format!("make `{}`", path.display()),
                    errno: error.raw_os_error().unwrap_or(0),
                    hint: Some("images are kept below `$BELLJAR_HOME`, else `$XDG_DATA_HOME/belljar`".to_owned()),
                })
            })?;
        }
        let path = self.root.join("version");
        match fs::read_to_string(&path) {
            Ok(text) if text.trim() == VERSION.to_string() => Ok(()),
            Ok(text) => Err(Error::invalid(vec![
                Problem::new(
                    "store",
                    format!("`{}` has version {}, not {VERSION}", self.root.display(), text.trim().escape_debug()),
                )
                .hint("use the belljar that made it, or another directory by `BELLJAR_HOME`"),
            ])),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.place_alone(format!("{VERSION}\n").as_bytes(), &path)
            }
            Err(error) => Err(refused(format!("read `{}`", path.display()), &error)),
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the tree of a layer lies.
    pub fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    /// Where a blob lies as it came.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Where it lies if we compressed it.
    pub fn packed_blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(format!("{}.zst", digest.hex()))
    }

    /// Where what has been fetched of a blob waits for the rest.
    pub fn partial(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.hex())
    }

    fn record_path(&self, manifest: &Digest) -> PathBuf {
        self.root.join("images").join(manifest.hex())
    }

    fn name_path(&self, reference: &Reference) -> PathBuf {
        self.root.join("names").join(reference.file_name())
    }

    /// Work in progress: a name that nobody else has.
    pub fn temporary(&self) -> PathBuf {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        self.root.join("tmp").join(format!("{}-{now:x}-{count}", std::process::id()))
    }

    /// [`Store::place`] for who holds no lock: nobody clears `tmp` away meanwhile.
    fn place_alone(&self, bytes: &[u8], path: &Path) -> Result<(), Error> {
        let _lock = self.lock(FlockArg::LockShared)?;
        self.place(bytes, path)
    }

    /// A whole file, at once. The caller holds the lock, shared.
    pub fn place(&self, bytes: &[u8], path: &Path) -> Result<(), Error> {
        let temporary = self.temporary();
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&temporary, path));
        written.map_err(|error| {
            // Where not even this is possible, `gc` finds it.
            let _ = fs::remove_file(&temporary);
            refused(format!("write `{}`", path.display()), &error)
        })
    }

    /// The lock: `None` where it is not to be had at once and `wait` is not wanted.
    pub fn lock(&self, how: FlockArg) -> Result<Option<Flock<File>>, Error> {
        let path = self.root.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(|error| refused(format!("open `{}`", path.display()), &error))?;
        match Flock::lock(file, how) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(refused(format!("lock `{}`", path.display()), &errno.into())),
        }
    }

    /// The image that `word` names: a name, `NAME@DIGEST`, a digest, or enough of its digits.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none, `Ambiguous` where there are several.
    pub fn lease(&self, word: &str) -> Result<Lease, Error> {
        match self.find(word)? {
            Some(lease) => Ok(lease),
            None => Err(Error::of(Kind::NotFound, vec![self.unknown(word)])),
        }
    }

    fn unknown(&self, word: &str) -> Problem {
        let problem = Problem::new("image", format!("no image `{}` here", word.escape_debug()));
        let names: Vec<String> = self.names().unwrap_or_default().iter().map(|named| named.reference.name()).collect();
        let known = match names.as_slice() {
            [] => "there are none yet".to_owned(),
            names => format!(
                "there are {}",
                names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ),
        };
        problem.hint(format!(
            "{known}; `belljar image build`, `import`, `load` and `pull` bring images in, and `host` is always there"
        ))
    }

    /// The same, if there is one.
    pub fn find(&self, word: &str) -> Result<Option<Lease>, Error> {
        // Whoever removes an image takes its names first: two rounds are enough unless it is named anew meanwhile.
        for _ in 0..16 {
            let Some((shown, manifest)) = self.resolve(word)? else { return Ok(None) };
            if let Some((record, lock)) = self.hold(&manifest)? {
                let layers = record.layers.iter().skip(record.hidden).map(|layer| self.layer(layer)).collect();
                let image = Image { shown: format!("{shown}@{manifest}"), layers, config: record.config.clone() };
                return Ok(Some(Lease { image, record, _lock: lock }));
            }
        }
        Ok(None)
    }

    /// The image that this machine calls `name`, whatever others call by it.
    pub fn find_own(&self, name: &str) -> Result<Option<Lease>, Error> {
        let invalid = |why: String| Error::invalid(vec![Problem::new("image", why)]);
        let reference = Reference::parse(name).map_err(invalid)?;
        match self.named(&reference)? {
            Some(_) => self.find(name),
            None => Ok(None),
        }
    }

    /// Name and digest of what `word` names.
    fn resolve(&self, word: &str) -> Result<Option<(String, Digest)>, Error> {
        let known = |manifest: Digest| Ok(Some((self.name_of(&manifest)?, manifest)));
        if word.starts_with("sha256:") {
            let digest = word.parse().map_err(|why| Error::invalid(vec![Problem::new("image", why)]))?;
            // Nothing else may stand for it, or a file could decide what a digest means.
            return if self.record_path(&digest).exists() { known(digest) } else { Ok(None) };
        }
        let invalid = |why: String| Error::invalid(vec![Problem::new("image", why)]);
        let reference = Reference::parse(word).map_err(invalid)?;
        for (shown, candidate) in [(short(&reference), &reference), (reference.remote().name(), &reference.remote())] {
            if let Some(manifest) = self.named(candidate)? {
                if let Some(digest) = reference.digest.filter(|digest| *digest != manifest) {
                    let why = format!("`{}` is {manifest} here, not {digest}", reference.name());
                    return Err(Error::of(Kind::NotFound, vec![Problem::new("image", why)]));
                }
                return Ok(Some((shown, manifest)));
            }
        }
        self.by_digits(word)?.map_or(Ok(None), known)
    }

    /// What a name stands for.
    pub fn named(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let path = self.name_path(reference);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let damaged = |why: String| damaged(&format!("the name `{}`", reference.name()), &why);
                text.trim().parse().map(Some).map_err(damaged)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(format!("read `{}`", path.display()), &error)),
        }
    }

    fn by_digits(&self, word: &str) -> Result<Option<Digest>, Error> {
        if word.len() < LEAST_DIGITS || !word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(None);
        }
        let mut found = self.manifests()?.into_iter().filter(|manifest| manifest.hex().starts_with(word));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                let problem = Problem::new("image", format!("`{word}` begins the digests of several images"));
                let problem = problem.hint("give more digits; `belljar image ls --digests` shows them");
                Err(Error::of(Kind::Ambiguous, vec![problem]))
            }
            (one, _) => Ok(one),
        }
    }

    /// A name of the image, for people; its digits, where it has none.
    fn name_of(&self, manifest: &Digest) -> Result<String, Error> {
        let mut names = self.names()?;
        names.retain(|named| named.manifest == *manifest);
        Ok(names.first().map_or_else(|| manifest.short(), |named| short(&named.reference)))
    }

    /// All names, in order.
    pub fn names(&self) -> Result<Vec<Named>, Error> {
        let mut names = Vec::new();
        for file in self.entries("names")? {
            if let Some(reference) = Reference::from_file_name(&file)
                && let Some(manifest) = self.named(&reference)?
            {
                names.push(Named { reference, manifest });
            }
        }
        names.sort();
        Ok(names)
    }

    /// Digests of all images, in order.
    pub fn manifests(&self) -> Result<Vec<Digest>, Error> {
        let mut found: Vec<Digest> = self.entries("images")?.iter().filter_map(|name| Digest::from_hex(name)).collect();
        found.sort();
        Ok(found)
    }

    /// Names of the files of one directory of the store.
    pub fn entries(&self, directory: &str) -> Result<Vec<String>, Error> {
        let path = self.root.join(directory);
        let failed = |error: io::Error| refused(format!("read `{}`", path.display()), &error);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect::<io::Result<_>>().map_err(failed)
    }

    /// The record of an image, and the lock that keeps it; `None` if it is gone.
    fn hold(&self, manifest: &Digest) -> Result<Option<(Record, Flock<File>)>, Error> {
        let path = self.record_path(manifest);
        let failed = |error: io::Error| refused(format!("read `{}`", path.display()), &error);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        let lock = Flock::lock(file, FlockArg::LockShared).map_err(|(_, errno)| failed(errno.into()))?;
        // Between open and lock it may have been removed.
        if lock.metadata().map_err(failed)?.nlink() == 0 {
            return Ok(None);
        }
        let mut text = Vec::with_capacity(4096);
        (&*lock).take(LARGEST_DOCUMENT).read_to_end(&mut text).map_err(failed)?;
        let what = format!("the record of {manifest}");
        let record: Record = serde_json::from_slice(&text).map_err(|error| damaged(&what, &error.to_string()))?;
        if record.version != VERSION || record.manifest != *manifest {
            return Err(damaged(&what, "it is another one's"));
        }
        Ok(Some((record, lock)))
    }

    /// The record of an image; `None` if there is none.
    pub fn record(&self, manifest: &Digest) -> Result<Option<Record>, Error> {
        Ok(self.hold(manifest)?.map(|(record, _)| record))
    }

    /// Keeps a record whose layers and blobs are there.
    pub fn keep(&self, record: &Record) -> Result<(), Error> {
        let text = serde_json::to_vec(record).map_err(|error| damaged("a record", &error.to_string()))?;
        // The very file stays where it says the same: sandboxes may have pinned it.
        let path = self.record_path(&record.manifest);
        let same = fs::read(&path).is_ok_and(|there| there == text);
        if same { Ok(()) } else { self.place(&text, &path) }
    }

    /// Keeps an image from being removed as long as the link at `link` is there, beside its names and users.
    ///
    /// # Errors
    ///
    /// `Setup`, where no link can be made, as on another file system.
    pub fn pin(&self, manifest: &Digest, link: &Path) -> Result<(), Error> {
        let failed = |error| refused(format!("link `{}`", link.display()), &error);
        fs::hard_link(self.record_path(manifest), link).map_err(failed)
    }

    /// Lets a name stand for an image that is there.
    ///
    /// # Errors
    ///
    /// `Invalid` for a name with a digest, or for `host`.
    pub fn name(&self, reference: &Reference, manifest: &Digest) -> Result<(), Error> {
        may_name(reference)?;
        self.place_alone(format!("{manifest}\n").as_bytes(), &self.name_path(reference))
    }

    /// Takes a name away; whether there was one.
    pub fn unname(&self, reference: &Reference) -> Result<bool, Error> {
        let path = self.name_path(reference);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(refused(format!("remove `{}`", path.display()), &error)),
        }
    }

    /// The bytes of a manifest or a configuration.
    pub fn document(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let path = self.blob(digest);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(LARGEST_DOCUMENT).read_to_end(&mut bytes))
            .map_err(|error| damaged(&format!("the blob {digest}"), &describe_io(&error)))?;
        if Digest::of(&bytes) != *digest {
            return Err(damaged(&format!("the blob {digest}"), "its content has another digest"));
        }
        Ok(bytes)
    }
}

/// Whether an image may have that name.
///
/// # Errors
///
/// `Invalid` for a name with a digest, or for `host`.
pub fn may_name(reference: &Reference) -> Result<(), Error> {
    let invalid = |why: &str| Err(Error::invalid(vec![Problem::new("name", format!("`{reference}` {why}"))]));
    if reference.digest.is_some() {
        return invalid("has a digest, which no name can promise");
    }
    if reference.registry.is_none() && reference.repository == HOST {
        return invalid("is the machine's own file system");
    }
    Ok(())
}

/// The machine's own file system, as an image.
pub const HOST: &str = "host";

/// A name without the tag that goes without saying.
pub fn short(reference: &Reference) -> String {
    shortened(&reference.name()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn nothing_is_written_while_somebody_clears_away() {
        let place = std::env::temp_dir().join(format!("belljar-store-{}", std::process::id()));
        let store = Store::new(&place);
        store.make().expect("a store");
        fs::remove_file(place.join("version")).expect("as if it were new");
        let alone = store.lock(FlockArg::LockExclusive).expect("the lock");
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| tell.send(store.make()));
            assert!(told.recv_timeout(Duration::from_millis(200)).is_err(), "it did not wait");
            drop(alone);
            told.recv_timeout(Duration::from_secs(10)).expect("it went on").expect("made");
        });
        fs::remove_dir_all(place).expect("remove it");
    }
}
