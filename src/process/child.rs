//! Between clone and exec: what pid 1 and the payload share.
//!
//! Takes no decision, allocates nothing, formats nothing, and never returns to the supervisor's code. All memory it
//! reads was prepared before the clone. pid 1 and the payload share their memory until the payload executes, so
//! that nothing is copied and a failure of either is known to both.

use super::given::Room;
use super::meeting::{Meeting, NEVER, announce, await_change};
use super::report::{Applied, Frame, Refusal, Stop, at};
use crate::step::{Call, Capabilities, Slot, Step};
use crate::sys::child::{self, CWD, Fd};
use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::Ordering;

/// Everything that both processes read.
pub struct Context<'a> {
    /// pid 1's steps.
    pub init: &'a [Step],
    /// The payload's steps.
    pub payload: &'a [Step],
    /// The socket to the supervisor.
    pub control: Fd,
    /// Ranges of descriptors that are the supervisor's own business, closed at once.
    pub foreign: &'a [(u32, u32)],
    /// The landlock ruleset, or -1.
    pub ruleset: Fd,
    /// What pid 1 or the leader is there for.
    pub duty: Duty,
    /// The namespaces to join.
    pub namespaces: &'a [Fd],
    /// The sandbox's cgroup, or -1.
    pub cgroup: Fd,
    /// The code to copy in, or the program to execute, or -1.
    pub code: Fd,
    /// After how long pid 1 or the leader ends the command by itself.
    pub time_left: Option<libc::timespec>,
    /// What becomes 0, 1 and 2 of the payload.
    pub streams: [Fd; 3],
    /// `argv`, null-terminated.
    pub arguments: *const *const c_char,
    /// `envp`, null-terminated.
    pub environment: *const *const c_char,
    /// Where the command line is in memory: its first byte and its length.
    pub command_line: (*mut u8, usize),
    /// Where a command is read to that is not known yet.
    pub given: Option<&'a Room>,
    /// Upper end of the payload's stack.
    pub stack_top: *mut c_void,
    /// Whether the leader says what its command has used: nobody who wants to know is its parent.
    pub tells_usage: bool,
    /// Step that is made to fail, for tests: of the payload, index.
    pub fail: Option<(bool, usize)>,
    /// Where the two meet.
    pub meeting: Meeting,
}

/// What the first process of a launch is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// pid 1 of a sandbox that ends with its command.
    Run,
    /// pid 1 of a sandbox that waits for what joins it, and ends when it is told to.
    Wait,
    /// The leader of a command that joins: ends with the command, and ends what is left of it when it is told to.
    Lead,
    /// pid 1 of a sandbox that is made before anybody has a command for it: it is told which process that is, which somebody else
    /// brings inside, and ends with it.
    Spare,
}

/// What one process holds on its way.
pub struct Walk {
    /// Whether pid 1 is in the sandbox's cgroup.
    pub in_cgroup: bool,
    /// The mounted root.
    pub root: Fd,
    /// The mounted procfs.
    pub proc: Fd,
    /// The host's `/dev`, and the sandbox's.
    pub devices: (Fd, Fd),
    /// The writable layer, where it is held.
    pub writable: Fd,
    /// `/proc/sys` as it was before it became read-only.
    pub settings: Fd,
    /// The lists of System V IPC, where they are held.
    pub ipc: [Fd; 3],
    /// The master side of the terminal.
    pub terminal: Fd,
    /// What packets leave the sandbox through, until the supervisor has it.
    pub device: Fd,
    /// The sandbox's network, while we are in another.
    pub network: Fd,
    /// The payload's process, in pid 1.
    pub payload: i32,
    /// Whether that is one that somebody else has brought inside.
    pub taken: bool,
    /// After how long pid 1 or the leader ends the command by itself.
    pub time_left: Option<libc::timespec>,
    /// The same as a descriptor.
    pub payload_pidfd: Fd,
}

impl Walk {
    /// Nothing yet.
    pub const fn new() -> Walk {
        Walk {
            in_cgroup: true,
            root: -1,
            proc: -1,
            devices: (-1, -1),
            writable: -1,
            settings: -1,
            ipc: [-1; 3],
            terminal: -1,
            device: -1,
            network: -1,
            payload: -1,
            taken: false,
            time_left: None,
            payload_pidfd: -1,
        }
    }
}

