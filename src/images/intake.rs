//! Bringing an image in: blobs and layers first, then its record, then its name.
//!
//! An intake holds the store's lock as one of those who add: nothing is removed meanwhile. What it was doing when it was
//! killed lies in `tmp` and is nobody's; the next one, or `gc`, removes it. Every byte is hashed on its way, and nothing
//! comes to its place before its digest and size are what they were said to be.

use super::config;
use super::digest::{Digest, Hashing};
use super::manifest::parse;
use super::store::{LARGEST_DOCUMENT, Record, Store, refused};
use crate::error::{Error, Failure, Problem};
use crate::trees::codec::{Compressor, Decoder, Effort, Format, Pipe};
use crate::trees::unpack::{self, Bounds, Refusal};
use nix::fcntl::{Flock, FlockArg};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest, MediaType};
use std::fs::{self, File};
use std::io::{self, Chain, Cursor, Read, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Names of this many fit into the one page of options that mount(2) takes; Docker has 127 at most.
pub const MOST_LAYERS: usize = 256;

/// As many bytes as tell how something is packed.
const START: usize = 8;

/// One at work.
pub struct Intake<'s> {
    store: &'s Store,
    _lock: Flock<File>,
}

/// A layer that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Of its bytes as the manifest names them.
    pub blob: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// How they are compressed, in the words of the specification.
    pub media_type: MediaType,
    /// Of its uncompressed archive.
    pub diff_id: Digest,
}

/// What a blob has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
}

impl Expected {
    /// As a descriptor says.
    ///
    /// # Errors
    ///
    /// `Invalid` for a digest that is not sha256.
    pub fn of(descriptor: &Descriptor) -> Result<Expected, Error> {
        let digest = descriptor.digest().to_string().parse().map_err(|why| invalid("image", why))?;
        Ok(Expected { digest, size: descriptor.size() })
    }
}

/// Something about the image itself that is wrong.
pub fn invalid(field: &str, why: impl Into<String>) -> Error {
    Error::invalid(vec![Problem::new(field, why)])
}

