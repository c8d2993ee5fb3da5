//! `/etc`: the host's where programs need it, or the image's; our own where it names users and hosts.

use super::tree::Skeleton;
use crate::host::image::Config;
use crate::host::{EntryKind, Host};
use crate::identity;
use crate::spec::{self, Network, Spec};

/// Files and mounts of `/etc`.
pub fn plan(spec: &Spec, host: &Host, skeleton: &mut Skeleton) {
    skeleton.directory("etc", 0o755);
    if let Some(image) = &host.image {
        users_of_image(spec, host, &image.config, skeleton);
        hosts(spec, skeleton);
        certificates(host, skeleton);
        return;
    }
    for entry in &host.etc {
        let path = format!("etc/{}", entry.name);
        match &entry.kind {
            EntryKind::Link(target) => skeleton.link(target, &path),
            EntryKind::File => {
                skeleton.empty_file(&path);
                skeleton.show(&format!("/{path}"), &path);
            }
            EntryKind::Directory => {
                skeleton.directory(&path, 0o755);
                skeleton.show(&format!("/{path}"), &path);
            }
        }
    }
    users(spec, host, skeleton);
    hosts(spec, skeleton);
    skeleton.file(
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    );
    skeleton.link("/proc/self/mounts", "etc/mtab");
}

/// The image's own users, and the payload's where it is none of them: programs that look themselves up find somebody.
fn users_of_image(spec: &Spec, host: &Host, config: &Config, skeleton: &mut Skeleton) {
    let user = identity::user(spec, host);
    let line_after = |text: &str, line: String| match text {
        "" => line,
        text => format!("{}\n{line}", text.trim_end_matches('\n')),
    };
    if config.account(user.uid).is_none() {
        let (name, home) = (identity::name(user, host), identity::home(user, host));
        let line = format!("{name}:x:{}:{}:{name}:{home}:/bin/sh\n", user.uid, user.gid);
        skeleton.file("etc/passwd", line_after(&config.passwd, line));
    }
    if !config.has_group(user.gid) {
        let name = if user.gid == 0 { "root" } else { "sandbox" };
        skeleton.file("etc/group", line_after(&config.group, format!("{name}:x:{}:\n", user.gid)));
    }
}

fn users(spec: &Spec, host: &Host, skeleton: &mut Skeleton) {
    let user = identity::user(spec, host);
    let mut passwd = String::from("root:x:0:0:root:/root:/bin/sh\n");
    let mut group = String::from("root:x:0:\n");
    if user.uid != 0 {
        let (name, home) = (identity::name(user, host), identity::home(user, host));
        passwd.push_str(&format!("{name}:x:{}:{}:{name}:{home}:/bin/sh\n", user.uid, user.gid));
    }
    if user.gid != 0 {
        group.push_str(&format!("sandbox:x:{}:\n", user.gid));
    }
    // Files of the host that belong to anybody else show as this id.
    if user.uid != 65534 {
        passwd.push_str("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    }
    if user.gid != 65534 {
        group.push_str("nogroup:x:65534:\n");
    }
    skeleton.file("etc/passwd", passwd);
    skeleton.file("etc/group", group);
}

/// The host's certificates, where the image has none: whoever may be reached has to be known.
fn certificates(host: &Host, skeleton: &mut Skeleton) {
    let Some(certificates) = &host.reach.certificates else { return };
    let path = identity::CERTIFICATES.trim_start_matches('/');
    for directory in ["etc/ssl", "etc/ssl/certs"] {
        skeleton.directory(directory, 0o755);
    }
    skeleton.empty_file(path);
    skeleton.show(&certificates.to_string_lossy(), path);
}

/// The sandbox itself.
fn local(name: &str) -> String {
    format!("127.0.0.1 localhost {name}\n::1 localhost ip6-localhost ip6-loopback\n")
}

fn hosts(spec: &Spec, skeleton: &mut Skeleton) {
    let name = &spec.hostname;
    skeleton.file("etc/hostname", format!("{name}\n"));
    match spec.net {
        Network::Host => {
            // The host's network is asked for, and with it the names that are known there.
            for path in ["etc/hosts", "etc/resolv.conf"] {
                skeleton.empty_file(path);
                skeleton.show(&format!("/{path}"), path);
            }
        }
        Network::None => {
            skeleton.file("etc/hosts", local(name));
            skeleton.file("etc/resolv.conf", "# no network\n");
        }
        Network::Open | Network::Only => {
            let (gateway, gateway6, of_host) = (spec::GATEWAY, spec::GATEWAY6, spec::GATEWAY_NAME);
            skeleton.file("etc/hosts", format!("{}{gateway} {of_host}\n{gateway6} {of_host}\n", local(name)));
            // Whatever address is asked, the dialer answers.
            skeleton.file("etc/resolv.conf", format!("nameserver {gateway}\n"));
        }
    }
}