/// The machine has some thousands of terminals for everybody.
const TERMINALS: &CStr = c"newinstance,ptmxmode=0666,mode=0620,max=64";

/// Walks through `steps`; stops at the first refusal.
pub fn walk(steps: &[Step], payload: bool, context: &Context<'_>, walk: &mut Walk) -> Result<(), Refusal> {
    for (index, step) in steps.iter().enumerate() {
        let refused = |stop| Refusal { step: index as u16, stop };
        if context.fail == Some((payload, index)) {
            return Err(refused(Stop::at(Call::Only, libc::EIO)));
        }
        apply(step, context, walk).map_err(refused)?;
    }
    Ok(())
}

fn apply(step: &Step, context: &Context<'_>, walk: &mut Walk) -> Applied {
    match step {
        Step::MapIds { uid_map, gid_map } => map_ids(uid_map, gid_map),
        Step::ForgetCommandLine => super::init::forget_command_line(context.command_line),
        Step::AwaitIdMaps => await_id_maps(context.control),
        Step::DieWithSupervisor => {
            at(Call::Only, child::process_control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0)).map(|_| ())
        }
        Step::BeUndumpable => at(Call::Only, child::process_control(libc::PR_SET_DUMPABLE, 0, 0)).map(|_| ()),
        Step::NewCgroups => new_cgroups(context, walk),
        Step::StartPayload { namespaces } => super::init::start_payload(context, walk, *namespaces),
        Step::MapPayload { uid_map, gid_map } => map_payload(walk, uid_map, gid_map),
        Step::HostName(name) => at(Call::Only, child::set_host_name(name.to_bytes())),
        Step::PrivateMounts => at(Call::Only, child::mount(c"", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c"")),
        Step::Scaffold { options } => {
            // umask of the caller must not shape the skeleton.
            child::umask(0);
            at(Call::Mount, child::mount(c"tmpfs", c"/proc", c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV, options))?;
            at(Call::ChangeDirectory, child::change_directory(c"/proc"))
        }
        Step::Sealed => super::mount::sealed(),
        Step::Directory { path, mode } => at(Call::Only, child::make_directory(CWD, path, *mode)),
        Step::Link { target, path } => at(Call::Only, child::symlink(target, CWD, path)),
        Step::EmptyFile { path } => at(Call::Only, child::make_file(CWD, path, 0o644)),
        Step::File { path, mode, content } => write_file(path, *mode, content),
        Step::CopyIn { path, mode, from: Slot::Code } => copy_in(path, *mode, context.code),
        Step::Own { path, uid, gid } => at(Call::Only, child::change_owner(CWD, path, *uid, *gid)),
        Step::Root => {
            at(Call::Bind, child::mount(c"root", c"root", c"", libc::MS_BIND, c""))?;
            walk.root =
                at(Call::Open, child::open(CWD, c"root", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0))?;
            Ok(())
        }
        Step::HoldWritable { path } => {
            walk.writable =
                at(Call::Only, child::open(CWD, path, libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC, 0))?;
            Ok(())
        }
        Step::Overlay { options } => super::mount::overlay(walk, options),
        Step::Give { path, owner } => super::mount::give(walk, path, *owner),
        Step::Place { path, mode, directory, owner } => super::mount::place(walk, path, *mode, *directory, *owner),
        Step::Bind { source, target, access } => super::mount::bind(walk, source, target, *access),
        Step::BindBeneath { root, path, target, access } => {
            super::mount::bind_beneath(walk, root, path, target, *access)
        }
        Step::Show { source, target } => {
            at(Call::Only, child::mount(source, target, c"", libc::MS_BIND | libc::MS_REC, c""))
        }
        Step::SealTrees => super::mount::seal_trees(walk),
        Step::Tmpfs { path, executable, options } => super::mount::tmpfs(path, *executable, options),
        Step::Cover { path } => super::mount::cover(walk, path),
        Step::SealPath { path } => super::mount::seal_path(walk, path),
        Step::SealRoot => super::mount::seal_root(walk),
        Step::OpenDevices => super::mount::open_devices(walk),
        Step::SealDevices => super::mount::seal_devices(walk),
        Step::MaskSources => super::mount::mask_sources(),
        Step::Device { name, number } => super::mount::device(walk, name, *number),
        Step::Proc => super::mount::proc(walk),
        Step::Mask { name, directory } => super::mount::mask(name, *directory),
        Step::View { source, name } => super::mount::view(source, name),
        Step::MountCgroups => super::mount::mount_cgroups(),
        Step::Setting { name, value, of } => super::mount::setting(walk, name, value, *of),
        Step::SealSettings => super::mount::seal_settings(walk),
        Step::HoldIpc => super::mount::hold_ipc(walk),
        Step::SealProc => super::mount::seal_proc(),
        Step::BeExpendable => at(Call::Only, write_to(c"/proc/self/oom_score_adj", b"1000")),
        Step::Terminals => at(
            Call::Only,
            child::mount(c"devpts", c"root/dev/pts", c"devpts", libc::MS_NOSUID | libc::MS_NOEXEC, TERMINALS),
        ),
        Step::EnterRoot => enter_root(),
        Step::DetachHost => detach_host(),
        Step::JoinNetwork => join_network(context, walk),
        Step::OpenTerminal => {
            let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
            walk.terminal = at(Call::Open, child::open(CWD, c"/dev/ptmx", flags, 0))?;
            at(Call::Unlock, child::unlock_terminal(walk.terminal))
        }
        Step::ReportReady { namespaces } => super::init::report_ready(context, walk, namespaces),
        Step::JoinNamespaces { kinds } => super::leader::join(context, kinds),
        Step::JoinUsers => super::leader::join_users(context),
        Step::ReportUsers => super::init::report_users(context),
        Step::EnterCgroup => enter_cgroup(context, walk, Call::Write),
        Step::Lead => super::leader::lead(context, walk),
        Step::OfferRoot => announce(&context.meeting.root),
        Step::AwaitPublisher => super::init::await_publisher(context, walk),
        Step::ReleasePayload => {
            super::given::await_command(context, walk).and_then(|()| announce(&context.meeting.release))
        }
        Step::NewNetwork => at(Call::Only, child::unshare(libc::CLONE_NEWNET)),
        Step::LoopbackUp => super::device::loopback_up(),
        Step::OpenTun { index } => super::device::open_tun(walk, *index),
        Step::OpenPacketSocket { index } => super::device::open_packet_socket(walk, *index),
        Step::Netlink { message, .. } => super::device::netlink(message),
        Step::NewPeerNetwork => super::device::new_peer_network(walk),
        Step::MakePair { message } => super::device::make_pair(walk, message),
        Step::ReturnToNetwork => super::device::return_to_network(walk),
        Step::HandDevice => super::device::hand_over(context, walk),
        Step::NetworkReady => announce(&context.meeting.network),
        Step::AwaitRoot => {
            await_change(&context.meeting.root);
            Ok(())
        }
        Step::AwaitRelease => match await_change(&context.meeting.release) {
            NEVER => child::exit(125),
            _ => Ok(()),
        },
        Step::Processors(processors) => at(Call::Only, child::set_affinity(processors.mask())),
        Step::NewSession => at(Call::Only, child::new_session()),
        Step::TakeTerminal => take_terminal(),
        Step::NewTerminal => new_terminal(context),
        Step::StandardStreams => standard_streams(context.streams),
        Step::FileModeMask(mask) => {
            child::umask(*mask);
            Ok(())
        }
        Step::WorkingDirectory(path) => at(Call::Only, child::change_directory(path)),
        Step::DefaultSignals => super::payload::default_signals(),
        Step::Limit { resource, soft, hard, .. } => at(Call::Only, child::set_limit(*resource, *soft, *hard)),
        Step::SessionKeyring { needed } => match child::new_session_keyring() {
            // A kernel without keyrings, or the filter of a container around us, has none to share.
            Err(libc::ENOSYS | libc::EPERM) => Ok(()),
            // Not without the supervisor's knowledge.
            Err(libc::EDQUOT) if !needed => {
                at(Call::TellSupervisor, child::send_descriptors(context.control, &Frame::KeyringShared.encode(), &[]))
            }
            other => at(if *needed { Call::Only } else { Call::KeyControl }, other),
        },
        Step::DropBounding { last, keep } => drop_bounding(*last, *keep),
        Step::BecomeMounter { uid, gid } => super::init::become_mounter(*uid, *gid),
        Step::BecomeUser { uid, gid } => {
            at(Call::SetGroups, child::clear_groups())?;
            at(Call::SetGid, child::set_gid(*gid))?;
            at(Call::SetUid, child::set_uid(*uid))
        }
        Step::ClearCapabilities { keep } => at(Call::Only, child::set_capabilities(keep.bits())),
        Step::NoNewPrivileges => at(Call::Only, child::process_control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)).map(|_| ()),
        Step::Landlock { rules } => landlock(context.ruleset, rules),
        Step::CloseDescriptors => at(Call::Only, child::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)),
        Step::UnblockSignals => at(Call::Only, child::set_signal_mask(0)),
        Step::Seccomp { program, .. } => at(Call::Only, child::install_filter(program)),
        Step::Execute(command) => super::payload::execute(&command.candidates, context),
        Step::Leave => {
            context.meeting.executing.store(1, Ordering::Release);
            child::exit(0)
        }
    }
}

fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<(), i32> {
    while !bytes.is_empty() {
        match child::write(fd, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(libc::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn write_to(path: &CStr, bytes: &[u8]) -> Result<(), i32> {
    let fd = child::open(CWD, path, libc::O_WRONLY | libc::O_CLOEXEC, 0)?;
    let result = write_all(fd, bytes);
    child::close(fd);
    result
}

fn map_ids(uid_map: &CStr, gid_map: &CStr) -> Applied {
    // Without privileges a gid may be mapped only after setgroups(2) is given up (CVE-2014-8989).
    at(Call::WriteSetgroups, write_to(c"/proc/self/setgroups", b"deny"))?;
    at(Call::WriteUidMap, write_to(c"/proc/self/uid_map", uid_map.to_bytes()))?;
    at(Call::WriteGidMap, write_to(c"/proc/self/gid_map", gid_map.to_bytes()))
}

/// The pid that the kernel gives to the second process of a pid namespace.
const SECOND: i32 = 2;

fn map_payload(walk: &Walk, uid_map: &CStr, gid_map: &CStr) -> Applied {
    if walk.payload != SECOND {
        return Err(Stop::at(Call::Look, libc::ESRCH));
    }
    at(Call::WriteUidMap, write_to(c"/proc/2/uid_map", uid_map.to_bytes()))?;
    at(Call::WriteGidMap, write_to(c"/proc/2/gid_map", gid_map.to_bytes()))
}

/// Where clone3(2) is not known the clone has not put us into the cgroup.
fn new_cgroups(context: &Context<'_>, walk: &mut Walk) -> Applied {
    enter_cgroup(context, walk, Call::EnterCgroup)?;
    at(Call::Unshare, child::unshare(libc::CLONE_NEWCGROUP))
}

/// `call` is what it is called in messages to write there.
fn enter_cgroup(context: &Context<'_>, walk: &mut Walk, call: Call) -> Applied {
    if context.cgroup >= 0 && !walk.in_cgroup {
        let procs =
            at(Call::OpenCgroup, child::open(context.cgroup, c"cgroup.procs", libc::O_WRONLY | libc::O_CLOEXEC, 0))?;
        // 0 is whoever writes it.
        let entered = at(call, write_all(procs, b"0"));
        child::close(procs);
        entered?;
    }
    if context.cgroup >= 0 {
        child::close(context.cgroup);
    }
    Ok(())
}

fn await_id_maps(control: Fd) -> Applied {
    let mut byte = [0u8; 1];
    match at(Call::Only, child::read(control, &mut byte))? {
        // The supervisor is gone: nobody is left to tell.
        0 => child::exit(125),
        _ => Ok(()),
    }
}

fn write_file(path: &CStr, mode: u32, content: &[u8]) -> Applied {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    let fd = at(Call::Open, child::open(CWD, path, flags, mode))?;
    let result = at(Call::Write, write_all(fd, content));
    child::close(fd);
    result
}

fn copy_in(path: &CStr, mode: u32, from: Fd) -> Applied {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    let fd = at(Call::Open, child::open(CWD, path, flags, mode))?;
    let result = loop {
        match child::send_file(fd, from, 1 << 20) {
            Ok(0) => break Ok(()),
            Ok(_) | Err(libc::EINTR) => {}
            Err(errno) => break Err(Stop::at(Call::SendFile, errno)),
        }
    };
    child::close(fd);
    result
}

fn enter_root() -> Applied {
    // The scaffold lies on the host's `/proc`.
    at(Call::ChangeDirectory, child::change_directory(c"/proc/root"))?;
    // pivot_root(2), "pivot_root(".", ".")": the old root lies on top of the new one, and the working directory
    // is the old one until it is detached. The payload's process, which stood at the old root, stands at the new one.
    at(Call::PivotRoot, child::pivot_root(c".", c"."))
}

fn detach_host() -> Applied {
    // Once, since each detach waits for the kernel's readers.
    at(Call::Unmount, child::unmount(c".", libc::MNT_DETACH))?;
    at(Call::ChangeDirectory, child::change_directory(c"/"))
}

fn join_network(context: &Context<'_>, walk: &Walk) -> Applied {
    match super::init::await_network(context, walk) {
        NEVER => Err(Stop::at(Call::Wait, libc::ENETDOWN)),
        _ => at(Call::SetNamespace, child::join_namespace(walk.payload_pidfd, libc::CLONE_NEWNET)),
    }
}

fn take_terminal() -> Applied {
    // The sandbox's devpts is new, and so its first terminal is number 0.
    let fd = at(Call::Open, child::open(CWD, c"/dev/pts/0", libc::O_RDWR | libc::O_NOCTTY, 0))?;
    at(Call::TakeTerminal, child::control(fd, libc::TIOCSCTTY as u32, 0))?;
    on_standard_streams(fd)
}

fn on_standard_streams(fd: Fd) -> Applied {
    for standard in 0..=2 {
        if fd != standard {
            at(Call::Duplicate, child::duplicate(fd, standard, 0))?;
        }
    }
    Ok(())
}

fn new_terminal(context: &Context<'_>) -> Applied {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    let master = at(Call::Open, child::open(CWD, c"/dev/ptmx", flags, 0))?;
    at(Call::Unlock, child::unlock_terminal(master))?;
    // By no name: whatever stands in the sandbox's /dev/pts, this is the other side of ours (ioctl_tty(2)).
    let fd = at(Call::TerminalPeer, child::terminal_peer(master, flags))?;
    at(Call::TakeTerminal, child::control(fd, libc::TIOCSCTTY as u32, 0))?;
    on_standard_streams(fd)?;
    at(Call::Send, child::send_descriptors(context.control, &Frame::Terminal.encode(), &[master]))?;
    child::close(master);
    Ok(())
}

fn standard_streams(streams: [Fd; 3]) -> Applied {
    for (standard, fd) in (0..).zip(streams) {
        if fd == standard {
            at(Call::Only, child::keep_at_exec(fd))?;
        } else {
            at(Call::Only, child::duplicate(fd, standard, 0))?;
        }
    }
    Ok(())
}

fn drop_bounding(last: u8, keep: Capabilities) -> Applied {
    const PR_CAP_AMBIENT: i32 = 47;
    const PR_CAP_AMBIENT_CLEAR_ALL: u64 = 4;
    at(Call::Ambient, child::process_control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0))?;
    for capability in (0..=last).filter(|capability| !keep.has(*capability)) {
        at(Call::Bounding, child::process_control(libc::PR_CAPBSET_DROP, u64::from(capability), 0))?;
    }
    Ok(())
}

fn landlock(ruleset: Fd, rules: &[(std::ffi::CString, u64)]) -> Applied {
    for (path, access) in rules {
        let fd = at(Call::Open, child::open(CWD, path, libc::O_PATH | libc::O_CLOEXEC, 0))?;
        let result = at(Call::AddRule, child::allow_beneath(ruleset, fd, *access));
        child::close(fd);
        result?;
    }
    at(Call::Restrict, child::restrict_self(ruleset))
}
