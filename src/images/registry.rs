//! Pulling an image from a registry (OCI distribution specification 1.1, and the Docker registry that it comes from).
//!
//! The only code of belljar that speaks with other machines, and it does so only when somebody asks for an image by
//! name. It believes nobody: every document and blob is compared with the digest that it is called by, no more of one is
//! read than was announced, and nothing is unpacked before all of it has come. What was fetched before a connection
//! broke is kept and continued.

pub mod auth;
pub mod blobs;
pub mod challenge;
pub mod client;
pub mod credentials;
pub mod manifest;
pub mod proxy;
pub mod trouble;
pub mod trust;
pub mod url;

use self::auth::Session;
use self::blobs::Fetcher;
use self::client::Client;
use super::digest::Digest;
use super::intake::{Expected, Intake, Layer, invalid};
use super::manifest::{Described, Platform};
use super::reference::Reference;
use crate::error::{Error, Kind};
use crate::trees::progress::{Followed, Progress};
use crate::trees::unpack::Bounds;
use oci_spec::image::ImageConfiguration;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Layers that are fetched and unpacked at once.
const AT_ONCE: usize = 3;

/// What is wanted.
pub struct Pull<'a> {
    /// Which image.
    pub reference: &'a Reference,
    /// For which machine.
    pub platform: Platform,
    /// Who asks, where that is not left to what `docker login` keeps.
    pub password: Option<Password>,
    /// The way there.
    pub site: &'a Site,
    /// How much of a layer is too much.
    pub bounds: &'a Bounds,
}

/// A user of a registry.
pub struct Password {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// What the caller's environment says about the way to registries.
#[derive(Clone, Default)]
pub struct Site {
    /// Files in which logins are kept; the first that has one for the registry counts.
    pub logins: Vec<PathBuf>,
    /// A file of authorities, in place of the machine's.
    pub certificates: Option<PathBuf>,
    /// The address of a proxy for HTTPS.
    pub proxy: Option<String>,
    /// Who is asked without it.
    pub no_proxy: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The image.
    pub manifest: Digest,
    /// Its name here.
    pub name: Reference,
    /// Bytes that came.
    pub fetched_bytes: u64,
    /// Bytes of it that were here.
    pub kept_bytes: u64,
}

impl Site {
    /// As `variable` tells of the environment. What is set to nothing is not set.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Site {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let first = |names: &[&str]| names.iter().find_map(|name| text(name));
        // As Podman looks for them: whoever names a file wants no other.
        let logins = match path("REGISTRY_AUTH_FILE") {
            Some(file) => vec![file],
            None => {
                let runtime = path("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
                let config = path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|home| home.join(".config")));
                let config = config.map(|directory| directory.join("containers/auth.json"));
                let docker = path("DOCKER_CONFIG").or_else(|| path("HOME").map(|home| home.join(".docker")));
                let docker = docker.map(|directory| directory.join("config.json"));
                [runtime, config, docker].into_iter().flatten().collect()
            }
        };
        Site {
            logins,
            certificates: path("SSL_CERT_FILE"),
            proxy: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: first(&["NO_PROXY", "no_proxy"]).unwrap_or_default(),
        }
    }
}

/// Fetches what is missing of an image, and gives it its name: that of the registry, without a digest.
///
/// # Errors
///
/// `NotFound` for an image that is not there; `Invalid` for one that is not for the platform or is not what it was said to
/// be; `Host`, where the network or the registry is in the way; `Setup`, where the store cannot be written.
pub fn pull(intake: &Intake<'_>, pull: &Pull<'_>, progress: &dyn Progress) -> Result<Pulled, Error> {
    let remote = pull.reference.remote();
    let registry = remote.registry.clone().unwrap_or_default();
    let client = Client::new(pull.site)?;
    let session = Session::new(&client, pull.site, (&registry, &remote.repository), pull.password.as_ref())
        .map_err(|why| invalid("image", why))?;
    let found = manifest::find(&session, &remote, &pull.platform, progress)?;
    let fetcher = Fetcher {
        session: &session,
        store: intake.store(),
        progress,
        stop: AtomicBool::new(false),
        fetched: AtomicU64::new(found.fetched),
    };
    let configuration = fetcher.document(&found.config)?;
    let read = ImageConfiguration::from_reader(configuration.as_slice())
        .map_err(|error| trouble::wrong(&found.url, &trouble::limited(&format!("configuration: {error}")), None))?;
    let wanted = found.layers(&read, &pull.platform)?;
    let kept = AtomicU64::new(0);
    let layers = layers(intake, pull.bounds, &fetcher, &wanted, &kept)?;
    let manifest = intake.image(&found.bytes, &configuration, &layers)?;
    let name = Reference { digest: None, ..remote };
    intake.store().name(&name, &manifest)?;
    Ok(Pulled { manifest, name, fetched_bytes: fetcher.fetched.into_inner(), kept_bytes: kept.into_inner() })
}

