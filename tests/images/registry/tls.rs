//! HTTPS: whom we believe, and the way through a proxy.

use super::Home;
use super::images::Image;
use super::real::Registry;
use super::server::Tunnel;
use crate::common::{Scratch, installed};
use std::path::PathBuf;
use std::process::Command;

/// An authority, and the certificate that it gave to `registry.test`.
struct Certificates(Scratch);

impl Certificates {
    fn new() -> Option<Certificates> {
        if !installed("openssl") {
            return None;
        }
        let scratch = Scratch::new("certificates");
        let script = "
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
                -keyout ca.key -out ca.pem -addext basicConstraints=critical,CA:TRUE &&
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=registry.test -keyout key.pem -out csr.pem &&
            echo subjectAltName=DNS:registry.test >names &&
            openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem";
        let output = Command::new("sh").args(["-c", script]).current_dir(&scratch.0).output().expect("start sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Certificates(scratch))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.0.join(name)
    }

    fn registry(&self) -> Option<Registry> {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let text = |path: &PathBuf| path.to_str().expect("text").to_owned();
        let settings = [("REGISTRY_HTTP_TLS_CERTIFICATE", text(&certificate)), ("REGISTRY_HTTP_TLS_KEY", text(&key))];
        Registry::start(None, &settings.each_ref().map(|(name, value)| (*name, value.as_str())))
    }
}

#[test]
fn a_registry_is_believed_whose_authority_is_trusted_and_nobody_else() {
    let Some(certificates) = Certificates::new() else { return };
    let Some(registry) = certificates.registry() else { return };
    let tunnel = Tunnel::new(registry.host());
    let mut home = Home::new("tls");
    home.site.proxy = Some(format!("http://user:s3cret@localhost:{}", tunnel.port));
    let (message, hint) = home.refused("registry.test/a:1");
    let url = "`https://registry.test/v2/a/manifests/1`";
    assert_eq!(message, format!("fetch {url}: its certificate is signed by nobody that this machine trusts"));
    assert!(hint.contains("`SSL_CERT_FILE`"), "{hint}");
    home.site.certificates = Some(certificates.path("ca.pem"));
    let (message, _) = home.refused("other.test/a:1");
    assert!(message.contains("certificate") && message.contains("other.test"), "{message}");
    // Believed, and empty.
    let (message, _) = home.refused("registry.test/a:1");
    assert!(message.contains(&format!("{url}: 404 Not Found")), "{message}");
    assert_eq!(tunnel.hosts(), ["registry.test:443", "other.test:443", "registry.test:443"]);
}

#[test]
fn what_does_not_speak_tls_is_not_spoken_to_otherwise() {
    let Some(registry) = Registry::open() else { return };
    registry.push("a", "1", &Image::new("amd64", &[10]));
    let tunnel = Tunnel::new(registry.host());
    let mut home = Home::new("plain");
    home.site.proxy = Some(format!("localhost:{}", tunnel.port));
    let (message, hint) = home.refused("registry.test:5000/a:1");
    assert!(message.ends_with("what answers there does not speak TLS"), "{message}");
    assert!(hint.contains("loopback addresses only"), "{hint}");
    // Loopback goes past the proxy.
    home.pull(&format!("{}/a:1", registry.host())).expect("pulled");
    assert_eq!(tunnel.hosts(), ["registry.test:5000"]);
}

#[test]
fn a_proxy_that_is_none_is_named_without_its_password() {
    let mut home = Home::new("proxy");
    home.site.proxy = Some("socks5://user:s3cret@localhost:1080".to_owned());
    let (message, hint) = home.refused("registry.test/a:1");
    assert_eq!(message, "image: the proxy of the environment is none that we can speak to");
    assert!(hint.contains("`HTTPS_PROXY`"), "{hint}");
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        listener.local_addr().expect("an address").port()
    };
    home.site.proxy = Some(format!("http://user:s3cret@localhost:{port}"));
    let (message, hint) = home.refused("registry.test/a:1");
    let url = "`https://registry.test/v2/a/manifests/1`";
    assert_eq!(message, format!("fetch {url}: the proxy `localhost:{port}`: Connection refused"));
    assert_eq!(hint, "check `HTTPS_PROXY` and `NO_PROXY`");
}
