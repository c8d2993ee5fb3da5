//! Trees of files on disk: made from archives, walked through, copied, compared, measured and removed.
//!
//! What is in a tree is a stranger's: an archive that anybody may have made, or the files that a sandbox has left. Nothing here follows a link
//! out of a tree, opens a file without being told to or having looked at it, or knows what a tree is for: stores, manifests and names of
//! images are those of [`images`](crate::images).

pub mod changes;
pub mod codec;
pub mod compare;
pub mod copy;
pub mod files;
pub mod progress;
pub mod tree;
pub mod unpack;
