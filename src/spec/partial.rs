//! A spec of which anything may be left open: what one spec file says, or what the flags say.
//!
//! Flags win over a file field by field; lists append, those of the file first, so that order keeps its
//! meaning and a later variable wins. What neither names takes the default of [`Spec`].

use super::network::PolicyFile;
use super::{
    CgroupParent, Mount, Network, OutputLimit, Program, Protection, Publish, Requirement, Rule, Seccomp, Spec, User,
    Userns,
};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What was said of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkWish {
    /// A mode.
    Mode(Network),
    /// A file with a policy, not read yet.
    File(PathBuf),
}

/// A wish with gaps. `None` and empty lists mean "not said".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartialSpec {
    /// See [`Spec::program`].
    pub program: Option<Program>,
    /// See [`Spec::image`].
    pub image: Option<String>,
    /// See [`Spec::memory`].
    pub memory: Option<u64>,
    /// See [`Spec::millicpus`].
    pub millicpus: Option<u32>,
    /// See [`Spec::pids`].
    pub pids: Option<u32>,
    /// See [`Spec::disk`].
    pub disk: Option<u64>,
    /// See [`Spec::disk_bandwidth`].
    pub disk_bandwidth: Option<u64>,
    /// See [`Spec::timeout`]; `Some(None)` is the word `none`.
    pub timeout: Option<Option<Duration>>,
    /// See [`Spec::cpu_time`].
    pub cpu_time: Option<Duration>,
    /// See [`Spec::output_limit`].
    pub output_limit: Option<OutputLimit>,
    /// See [`Spec::net`].
    pub net: Option<NetworkWish>,
    /// See [`Spec::allow`].
    pub allow: Vec<Rule>,
    /// See [`Spec::deny`].
    pub deny: Vec<Rule>,
    /// See [`Spec::net_rate`].
    pub net_rate: Option<u64>,
    /// See [`Spec::net_connections`].
    pub net_connections: Option<u32>,
    /// See [`Spec::publish`].
    pub publish: Vec<Publish>,
    /// See [`Spec::mounts`].
    pub mounts: Vec<Mount>,
    /// See [`Spec::env`].
    pub env: Vec<(OsString, OsString)>,
    /// See [`Spec::workdir`].
    pub workdir: Option<PathBuf>,
    /// See [`Spec::user`].
    pub user: Option<User>,
    /// See [`Spec::userns`].
    pub userns: Option<Userns>,
    /// See [`Spec::hostname`].
    pub hostname: Option<String>,
    /// See [`Spec::seccomp`]; the text of a custom profile is not read yet.
    pub seccomp: Option<Seccomp>,
    /// See [`Spec::stdin`].
    pub stdin: Option<PathBuf>,
    /// See [`Spec::tty`].
    pub tty: Option<bool>,
    /// See [`Spec::cgroup_parent`].
    pub cgroup_parent: Option<CgroupParent>,
    /// See [`Spec::require`].
    pub require: Vec<Requirement>,
    /// See [`Spec::allow_missing`].
    pub allow_missing: Vec<Protection>,
}

impl PartialSpec {
    /// This wish where it says something, `below` where it does not.
    pub fn over(self, below: PartialSpec) -> PartialSpec {
        PartialSpec {
            program: self.program.or(below.program),
            image: self.image.or(below.image),
            memory: self.memory.or(below.memory),
            millicpus: self.millicpus.or(below.millicpus),
            pids: self.pids.or(below.pids),
            disk: self.disk.or(below.disk),
            disk_bandwidth: self.disk_bandwidth.or(below.disk_bandwidth),
            timeout: self.timeout.or(below.timeout),
            cpu_time: self.cpu_time.or(below.cpu_time),
            output_limit: self.output_limit.or(below.output_limit),
            net: self.net.or(below.net),
            allow: append(below.allow, self.allow),
            deny: append(below.deny, self.deny),
            net_rate: self.net_rate.or(below.net_rate),
            net_connections: self.net_connections.or(below.net_connections),
            publish: append(below.publish, self.publish),
            mounts: append(below.mounts, self.mounts),
            env: append(below.env, self.env),
            workdir: self.workdir.or(below.workdir),
            user: self.user.or(below.user),
            userns: self.userns.or(below.userns),
            hostname: self.hostname.or(below.hostname),
            seccomp: self.seccomp.or(below.seccomp),
            stdin: self.stdin.or(below.stdin),
            tty: self.tty.or(below.tty),
            cgroup_parent: self.cgroup_parent.or(below.cgroup_parent),
            require: append(below.require, self.require),
            allow_missing: append(below.allow_missing, self.allow_missing),
        }
    }

    /// The file with a policy that has to be read.
    pub fn policy_file(&self) -> Option<PathBuf> {
        match &self.net {
            Some(NetworkWish::File(path)) => Some(path.clone()),
            Some(NetworkWish::Mode(_)) | None => None,
        }
    }