impl<'s> Intake<'s> {
    /// Begins; clears away what others left when they were killed.
    ///
    /// # Errors
    ///
    /// `Setup`, where the store cannot be written to.
    pub fn begin(store: &'s Store) -> Result<Intake<'s>, Error> {
        store.make()?;
        if let Some(alone) = store.lock(FlockArg::LockExclusiveNonblock)? {
            if let Some(error) = store.unfinished() {
                return Err(error);
            }
            drop(alone);
        }
        match store.lock(FlockArg::LockShared)? {
            Some(lock) => Ok(Intake { store, _lock: lock }),
            None => Err(refused("lock the image store", &io::ErrorKind::WouldBlock.into())),
        }
    }

    /// The store.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The layer of that blob, where it is here already. Whoever says that they belong together is not believed: an
    /// image of ours has them both, or the blob is read once more.
    pub fn known(&self, blob: &Expected, diff_id: &Digest, media_type: &MediaType) -> Option<Layer> {
        let there = self.store.has_blob(&blob.digest) && self.store.layer(diff_id).exists();
        let together = || self.store.pairs(&blob.digest, diff_id) || self.decodes_to(&blob.digest, diff_id);
        (there && together()).then(|| Layer {
            blob: blob.digest,
            size: blob.size,
            media_type: media_type.clone(),
            diff_id: *diff_id,
        })
    }

    /// What cannot be read is not known.
    fn decodes_to(&self, blob: &Digest, diff_id: &Digest) -> bool {
        let decoded = || -> io::Result<Digest> {
            let mut bytes = Hashing::new(Decoder::new(self.store.open_blob(blob)?)?);
            io::copy(&mut bytes, &mut io::sink())?;
            Ok(bytes.finish().0)
        };
        decoded().is_ok_and(|digest| digest == *diff_id)
    }

    /// Keeps a manifest or a configuration.
    ///
    /// # Errors
    ///
    /// `Invalid`, where it is not the expected one.
    pub fn document(&self, bytes: &[u8], expected: Option<&Expected>) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(invalid("image", format!("{digest}: larger than {LARGEST_DOCUMENT} bytes")));
        }
        check(expected, digest, bytes.len() as u64)?;
        self.store.place(bytes, &self.store.blob(&digest))?;
        Ok(digest)
    }

    /// Keeps a layer: an archive, plain or compressed in whatever way.
    ///
    /// # Errors
    ///
    /// `Invalid`, where it is not the expected one or holds what no layer may hold.
    pub fn layer(&self, bytes: impl Read + Send, expected: Option<&Expected>, bounds: &Bounds) -> Result<Layer, Error> {
        let staged = self.stage(bytes, expected, bounds)?;
        if expected.is_none() {
            staged.check_end()?;
        }
        staged.place()
    }

    /// Unpacks a layer and checks it, and keeps it out of sight until it is known to be wanted.
    ///
    /// # Errors
    ///
    /// As for [`layer`](Self::layer).
    pub fn stage(
        &self,
        bytes: impl Read + Send,
        expected: Option<&Expected>,
        bounds: &Bounds,
    ) -> Result<Staged<'s>, Error> {
        self.unpack(bytes, None, expected, bounds)
    }

    /// The same for a layer that lies in a file of the store already: if it is kept as it came, the file is moved to its
    /// place, and not written again.
    ///
    /// # Errors
    ///
    /// As for [`layer`](Self::layer).
    pub fn stage_fetched(
        &self,
        bytes: impl Read + Send,
        file: &Path,
        expected: &Expected,
        bounds: &Bounds,
    ) -> Result<Staged<'s>, Error> {
        self.unpack(bytes, Some(file), Some(expected), bounds)
    }

    fn unpack(
        &self,
        bytes: impl Read + Send,
        file: Option<&Path>,
        expected: Option<&Expected>,
        bounds: &Bounds,
    ) -> Result<Staged<'s>, Error> {
        let work = Work::new(self.store)?;
        // One byte more than it is said to have is enough to know.
        let most = expected.map_or(u64::MAX, |expected| expected.size.saturating_add(1));
        let stream = Stream::new(bytes.take(most), &work, file.is_some())?;
        let tree = File::open(work.tree()).map_err(|error| refused("open a directory of the image store", &error))?;
        let (stream, unpacked) = std::thread::scope(|scope| {
            // What is unpacked, hashed and written overlaps: each takes as much time as the others.
            let threaded = |error: io::Error| refused("start a thread", &error);
            let decoded = Pipe::new(scope, stream).map_err(threaded)?;
            let mut archive = Pipe::new(scope, Hashing::new(decoded)).map_err(threaded)?;
            let unpacked = unpack::unpack(&mut archive, tree.as_fd(), self.store.owner, bounds);
            // Behind the end of an archive there may be padding, which belongs to its digest.
            let unpacked = unpacked.and_then(|summary| match io::copy(&mut archive, &mut io::sink()) {
                Ok(_) => Ok(summary.unterminated),
                Err(error) => Err(Refusal::unreadable(&error)),
            });
            let (inner, length, decoded) = archive.finish().finish();
            Ok::<_, Error>((decoded.finish(), unpacked.map(|unterminated| (inner, length, unterminated))))
        })?;
        let (inner, length, unterminated) = unpacked?;
        let (format, outer, size) = stream.finish()?;
        check(expected, outer, size)?;
        let (blob, size, media_type) = match format {
            Format::Gzip => (outer, size, MediaType::ImageLayerGzip),
            Format::Zstd => (outer, size, MediaType::ImageLayerZstd),
            Format::Xz | Format::Plain => (inner, length, MediaType::ImageLayer),
        };
        let place = if is_kept(format) { self.store.blob(&blob) } else { self.store.packed_blob(&blob) };
        let from = file.filter(|_| is_kept(format)).map_or_else(|| work.blob(), Path::to_owned);
        Ok(Staged { work, from, place, layer: Layer { blob, size, media_type, diff_id: inner }, unterminated })
    }

    /// Keeps an image whose layers are here; its digest.
    ///
    /// # Errors
    ///
    /// `Invalid`, where manifest, configuration and layers do not belong together.
    pub fn image(&self, manifest: &[u8], configuration: &[u8], layers: &[Layer]) -> Result<Digest, Error> {
        let unreadable = |what: &str, why: String| invalid("image", format!("{what}: {why}"));
        let parsed: ImageManifest = parse(manifest).map_err(|why| unreadable("manifest", why))?;
        let read: ImageConfiguration = parse(configuration).map_err(|why| unreadable("configuration", why))?;
        let named_config = Expected::of(parsed.config())?;
        let config_digest = Digest::of(configuration);
        check(Some(&named_config), config_digest, configuration.len() as u64)?;
        let named: Vec<Digest> =
            parsed.layers().iter().map(|layer| Ok(Expected::of(layer)?.digest)).collect::<Result<_, Error>>()?;
        let blobs: Vec<Digest> = layers.iter().map(|layer| layer.blob).collect();
        if named != blobs {
            return Err(invalid("image", "the layers are not those of the manifest"));
        }
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        let said: Vec<String> = diff_ids.iter().map(Digest::to_string).collect();
        if *read.rootfs().diff_ids() != said {
            return Err(invalid("image", "the layers are not those of the configuration (`rootfs.diff_ids`)"));
        }
        if layers.is_empty() || layers.len() > MOST_LAYERS {
            return Err(invalid("image", format!("it has {} layers, not 1 to {MOST_LAYERS}", layers.len())));
        }
        let hidden = self.store.hidden(&diff_ids)?;
        let bytes = layers.iter().map(|layer| self.store.tree_bytes(&layer.diff_id)).sum::<Result<u64, Error>>()?;
        let config = config::read(self.store, &diff_ids, &read)?;
        // From here on nothing can be wrong with it.
        self.document(configuration, Some(&named_config))?;
        let digest = self.document(manifest, None)?;
        self.store.keep(&Record {
            version: 1,
            manifest: digest,
            config_digest,
            config,
            layers: diff_ids,
            hidden,
            blobs,
            bytes,
            created: read.created().clone(),
            needs_host: super::capture::needs_host(&read),
        })?;
        Ok(digest)
    }
}

