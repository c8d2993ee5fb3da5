//! The root of an image: an overlay of its layers below the writable one (Documentation/filesystems/overlayfs.rst).
//!
//! Nothing is made in the layers, and nothing of them is followed on the host's side: what has to be there is made in
//! the upper layer before, or in the mounted root, resolved without leaving it.

use super::tree::{Skeleton, UPPER, relative};
use crate::host::{Host, Image};
use crate::identity;
use crate::spec::{Spec, User};
use crate::step::{Step, c_string};
use std::path::Path;

/// Where the directories of a sandbox whose files are kept are found.
const KEPT: &str = "kept";

/// What is written in a sandbox that lasts in memory, apart from what we make for every sandbox.
pub const APART: &str = "changes";

/// Where what is written inside goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writable {
    /// To where we have made what every sandbox has: nobody asks which is which.
    Own,
    /// To a directory of its own in memory.
    Apart,
    /// To a directory on a disk.
    Kept,
}

/// The overlay's directories, and a short name for each layer: mount(2) takes one page of options, and a colon in a path
/// would part it.
pub fn plan(image: Option<&Image>, kept: Option<&Path>, lasting: bool, skeleton: &mut Skeleton) {
    for name in [UPPER, "work"] {
        skeleton.scaffold_directory(name, 0o755);
    }
    skeleton.scaffold_directory("lower", 0o755);
    let link = |path: &Path, name: String| Step::Link {
        target: c_string(path.as_os_str().as_encoded_bytes()),
        path: c_string(name),
    };
    for (number, layer) in image.iter().flat_map(|image| &image.layers).enumerate() {
        skeleton.make.push(link(layer, format!("lower/{number}")));
    }
    match kept {
        Some(directory) => skeleton.make.push(link(directory, KEPT.to_owned())),
        None if lasting => skeleton.scaffold_directory(APART, 0o755),
        None => {}
    }
    // The mount point hides whatever the image has by this name, as those of `/proc` and `/sys` do.
    skeleton.scaffold_directory(&format!("{UPPER}/dev"), 0o755);
}

/// The mount. `userxattr`: an ordinary user may set no other attributes, and may be shown what those mean.
///
/// Where files last, what we make anew at every start is the uppermost of the layers below, so that it is neither in the way of
/// what is kept nor kept itself.
pub fn root(image: Option<&Image>, writable: Writable) -> Step {
    let count = image.map_or(0, |image| image.layers.len());
    let mut lower: Vec<String> = (0..count).rev().map(|number| format!("lower/{number}")).collect();
    if writable != Writable::Own {
        lower.insert(0, UPPER.to_owned());
    }
    let own = match writable {
        Writable::Own => format!("upperdir={UPPER},workdir=work"),
        Writable::Apart => format!("upperdir={APART},workdir=work"),
        Writable::Kept => format!("upperdir={KEPT}/upper,workdir={KEPT}/work"),
    };
    Step::Overlay { options: c_string(format!("lowerdir={},{own},userxattr", lower.join(":"))) }
}

/// What programs expect to find, if the image does not have it.
pub fn places(spec: &Spec, host: &Host, init: &mut Vec<Step>) {
    let (owner, user) = (identity::owner(spec, host), identity::owner_of_home(spec, host));
    for (path, mode) in [("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/run", 0o755)] {
        place(Path::new(path), mode, true, [owner; 2], init);
    }
    let home = Path::new(identity::home(identity::user(spec, host), host));
    place(home, 0o700, true, [owner, user], init);
    // The layers have one owner. A person's home is the person's, wherever there are several.
    if let Some(owner) = user.filter(|_| host.ranges.is_some() && home.parent() == Some(Path::new("/home"))) {
        init.push(Step::Give { path: relative(home), owner });
    }
    if let Some(workdir) = identity::working_directory(spec, host) {
        place(&workdir, 0o755, true, [owner, user], init);
    }
}

/// A directory or a file that has to be there, with its parents; whose the parents are, and whose it is itself.
pub fn place(path: &Path, mode: u32, is_directory: bool, owners: [Option<User>; 2], steps: &mut Vec<Step>) {
    let [owner_of_parents, owner] = owners;
    let parents: Vec<&Path> = path.ancestors().skip(1).filter(|parent| parent.parent().is_some()).collect();
    for parent in parents.into_iter().rev() {
        push(steps, Step::Place { path: relative(parent), mode: 0o755, directory: true, owner: owner_of_parents });
    }
    if path.parent().is_some() {
        push(steps, Step::Place { path: relative(path), mode, directory: is_directory, owner });
    }
}

/// Each path once: who wanted it first said how.
fn push(steps: &mut Vec<Step>, step: Step) {
    let Step::Place { path: wanted, .. } = &step else { return };
    if !steps.iter().any(|made| matches!(made, Step::Place { path, .. } if path == wanted)) {
        steps.push(step);
    }
}
