//! The parts of images in the store: blobs in whichever form they are kept, and the trees of layers.

use super::{Digest, Store, refused};
use crate::error::Error;
use crate::sys::xattr;
use crate::trees::codec::Decoder;
use crate::trees::tree;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;

impl Store {
    /// Whether a blob is here, in whichever form.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob(digest).exists() || self.packed_blob(digest).exists()
    }

    /// A blob as it lies on disk: as it came, or compressed by us.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<File> {
        match File::open(self.blob(digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(self.packed_blob(digest)),
            other => other,
        }
    }

    /// A blob as the manifest names it. One that we compressed is unpacked on the way.
    pub fn content(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send>> {
        let as_it_came = self.blob(digest).exists();
        let file = self.open_blob(digest)?;
        Ok(if as_it_came { Box::new(file) } else { Box::new(Decoder::new(file)?) })
    }

    /// Whether an image that is here has this blob for this layer. What cannot be read says no.
    pub fn pairs(&self, blob: &Digest, diff_id: &Digest) -> bool {
        let records =
            self.manifests().unwrap_or_default().into_iter().filter_map(|manifest| self.record(&manifest).ok()?);
        records.into_iter().any(|record| record.blobs.iter().zip(&record.layers).any(|pair| pair == (blob, diff_id)))
    }

    /// Bytes of a layer's files on disk.
    pub fn tree_bytes(&self, diff_id: &Digest) -> Result<u64, Error> {
        Ok(tree::usage(self.open_layer(diff_id)?.as_fd()).map_err(Error::from)?.bytes)
    }

    /// Whether a layer hides all that is below it. Overlayfs does not look for the mark at a layer's root.
    pub fn is_opaque(&self, diff_id: &Digest) -> Result<bool, Error> {
        let mut value = [0; 2];
        let got = xattr::get(self.open_layer(diff_id)?.as_fd(), c"user.overlay.opaque", &mut value);
        Ok(got.is_ok_and(|length| value[..length.min(2)] == *b"y"))
    }

    /// How many of these layers, the lowest first, one above hides as a whole.
    pub fn hidden(&self, layers: &[Digest]) -> Result<usize, Error> {
        let mut hidden = 0;
        for (number, layer) in layers.iter().enumerate() {
            if self.is_opaque(layer)? {
                hidden = number;
            }
        }
        Ok(hidden)
    }

    fn open_layer(&self, diff_id: &Digest) -> Result<File, Error> {
        let path = self.layer(diff_id);
        File::open(&path).map_err(|error| refused(format!("open `{}`", path.display()), &error))
    }
}
