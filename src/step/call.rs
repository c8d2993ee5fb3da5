//! The calls of a step: which of them was refused travels as one byte, and is told by its name.

/// Declares [`Call`], a call and its name a line.
macro_rules! calls {
    ($($call:ident = $name:literal,)*) => {
        /// A call of a step that takes more than one, by what it does there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Call {
            /// The step is this one call, and its own words say what that does.
            Only,
            $(#[doc = concat!("`", $name, "`.")] $call,)*
        }

        impl Call {
            /// All of them, each at the place that is its number.
            const ALL: &'static [Call] = &[Call::Only, $(Call::$call,)*];

            /// Its name in messages, where it has one.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    Call::Only => None,
                    $(Call::$call => Some($name),)*
                }
            }
        }
    };
}

calls! {
    AddRule = "add rule",
    Ambient = "ambient",
    Attach = "TUNSETIFF",
    BecomeReaper = "become the reaper",
    Acknowledge = "acknowledge",
    Bind = "bind",
    Bounding = "bounding",
    ChangeDirectory = "chdir",
    ChangeOwner = "chown",
    Check = "check",
    Clone = "clone",
    Control = "ioctl",
    Duplicate = "dup",
    EnterCgroup = "enter the cgroup",
    GiveAway = "give away",
    Hold = "hold",
    Index = "TUNSETIFINDEX",
    JoinCgroups = "cgroup",
    JoinHostName = "uts",
    JoinIpc = "ipc",
    JoinMounts = "mount",
    JoinNetwork = "net",
    JoinPids = "pid",
    JoinUsers = "user",
    KeyControl = "keyctl",
    Look = "look",
    Make = "make",
    Mount = "mount",
    MoveMount = "move_mount",
    NoOtherDevices = "no devices but these",
    Open = "open",
    OpenBeneath = "open beneath",
    OpenCgroup = "open cgroup.procs",
    OpenHost = "open host's",
    OpenMountPoint = "open mount point",
    OpenNamespace = "open a namespace",
    OpenParent = "open parent",
    OpenProc = "open /proc",
    OpenRoot = "open /",
    OpenSandbox = "open sandbox's",
    OpenTree = "open_tree",
    OpenVolume = "open volume",
    PivotRoot = "pivot_root",
    ReadOnly = "read-only",
    Restrict = "restrict",
    RootWritable = "root writable",
    Offload = "TUNSETOFFLOAD",
    Option = "setsockopt",
    Send = "send",
    SendFile = "sendfile",
    SetAttributes = "mount_setattr",
    SetGid = "setresgid",
    SetGroups = "setgroups",
    SetNamespace = "setns",
    SetUid = "setresuid",
    Socket = "socket",
    TakeTerminal = "TIOCSCTTY",
    TellSupervisor = "tell the supervisor",
    TerminalPeer = "TIOCGPTPEER",
    Unlock = "unlock",
    Unmount = "umount",
    Unshare = "unshare",
    Wait = "wait",
    Write = "write",
    WriteGidMap = "write gid_map",
    WriteSetgroups = "write setgroups",
    WriteUidMap = "write uid_map",
}

impl Call {
    /// The call of that number; `None` for what is none.
    pub fn from_byte(byte: u8) -> Option<Call> {
        Call::ALL.get(usize::from(byte)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Call;

    #[test]
    fn every_call_is_found_by_its_number() {
        for call in Call::ALL {
            assert_eq!(Call::from_byte(*call as u8), Some(*call));
        }
        assert_eq!(Call::from_byte(Call::ALL.len() as u8), None);
    }
}
