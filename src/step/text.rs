//! Steps as they are read aloud: in `--dry-run`, in error messages, in tests.

use super::Step;
use crate::spec::User;
use std::ffi::CString;
use std::fmt;

/// Text of a path for people.
fn show(path: &CString) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

/// The lines of a map on one line.
fn lines(map: &CString) -> String {
    show(map).trim_end().replace('\n', ", ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::MapIds { uid_map, gid_map } => {
                write!(f, "map ids: uid {}, gid {}", show(uid_map).trim_end(), show(gid_map).trim_end())
            }
            Step::ForgetCommandLine => f.write_str("forget the command line"),
            Step::AwaitIdMaps => f.write_str("wait for the id maps"),
            Step::DieWithSupervisor => f.write_str("die with the supervisor"),
            Step::BeUndumpable => f.write_str("be undumpable"),
            Step::NewCgroups => f.write_str("unshare the cgroup namespace"),
            Step::StartPayload { namespaces: 0 } => f.write_str("clone the payload"),
            Step::StartPayload { .. } => f.write_str("clone the payload into a user namespace of its own"),
            Step::MapPayload { uid_map, gid_map } => {
                write!(f, "map the payload's ids: uid {}, gid {}", lines(uid_map), lines(gid_map))
            }
            Step::HostName(name) => write!(f, "set host name {}", show(name)),
            Step::PrivateMounts => f.write_str("make all mounts private"),
            Step::Scaffold { options } => write!(f, "mount scaffold tmpfs ({})", show(options)),
            Step::Sealed => f.write_str("mount ramfs on sealed"),
            Step::Directory { path, mode } => write!(f, "make directory {} {mode:04o}", show(path)),
            Step::Link { target, path } => write!(f, "link {} to {}", show(path), show(target)),
            Step::EmptyFile { path } => write!(f, "make file {}", show(path)),
            Step::File { path, mode, .. } => write!(f, "write file {} {mode:04o}", show(path)),
            Step::CopyIn { path, mode, .. } => write!(f, "copy in {} {mode:04o}", show(path)),
            Step::Own { path, uid, gid } => write!(f, "give {} to {uid}:{gid}", show(path)),
            Step::Root => f.write_str("make root a mount"),
            Step::Overlay { options } => write!(f, "mount overlay on root ({})", show(options)),
            Step::Place { path, mode, directory: true, .. } => {
                write!(f, "have directory {} {mode:04o}", show(path))
            }
            Step::Place { path, .. } => write!(f, "have file {}", show(path)),
            Step::Give { path, owner: User { uid, gid } } => write!(f, "give {} to {uid}:{gid}", show(path)),
            Step::Show { source, target } => write!(f, "show {} at {}", show(source), show(target)),
            Step::SealTrees => f.write_str("make what is shown read-only"),
            Step::Tmpfs { path, options, .. } => write!(f, "mount tmpfs on {} ({})", show(path), show(options)),
            Step::Cover { path } => write!(f, "cover {}", show(path)),
            Step::SealPath { path } => write!(f, "make {} read-only", show(path)),
            Step::SealRoot => f.write_str("make root read-only"),
            Step::OpenDevices => f.write_str("open the devices"),
            Step::SealDevices => f.write_str("make dev read-only"),
            Step::MaskSources => f.write_str("prepare masks"),
            Step::Bind { source, target, access } => {
                write!(f, "bind {} on {} {}", show(source), show(target), access.name())
            }
            Step::BindBeneath { root, path, target, access } => {
                let (root, path, target) = (show(root), show(path), show(target));
                write!(f, "bind {path} in {root} on {target} {}", access.name())
            }
            Step::Device { name, number: (major, minor) } => {
                write!(f, "bind device {major}:{minor} on dev/{}", show(name))
            }
            Step::Proc => f.write_str("mount proc on proc"),
            Step::Mask { name, directory } => {
                write!(f, "mask proc/{}{}", show(name), if *directory { "/" } else { "" })
            }
            Step::View { name, .. } => write!(f, "show our own proc/{}", show(name)),
            Step::MountCgroups => f.write_str("mount cgroup2 on root/sys/fs/cgroup read-only"),
            Step::Setting { name, value, .. } => write!(f, "set {} to {}", show(name), show(value)),
            Step::SealSettings => f.write_str("make proc/sys read-only"),
            Step::HoldIpc => f.write_str("hold the lists of System V IPC"),
            Step::SealProc => f.write_str("make proc read-only"),
            Step::BeExpendable => f.write_str("be the first to go when memory is short"),
            Step::Terminals => f.write_str("mount devpts on dev/pts"),
            Step::HoldWritable { path } => write!(f, "hold {}", show(path)),
            Step::EnterRoot => f.write_str("pivot into root"),
            Step::DetachHost => f.write_str("detach the host's tree"),
            Step::JoinNetwork => f.write_str("join the payload's network namespace"),
            Step::OpenTerminal => f.write_str("open a terminal"),
            Step::ReportReady { namespaces } if namespaces.is_empty() => f.write_str("hand the supervisor / and /proc"),
            Step::ReportReady { .. } => f.write_str("hand the supervisor /, /proc and the namespaces"),
            Step::JoinNamespaces { .. } => f.write_str("join the sandbox's namespaces"),
            Step::JoinUsers => f.write_str("join the user namespace of the range"),
            Step::ReportUsers => f.write_str("hand the supervisor the user namespace of the range"),
            Step::EnterCgroup => f.write_str("enter the sandbox's cgroup"),
            Step::Lead => f.write_str("clone the leader inside"),
            Step::NewTerminal => f.write_str("open a terminal and take it"),
            Step::Leave => f.write_str("leave"),
            Step::OfferRoot => f.write_str("let the payload into the root"),
            Step::AwaitPublisher => f.write_str("wait for the publisher"),
            Step::ReleasePayload => f.write_str("release the payload"),
            Step::NewNetwork => f.write_str("unshare the network namespace"),
            Step::LoopbackUp => f.write_str("bring lo up"),
            Step::OpenTun { .. } => f.write_str("open the tun device eth0"),
            Step::OpenPacketSocket { .. } => f.write_str("open a packet socket on up0"),
            Step::Netlink { what, .. } => f.write_str(what),
            Step::NewPeerNetwork => f.write_str("unshare another network namespace"),
            Step::MakePair { .. } => f.write_str("make a veth pair between both"),
            Step::ReturnToNetwork => f.write_str("return to the sandbox's network namespace"),
            Step::HandDevice => f.write_str("hand the supervisor the device"),
            Step::NetworkReady => f.write_str("announce the network"),
            Step::AwaitRoot => f.write_str("wait for the root"),
            Step::AwaitRelease => f.write_str("wait for the release"),
            // Not which: that is another one at every start.
            Step::Processors(processors) => write!(f, "run on no more CPUs than {}", processors.count()),
            Step::NewSession => f.write_str("start a session"),
            Step::TakeTerminal => f.write_str("take the terminal"),
            Step::StandardStreams => f.write_str("set standard streams"),
            Step::FileModeMask(mask) => write!(f, "set umask {mask:03o}"),
            Step::WorkingDirectory(path) => write!(f, "enter {}", show(path)),
            Step::DefaultSignals => f.write_str("reset signal actions"),
            Step::Limit { name, soft, hard, .. } => write!(f, "limit {name} to {soft} (hard {hard})"),
            Step::SessionKeyring { needed: true } => f.write_str("join a new session keyring"),
            Step::SessionKeyring { needed: false } => {
                f.write_str("join a new session keyring, unless the quota of keys is used up")
            }
            Step::DropBounding { keep, .. } => write!(f, "drop ambient and bounding capabilities{keep}"),
            Step::BecomeMounter { uid, gid } => write!(f, "become {uid}:{gid} to mount"),
            Step::BecomeUser { uid, gid } => write!(f, "become {uid}:{gid}"),
            Step::ClearCapabilities { keep } => write!(f, "clear capabilities{keep}"),
            Step::NoNewPrivileges => f.write_str("set no_new_privs"),
            Step::Landlock { rules, .. } => {
                f.write_str("restrict by landlock:")?;
                rules.iter().try_for_each(|(path, access)| write!(f, " {}={access:#x}", show(path)))
            }
            Step::CloseDescriptors => f.write_str("close descriptors above 2 at exec"),
            Step::UnblockSignals => f.write_str("unblock signals"),
            Step::Seccomp { name, program } => {
                write!(f, "install seccomp profile {name} ({} instructions)", program.len())
            }
            Step::Execute(command) => {
                f.write_str("execute")?;
                command.candidates.iter().try_for_each(|path| write!(f, " {}", show(path)))
            }
        }
    }
}
