//! What the host has for a sandbox that may reach something. Looked at for such a sandbox only.

use super::Image;
use crate::spec::Network;
use nix::unistd::{AccessFlags, eaccess};
use std::fs;
use std::path::{Path, PathBuf};

/// Where distributions keep the certificates of those whom they trust, all in one file: Debian, Alpine and Arch; Fedora; SUSE; and the
/// place where OpenSSL looks.
const CERTIFICATES: [&str; 4] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Whether we may open `/dev/net/tun`. In many virtual machines and containers only root may, or it is not there.
    pub tun: bool,
    /// Whether the kernel speaks IPv6.
    pub ipv6: bool,
    /// The host's certificates, where an image has none of its own.
    pub certificates: Option<PathBuf>,
}

impl Reach {
    /// Looks.
    pub fn probe(net: Network, image: Option<&Image>) -> Reach {
        if !net.has_policy() {
            return Reach::default();
        }
        let off = |path: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == "1");
        let found = |root: &Path| CERTIFICATES.iter().map(|name| root.join(name)).find(|path| path.is_file());
        // A link of an image leads elsewhere outside of it, but where there is one there is something.
        let has = |layer: &PathBuf| CERTIFICATES.iter().any(|name| layer.join(name).symlink_metadata().is_ok());
        let lacking = image.is_some_and(|image| !image.layers.iter().any(has));
        Reach {
            tun: eaccess("/dev/net/tun", AccessFlags::R_OK | AccessFlags::W_OK).is_ok(),
            ipv6: Path::new("/proc/sys/net/ipv6").exists() && !off("/sys/module/ipv6/parameters/disable_ipv6"),
            certificates: lacking.then(|| found(Path::new("/"))).flatten(),
        }
    }
}