fn check(expected: Option<&Expected>, digest: Digest, size: u64) -> Result<(), Error> {
    match expected {
        Some(expected) if expected.size != size => {
            let more = if size > expected.size { "more than " } else { "" };
            let size = size.min(expected.size);
            Err(invalid(
                "image",
                format!("{}: {more}{size} bytes came, {} were announced", expected.digest, expected.size),
            ))
        }
        Some(expected) if expected.digest != digest => {
            Err(invalid("image", format!("{}: what came is {digest}", expected.digest)))
        }
        _ => Ok(()),
    }
}

/// What the specification has no word for, or what is not compressed at all, is kept as the plain archive, compressed
/// by us.
fn is_kept(format: Format) -> bool {
    matches!(format, Format::Gzip | Format::Zstd)
}

/// What comes in, from its first byte on.
type Came<R> = Hashing<Chain<Cursor<Vec<u8>>, R>>;

/// The bytes of a layer on their way: hashed as they come, decoded, and kept in whichever form is to be kept.
struct Stream<R: Read> {
    archive: Tee<Decoder<Tee<Came<R>, File>>, Compressor<File>>,
    format: Format,
}

impl<R: Read> Stream<R> {
    /// `there`: what is to be kept as it came lies in a file already.
    fn new(mut bytes: R, work: &Work<'_>, there: bool) -> Result<Stream<R>, Error> {
        let mut start = Vec::with_capacity(START);
        bytes.by_ref().take(START as u64).read_to_end(&mut start).map_err(|error| unreadable(&error))?;
        let format = Format::of(&start);
        let blob = || File::create_new(work.blob()).map_err(|error| refused("make a file in the image store", &error));
        let failed = |error: io::Error| unreadable(&error);
        let (kept, packed) = match (is_kept(format), there) {
            (true, true) => (None, None),
            (true, false) => (Some(blob()?), None),
            (false, _) => (None, Some(Compressor::new(blob()?, Effort::Quick).map_err(failed)?)),
        };
        let came = Tee { from: Hashing::new(Cursor::new(start).chain(bytes)), to: kept };
        let archive = Tee { from: Decoder::new(came).map_err(failed)?, to: packed };
        Ok(Stream { archive, format })
    }