    /// This wish with what its policy file says.
    pub fn with_policy(self, file: PolicyFile) -> PartialSpec {
        let net = if file.open.unwrap_or(false) { Network::Open } else { Network::Only };
        let below = PartialSpec {
            allow: file.allow,
            deny: file.deny,
            net_rate: file.rate,
            net_connections: file.connections,
            ..PartialSpec::default()
        };
        PartialSpec { net: Some(NetworkWish::Mode(net)), ..self }.over(below)
    }

    /// The whole wish: defaults for all that was not said.
    pub fn into_spec(self) -> Spec {
        let default = Spec::default();
        let userns = self.userns.unwrap_or(default.userns);
        // Packages have programs with set-user-id bits, which may be set where nobody but the sandbox sees them.
        let seccomp = match userns {
            Userns::Range if self.mounts.iter().all(|mount| !mount.writable) => Seccomp::Builtin("packages".to_owned()),
            Userns::Range | Userns::Single => default.seccomp,
        };
        let net = match self.net {
            Some(NetworkWish::Mode(net)) => net,
            // Whoever names what is allowed wants that and nothing else. What a file allows is added by whoever reads it.
            Some(NetworkWish::File(_)) => Network::Only,
            None if !self.allow.is_empty() => Network::Only,
            None => default.net,
        };
        Spec {
            program: self.program.unwrap_or(default.program),
            image: self.image,
            memory: self.memory.unwrap_or(default.memory),
            millicpus: self.millicpus.unwrap_or(default.millicpus),
            pids: self.pids.unwrap_or(default.pids),
            disk: self.disk.unwrap_or(default.disk),
            disk_bandwidth: self.disk_bandwidth,
            timeout: self.timeout.unwrap_or(default.timeout),
            cpu_time: self.cpu_time,
            output_limit: self.output_limit,
            net,
            allow: self.allow,
            deny: self.deny,
            net_rate: self.net_rate,
            net_connections: self.net_connections.unwrap_or(default.net_connections),
            publish: self.publish,
            mounts: self.mounts,
            env: self.env,
            workdir: self.workdir,
            user: self.user,
            userns,
            hostname: self.hostname.unwrap_or(default.hostname),
            seccomp: self.seccomp.unwrap_or(seccomp),
            stdin: self.stdin,
            tty: self.tty.unwrap_or(default.tty),
            cgroup_parent: self.cgroup_parent,
            require: self.require,
            allow_missing: self.allow_missing,
        }
    }
}

fn append<T>(mut first: Vec<T>, second: Vec<T>) -> Vec<T> {
    first.extend(second);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_the_default_spec() {
        assert_eq!(PartialSpec::default().into_spec(), Spec::default());
        assert_eq!(PartialSpec::default().over(PartialSpec::default()), PartialSpec::default());
    }

    #[test]
    fn packages_can_be_installed_with_a_range_unless_a_directory_of_the_host_is_writable() {
        let profile = |userns, writable, asked: Option<&str>| {
            let mount = Mount { source: "/a".into(), target: "/a".into(), writable, beneath: None };
            let seccomp = asked.map(|name| Seccomp::Builtin(name.to_owned()));
            let wish = PartialSpec { userns, mounts: vec![mount], seccomp, ..PartialSpec::default() };
            match wish.into_spec().seccomp {
                Seccomp::Builtin(name) => name,
                Seccomp::Custom { .. } => panic!("a profile of nobody's"),
            }
        };
        assert_eq!(profile(None, false, None), "default");
        assert_eq!(profile(Some(Userns::Range), false, None), "packages");
        assert_eq!(profile(Some(Userns::Range), true, None), "default");
        assert_eq!(profile(Some(Userns::Range), false, Some("default")), "default");
    }

    fn allow(words: &[&str]) -> Vec<Rule> {
        words.iter().flat_map(|word| crate::spec::parse_target(word).unwrap()).collect()
    }

    #[test]
    fn whoever_allows_something_wants_nothing_else() {
        let net =
            |net, words: &[&str]| PartialSpec { net, allow: allow(words), ..PartialSpec::default() }.into_spec().net;
        assert_eq!(net(None, &[]), Network::None);
        assert_eq!(net(None, &["10.0.0.1"]), Network::Only);
        assert_eq!(net(Some(NetworkWish::Mode(Network::Open)), &["10.0.0.1"]), Network::Open);
        assert_eq!(net(Some(NetworkWish::File("a.toml".into())), &[]), Network::Only);
    }

    #[test]
    fn flags_win_and_lists_append_after_the_file() {
        let file = PartialSpec {
            memory: Some(1),
            pids: Some(7),
            timeout: Some(None),
            allow: allow(&["10.0.0.1"]),
            env: vec![("K".into(), "file".into())],
            ..PartialSpec::default()
        };
        let flags = PartialSpec {
            memory: Some(2),
            allow: allow(&["10.0.0.2"]),
            env: vec![("K".into(), "flag".into())],
            ..PartialSpec::default()
        };
        let both = PartialSpec {
            memory: Some(2),
            pids: Some(7),
            timeout: Some(None),
            allow: allow(&["10.0.0.1", "10.0.0.2"]),
            env: vec![("K".into(), "file".into()), ("K".into(), "flag".into())],
            ..PartialSpec::default()
        };
        assert_eq!(flags.over(file), both);
    }
}
