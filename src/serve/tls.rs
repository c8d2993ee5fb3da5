//! TLS: whose certificate the server shows.
//!
//! One of our own is signed by an authority that is made for it alone, and whose key is forgotten at once: who trusts that authority
//! trusts this certificate, and nobody can make another. It is kept with its key in one file, for its owner alone, so that clients
//! go on trusting it; another set of names has another one, in other files.

use crate::error::{Error, Kind};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The certificate, its authority's, and its key.
const OWN: &str = "serve-tls.pem";
/// How a certificate ends there.
const END: &str = "-----END CERTIFICATE-----\n";
/// The authority's certificate, for clients.
const AUTHORITY: &str = "serve-ca.pem";

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Files of PEM.
    Files {
        /// The certificate, and those that lead to its authority.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// One of our own, made where there is none.
    Own {
        /// Where it is kept.
        dir: PathBuf,
    },
}

/// A certificate to show.
pub struct Certificate {
    /// Who greets clients with it.
    pub acceptor: TlsAcceptor,
    /// The file of the authority that clients are to trust, where it is our own.
    pub authority: Option<PathBuf>,
}

impl Tls {
    /// Reads it, or makes it for the loopback and `names`.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written, or is not what it should be.
    pub fn ready(&self, names: &[String]) -> Result<Certificate, Error> {
        match self {
            Tls::Files { certificate, key } => {
                let chain = chain_in("tls-cert", certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unread("tls-key", key, &error, "a key, as `-----BEGIN PRIVATE KEY-----`"))?;
                Ok(Certificate { acceptor: acceptor("tls-cert", chain, key)?, authority: None })
            }
            Tls::Own { dir } => own(dir, names),
        }
    }
}

fn own(dir: &Path, names: &[String]) -> Result<Certificate, Error> {
    let field = "tls-self-signed";
    let mut all = ["localhost", "*.localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for name in names {
        let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if !name.contains(':') && name.parse::<std::net::IpAddr>().is_err() {
            all.push(format!("*.{name}"));
        }
        all.push(name);
    }
    let title = format!("belljar serve, for {}", all.join(" "));
    // Each set of names has files of its own: another server with others changes nothing of what this one's clients trust.
    let of = |file: &str| match names {
        [] => dir.join(file),
        _ => {
            let sum = Sha256::digest(&title);
            let sum: String = sum.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            dir.join(file.replace(".pem", &format!("-{sum}.pem")))
        }
    };
    let path = of(OWN);
    let read = || fs::read_to_string(&path);
    let failed = |error: &std::io::Error| Error::attempt(format!("read {}", path.display()), error);
    let text = match read() {
        Ok(text) if text.lines().next() == Some(title.as_str()) => text,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
        Ok(_) | Err(_) => {
            place(&path, &made(&title, all).map_err(|error| refused(field, &error.to_string()))?, 0o600)?;
            // Of that file, so that all agree whoever has written it last.
            read().map_err(|error| failed(&error))?
        }
    };
    let unread =
        |error: &pem::Error| unread(field, &path, error, "two certificates and a key; remove it, and others are made");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let (chain, key) = (chain.map_err(|error| unread(&error))?, PrivateKeyDer::from_pem_slice(text.as_bytes()));
    let key = key.map_err(|error| unread(&error))?;
    let authority = text.split_inclusive(END).nth(1).filter(|_| chain.len() == 2);
    let shown = of(AUTHORITY);
    place(&shown, authority.ok_or_else(|| unread(&pem::Error::NoItemsFound))?, 0o644)?;
    Ok(Certificate { acceptor: acceptor(field, chain, key)?, authority: Some(shown) })
}

/// A certificate for these names, the authority that has signed it, and its key.
fn made(title: &str, names: Vec<String>) -> Result<String, rcgen::Error> {
    let named = |name: &str| {
        let mut all = DistinguishedName::new();
        all.push(DnType::CommonName, name);
        all
    };
    let mut authority = CertificateParams::default();
    authority.distinguished_name = named("belljar serve: authority of one certificate");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let forgotten = KeyPair::generate()?;
    let signed = authority.self_signed(&forgotten)?;
    let issuer = Issuer::new(authority, forgotten);

    let mut ours = CertificateParams::new(names)?;
    ours.distinguished_name = named("belljar serve");
    ours.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    ours.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    ours.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = ours.signed_by(&key, &issuer)?;
    Ok(format!("{title}\n{}{}{}", certificate.pem(), signed.pem(), key.serialize_pem()))
}

/// Writes a file, whole or not at all, where it does not say that already.
fn place(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let failed = |error: &std::io::Error| Error::attempt(format!("write {}", path.display()), error);
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&draft, path));
    if placed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    placed.map_err(|error| failed(&error))
}

fn chain_in(field: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wanted = "certificates, as `-----BEGIN CERTIFICATE-----`";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unread(field, path, &error, wanted))?;
    if chain.is_empty() {
        return Err(unread(field, path, &pem::Error::NoItemsFound, wanted));
    }
    Ok(chain)
}

fn acceptor(
    field: &str,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| {
        refused(field, &error.to_string())
            .hint("the first certificate in the file must be the one that the key belongs to")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn refused(field: &str, why: &str) -> Error {
    Error::new(Kind::Invalid, format!("{field}: {why}"))
}

fn unread(field: &str, path: &Path, error: &pem::Error, wanted: &str) -> Error {
    match error {
        pem::Error::Io(error) => Error::attempt(format!("{field}: read {}", path.display()), error),
        pem::Error::NoItemsFound => refused(field, &format!("{} has no {wanted}", path.display())),
        error => refused(field, &format!("{}: {error:?}; it should have {wanted}", path.display())),
    }
}