/// All layers, in the order of the manifest, some at once. The first that fails ends the others.
fn layers(
    intake: &Intake<'_>,
    bounds: &Bounds,
    fetcher: &Fetcher<'_>,
    wanted: &[Described],
    kept: &AtomicU64,
) -> Result<Vec<Layer>, Error> {
    // An empty layer may be in an image any number of times.
    let mut distinct: Vec<&Described> = Vec::new();
    for layer in wanted {
        if !distinct.iter().any(|known| known.blob.digest == layer.blob.digest) {
            distinct.push(layer);
        }
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Result<Vec<Layer>, Error>> = Mutex::new(Ok(Vec::new()));
    let work = || {
        while let Some(wanted) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = layer(intake, bounds, fetcher, wanted, kept);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *done, result) {
                (Ok(layers), Ok(layer)) => layers.push(layer),
                (Ok(_), Err(error)) => {
                    *done = Err(error);
                    fetcher.stop.store(true, Ordering::Relaxed);
                }
                // The first error is the reason of the others.
                (Err(_), _) => {}
            }
            if done.is_err() {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(distinct.len()) {
            // Where no more threads are to be had, those that there are take longer.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    let by_digest = |expected: &Expected| done.iter().find(|layer| layer.blob == expected.digest).cloned();
    let missing = || invalid("image", "a layer is kept under another digest than the manifest has for it");
    wanted.iter().map(|layer| by_digest(&layer.blob).ok_or_else(missing)).collect()
}

/// One layer: fetched, unpacked and in its place, or here already.
fn layer(
    intake: &Intake<'_>,
    bounds: &Bounds,
    fetcher: &Fetcher<'_>,
    wanted: &Described,
    kept: &AtomicU64,
) -> Result<Layer, Error> {
    let Described { blob: expected, media_type, diff_id } = wanted;
    let known = || intake.known(expected, diff_id, media_type);
    let here = |layer: Layer| {
        kept.fetch_add(layer.size, Ordering::Relaxed);
        Ok(layer)
    };
    if let Some(layer) = known() {
        return here(layer);
    }
    if expected.size > bounds.bytes {
        let why =
            format!("{}: {} bytes, more than a layer may have ({})", expected.digest, expected.size, bounds.bytes);
        return Err(invalid("image", why));
    }
    let Some(blob) = fetcher.blob(expected, || known().is_some())? else {
        return match known() {
            Some(layer) => here(layer),
            None => Err(invalid("image", format!("{}: removed while it was pulled", expected.digest))),
        };
    };
    let task = fetcher.progress.begin(&format!("unpack {}", expected.digest.short()), Some(expected.size));
    let bytes = Followed::new(blob.reader()?, task);
    let result =
        intake.stage_fetched(bytes, blob.path(), expected, bounds).and_then(|staged| match staged.layer().diff_id {
            found if found == *diff_id => staged.place(),
            found => Err(invalid("image", format!("{}: unpacked it is {found}, not {diff_id}", expected.digest))),
        });
    // An archive that is refused today is refused tomorrow; one that found no room is as good as it was.
    if !result.as_ref().is_err_and(|error| error.kind == Kind::Setup) {
        blob.discard()?;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(variables: &[(&str, &str)]) -> Site {
        Site::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_environment_names_logins_authorities_and_a_proxy() {
        let bare = site(&[]);
        assert!(
            bare.logins.is_empty() && bare.certificates.is_none() && bare.proxy.is_none() && bare.no_proxy.is_empty()
        );
        let home = site(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("HTTPS_PROXY", ""), ("https_proxy", "p:1")]);
        let logins = ["/r/containers/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json"];
        assert_eq!((home.logins, home.proxy.as_deref()), (logins.map(PathBuf::from).to_vec(), Some("p:1")));
        let named = site(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("DOCKER_CONFIG", "/d"), ("NO_PROXY", "a.io")]);
        let logins = ["/c/containers/auth.json", "/d/config.json"];
        assert_eq!((named.logins, named.no_proxy.as_str()), (logins.map(PathBuf::from).to_vec(), "a.io"));
        let one = site(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json"), ("SSL_CERT_FILE", "/ca.pem")]);
        assert_eq!((one.logins, one.certificates), (vec![PathBuf::from("/a.json")], Some(PathBuf::from("/ca.pem"))));
    }
}
