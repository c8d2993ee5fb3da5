//! The git that belljar brings into sandboxes of images that have none.
//!
//! The image `git` (rootfs/git) has one below [`PLACE`] with all that it needs but a shell. It is copied in when it is first wanted, by the
//! way of every other copy, and counts as the sandbox's own files from then on: on a full disk it does not come, and says so.

use crate::error::{Error, Kind};
use crate::images;
use crate::name::Name;
use crate::tools::bulk::Sink;
use crate::tools::{Client, Request, tree};
use crate::verbs::Site;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where it is, in its image and in sandboxes.
const PLACE: &str = "opt/belljar/git";
/// What is called there.
pub const PROGRAM: &str = "/opt/belljar/git/bin/git";
/// What the image's own is called, found by the sandbox's `PATH`.
pub const OWN: &str = "git";

/// Calls git: the image's own, else the one that was brought; where there is neither, it is brought first. `call` gets its name.
pub fn with<T>(
    site: &Site<'_>,
    sandbox: &str,
    mut call: impl FnMut(&'static str) -> Result<T, Error>,
) -> Result<T, Error> {
    for program in [OWN, PROGRAM] {
        match call(program) {
            Err(error) if error.kind == Kind::NoCommand => {}
            answer => return answer,
        }
    }
    bring(site, sandbox)?;
    call(PROGRAM).map_err(|error| match error.kind {
        Kind::NoCommand => Error::new(
            Kind::NoCommand,
            "the git that was brought into the sandbox cannot run: its image has no /bin/sh",
        )
        .hint("take an image with a shell, or with the package `git`"),
        _ => error,
    })
}

/// Copies it in.
fn bring(site: &Site<'_>, sandbox: &str) -> Result<(), Error> {
    let store = site.store()?;
    let lease = store.find_own("git")?;
    let found = lease.as_ref().and_then(|lease| tree_of(&store, lease)).ok_or_else(missing)?;
    (site.say)("the sandbox's image has no git: bringing in that of the image `git`, to /opt/belljar/git");
    let coming = Name::from(format!("/opt/belljar/coming-{}/git", std::process::id()).as_str());
    let above = Name::from(coming.path().parent().unwrap_or(Path::new("/")));
    let order = |request: &Request| client(site, sandbox)?.ask(request, None, &mut |_| Ok(()), &mut |_| Ok(()));
    order(&Request::MakeDirectory { path: above.clone(), parents: true, mode: 0o755 }).map_err(not_brought)?;
    let placed = push(site, sandbox, &found, &coming).and_then(|()| {
        let to = Name::from("/opt/belljar");
        match order(&Request::Move { from: coming.clone(), to, replace: false }) {
            // Another call was as quick.
            Err(error) if matches!(error.kind, Kind::Exists | Kind::NotEmpty) => Ok(()),
            moved => moved,
        }
    });
    let removed = order(&Request::Remove { path: above, recursive: true, force: true });
    placed.and(removed).map_err(not_brought)
}

/// Sends the directory.
fn push(site: &Site<'_>, sandbox: &str, from: &Path, to: &Name) -> Result<(), Error> {
    let request = Request::Push { path: to.clone(), name: Name::from("git") };
    let mut left_out = None;
    let mut send = |to: &mut dyn Sink| {
        tree::pack(from, Path::new(tree::MEMBER), tree::Owner::Caller, to, &mut |skipped| {
            left_out = Some(skipped);
            Ok(())
        })
    };
    client(site, sandbox)?.ask(&request, Some(&mut send), &mut |_| Ok(()), &mut |_| Ok(()))?;
    match left_out {
        Some(skipped) => Err(Error::new(Kind::Failed, format!("`{}` of it: {}", skipped.path, skipped.why))),
        None => Ok(()),
    }
}

fn client(site: &Site<'_>, sandbox: &str) -> Result<Client, Error> {
    Client::start(site.home()?, OsStr::new(sandbox), false)
}

/// Where its files are, in the highest layer that has them.
fn tree_of(store: &images::Store, lease: &images::store::Lease) -> Option<PathBuf> {
    let layers = lease.record.layers.iter().rev().map(|layer| store.layer(layer).join(PLACE));
    layers.into_iter().find(|path| path.join("bin/git").symlink_metadata().is_ok())
}

fn missing() -> Error {
    Error::new(Kind::NoCommand, "there is no git in the sandbox, and none on this machine that could be brought in").hint(
        "`belljar image build git` makes one, which offline machines get by `image save` and `image load`; or take an image with the \
         package `git`, or no `--image`, which is this machine's own",
    )
}

fn not_brought(error: Error) -> Error {
    Error { message: format!("git cannot be brought into the sandbox: {}", error.message), ..error }
}