    /// What came: how it was packed, its digest and its bytes.
    fn finish(self) -> Result<(Format, Digest, u64), Error> {
        let Tee { from, to } = self.archive;
        if let Some(packed) = to {
            packed.finish().map_err(|error| refused("write a blob", &error))?;
        }
        let (digest, size, _) = from.into_inner().from.finish();
        Ok((self.format, digest, size))
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.archive.read(buffer)
    }
}

/// What could not be read is the archive's fault, unless the system says otherwise.
fn unreadable(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => refused("read the layer", error),
        None => invalid("layer", error.to_string()),
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal.io {
            Some(errno) => Error::from(Failure {
                step: None,
                attempt: format!("unpack the layer: {refusal}"),
                errno,
                hint: refusal.hint,
            }),
            None => Error::invalid(vec![Problem {
                hint: refusal.hint.clone(),
                ..Problem::new("layer", refusal.to_string())
            }]),
        }
    }
}

/// A layer that is whole and checked, and not yet in its place. If it is dropped, it is gone.
pub struct Staged<'s> {
    work: Work<'s>,
    /// The blob.
    from: PathBuf,
    /// Where it goes.
    place: PathBuf,
    layer: Layer,
    unterminated: bool,
}

impl Staged<'_> {
    /// What it is.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Whether the archive has an end, which only who does not know its digest needs to ask.
    ///
    /// # Errors
    ///
    /// `Invalid`, where it has none.
    pub fn check_end(&self) -> Result<(), Error> {
        if self.unterminated {
            let problem = Problem::new("layer", "the archive ends without its end mark: it was cut off");
            return Err(Error::invalid(vec![problem.hint("get or make the archive again")]));
        }
        Ok(())
    }

    /// Where its tree lies now.
    pub fn tree(&self) -> PathBuf {
        self.work.tree()
    }

    /// To its place.
    ///
    /// # Errors
    ///
    /// `Setup`, where that is refused.
    pub fn place(self) -> Result<Layer, Error> {
        let place = &self.place;
        fs::rename(&self.from, place).map_err(|error| refused(format!("write `{}`", place.display()), &error))?;
        self.work.put_tree(&self.layer.diff_id)?;
        Ok(self.layer)
    }
}

/// A directory of `tmp`, gone at the end whatever the end is.
struct Work<'s> {
    store: &'s Store,
    path: PathBuf,
}

impl<'s> Work<'s> {
    fn new(store: &'s Store) -> Result<Work<'s>, Error> {
        let work = Work { store, path: store.temporary() };
        let failed = |error: io::Error| refused(format!("make `{}`", work.path.display()), &error);
        fs::create_dir(&work.path).and_then(|()| fs::create_dir(work.tree())).map_err(failed)?;
        if let Some((uid, gid)) = store.owner {
            std::os::unix::fs::chown(work.tree(), Some(uid), Some(gid)).map_err(failed)?;
        }
        Ok(work)
    }

    fn blob(&self) -> PathBuf {
        self.path.join("blob")
    }

    fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// The tree to its place, unless somebody was quicker with the same.
    fn put_tree(&self, diff_id: &Digest) -> Result<(), Error> {
        let place = self.store.layer(diff_id);
        match fs::rename(self.tree(), &place) {
            Err(error) if place.exists() && error.raw_os_error().is_some() => Ok(()),
            other => other.map_err(|error| refused(format!("write `{}`", place.display()), &error)),
        }
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is nobody's, and `gc` tries again.
        let _ = self.store.remove(&self.path);
    }
}

/// A reader whose bytes are kept, if there is something to keep them in.
struct Tee<R, W> {
    from: R,
    to: Option<W>,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if let Some(to) = &mut self.to {
            to.write_all(&buffer[..count])?;
        }
        Ok(count)
    }
}
