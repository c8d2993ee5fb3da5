//! Whose signature under a registry's certificate is believed: the machine's authorities, or those of one file.
//!
//! belljar brings no list of its own. One in the binary would grow old with it, and would go on trusting whom the
//! machine's administrator does not trust any more.

use crate::error::{Error, Problem, describe_io};
use std::fs;
use std::io;
use std::path::Path;
use ureq::tls::{Certificate, PemItem, parse_pem};

/// Where distributions keep their authorities in one file: Debian and most others, Fedora and its kin (new and old),
/// openSUSE, Alpine.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The authorities in `file`, else the machine's. There may be none: then nobody is believed.
///
/// # Errors
///
/// `Invalid`, where `file` is asked for and has none.
pub fn authorities(file: Option<&Path>) -> Result<Vec<Certificate<'static>>, Error> {
    let Some(file) = file else { return Ok(of_machine()) };
    let wrong = |why: String| {
        let problem = Problem::new("image", format!("`{}` (`SSL_CERT_FILE`): {why}", file.display()));
        Error::invalid(vec![problem.hint("name a file with certificates in PEM form, or unset `SSL_CERT_FILE`")])
    };
    match read(file) {
        Ok(found) if found.is_empty() => Err(wrong("no certificate in it".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(describe_io(&error))),
    }
}

fn of_machine() -> Vec<Certificate<'static>> {
    // A bundle that cannot be read is as good as none: what is missing shows where a registry is not believed.
    BUNDLES.iter().filter_map(|bundle| read(Path::new(bundle)).ok()).find(|found| !found.is_empty()).unwrap_or_default()
}

fn read(file: &Path) -> io::Result<Vec<Certificate<'static>>> {
    let text = fs::read(file)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(_) => Some(Err(io::Error::new(io::ErrorKind::InvalidData, "not in PEM form"))),
    };
    parse_pem(&text).filter_map(certificate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_asked_for_has_to_have_authorities() {
        let path = std::env::temp_dir().join(format!("belljar-trust-{}", std::process::id()));
        let error = |text: &str| {
            fs::write(&path, text).unwrap();
            authorities(Some(&path)).unwrap_err().to_string()
        };
        let shown = format!("image: `{}` (`SSL_CERT_FILE`)", path.display());
        assert_eq!(error("nothing\n"), format!("{shown}: no certificate in it"));
        assert_eq!(error("-----BEGIN CERTIFICATE-----\n#\n"), format!("{shown}: not in PEM form"));
        fs::remove_file(&path).unwrap();
        let missing = authorities(Some(&path)).unwrap_err();
        assert_eq!(missing.to_string(), format!("{shown}: No such file or directory"));
        assert_eq!(
            missing.hint.as_deref(),
            Some("name a file with certificates in PEM form, or unset `SSL_CERT_FILE`")
        );
    }
}
