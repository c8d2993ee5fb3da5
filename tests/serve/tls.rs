//! HTTP over TLS: with a certificate of our own, and with one that somebody gives.

use crate::common::sandboxes::Sandboxes;
use crate::server::{Server, walk_at};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// What curl hears of the server's health, trusting only this authority; its exit code too, which is 60 of whom it does not trust.
fn health(server: &Server, host: &str, authority: &Path) -> (Option<i32>, String) {
    let url = format!("https://{host}:{}/health", server.port);
    let told = Command::new("curl").args(["--silent", "--cacert"]).arg(authority).arg(url).output().expect("curl");
    (told.status.code(), String::from_utf8_lossy(&told.stdout).into_owned())
}

#[test]
fn a_certificate_of_our_own_is_trusted_by_whoever_trusts_its_authority_and_is_kept() {
    let server = Server::with("serve-tls", &["--tls-self-signed"]);
    assert!(server.said.starts_with(&format!("Listening at https://127.0.0.1:{}\n", server.port)), "{}", server.said);
    let home = server.sandboxes.home().to_owned();
    let authority = home.join("serve-ca.pem");
    let shown = authority.display();
    assert!(server.said.contains(&format!("SSL_CERT_FILE={shown} NODE_EXTRA_CA_CERTS={shown}\n")), "{}", server.said);
    for host in ["127.0.0.1", "localhost"] {
        let (code, body) = health(&server, host, &authority);
        assert!(code == Some(0) && body.contains("\"status\":\"ok\""), "{host}: {code:?} {body}");
    }
    let system = Path::new("/etc/ssl/certs/ca-certificates.crt");
    assert_eq!(health(&server, "localhost", system).0, Some(60));
    assert_eq!(std::fs::metadata(home.join("serve-tls.pem")).expect("the key").permissions().mode() & 0o777, 0o600);
    // Who speaks no TLS is left, and harms nobody.
    assert!(!server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").contains("HTTP/1.1"));

    let trusted = std::fs::read_to_string(&authority).expect("read it");
    let again = Server::over(server.kill(), &["--tls-self-signed"]);
    assert_eq!(std::fs::read_to_string(&authority).expect("read it"), trusted);
    assert_eq!(health(&again, "localhost", &authority).0, Some(0));
    // Another name has a certificate of its own, which changes nothing of what the others' clients trust.
    let named = Server::over(again.kill(), &["--tls-self-signed", "--name", "box.example"]);
    assert_eq!(std::fs::read_to_string(&authority).expect("read it"), trusted);
    let line = named.said.lines().find_map(|line| line.trim().strip_prefix("export SSL_CERT_FILE=")).expect("a line");
    let authority = Path::new(line.split(' ').next().expect("a path"));
    let url = format!("https://box.example:{}/health", named.port);
    let to = format!("box.example:{}:127.0.0.1", named.port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--resolve", &to, "--cacert"]).arg(authority).arg(url);
    assert!(curl.output().expect("curl").status.success());
}

fn tls(server: &Server, scheme: &str) -> String {
    let authority = server.sandboxes.home().join("serve-ca.pem");
    assert!(authority.exists(), "{scheme}");
    authority.to_string_lossy().into_owned()
}

#[test]
fn the_client_of_daytona_speaks_tls_and_its_websockets_too() {
    walk_at("daytona", "walk_daytona.py", "sessions", &["--tls-self-signed"], |server| {
        let url = format!("https://127.0.0.1:{}/api", server.port);
        vec![
            ("DAYTONA_API_URL", url),
            ("DAYTONA_API_KEY", server.token.clone()),
            ("SSL_CERT_FILE", tls(server, "daytona")),
        ]
    });
}

#[test]
fn the_client_of_e2b_speaks_tls() {
    walk_at("e2b", "walk_e2b.py", "commands", &["--tls-self-signed"], |server| {
        let url = format!("https://127.0.0.1:{}", server.port);
        vec![
            ("E2B_API_URL", url.clone()),
            ("E2B_SANDBOX_URL", url),
            ("E2B_API_KEY", server.token.clone()),
            ("SSL_CERT_FILE", tls(server, "e2b")),
        ]
    });
}

#[test]
fn a_certificate_that_somebody_gives_is_shown_and_a_wrong_one_is_refused_by_its_option() {
    let sandboxes = Sandboxes::new("serve-cert");
    let (certificate, key) = (sandboxes.home().join("cert.pem"), sandboxes.home().join("key.pem"));
    std::fs::create_dir_all(sandboxes.home()).expect("make it");
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=given".split(' '))
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (c, k) = (certificate.to_string_lossy().into_owned(), key.to_string_lossy().into_owned());
    for (words, exit, why) in [
        (vec!["--tls-cert", &c], 2, "tls_key: is missing"),
        (vec!["--tls-key", &k], 2, "tls_cert: is missing"),
        (vec!["--tls-cert", &c, "--tls-key", &k, "--tls-self-signed"], 2, "cannot be used with"),
        (vec!["--tls-self-signed", "--unix", "/tmp/no"], 2, "cannot be used with"),
        (vec!["--tls-cert", &k, "--tls-key", &k], 1, "tls-cert: "),
        (vec!["--tls-cert", &c, "--tls-key", &c], 1, "tls-key: "),
        (vec!["--tls-cert", "/nowhere.pem", "--tls-key", &k], 1, "tls-cert: read /nowhere.pem"),
        (vec!["--tls-cert", "/etc/passwd", "--tls-key", &k], 1, "BEGIN CERTIFICATE"),
    ] {
        let run = sandboxes.call(&[&["serve", "--listen", "127.0.0.1:0"][..], &words].concat());
        assert!(run.code == Some(exit) && run.stderr.contains(why), "{words:?}: {run:?}");
    }
    let server = Server::over(sandboxes, &["--tls-cert", &c, "--tls-key", &k]);
    assert_eq!(health(&server, "localhost", &certificate).0, Some(0));
}
