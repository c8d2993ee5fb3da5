//! `belljar serve`: reads what was asked, says where it is, and serves.

use super::args::Serve;
use super::{render, terminal};
use crate::error::Error;
use crate::serve::{self, Listen, Started, Tls, Wish};
use crate::spec;
use crate::verbs::{self, faults::Faults};
use std::ffi::OsString;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The port of whoever names none.
const PORT: u16 = 3986;
/// The file with the token, in belljar's own directory.
const TOKEN: &str = "serve-token";

/// Serves until it is told to end; the exit code.
pub fn serve(asked: Serve) -> i32 {
    match wish(asked).and_then(|wish| {
        let file = wish.token_file.clone();
        serve::serve(wish, |started| tell(started, &file))
    }) {
        Ok(()) => 0,
        Err(error) => {
            render::failure(&error);
            verbs::exit_code(&error)
        }
    }
}

fn wish(asked: Serve) -> Result<Wish, Error> {
    let home = verbs::wish::home(terminal::ENV);
    let listen = match (&asked.unix, &asked.listen) {
        (Some(path), _) => Listen::Unix(PathBuf::from(path)),
        (None, None) => Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
        (None, Some(word)) => {
            let mut faults = Faults::default();
            let place = faults.word("listen", &word.to_string_lossy(), spec::parse_listen);
            faults.none()?;
            Listen::Tcp(place.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))))
        }
    };
    let token_file = match asked.token_file {
        Some(file) => PathBuf::from(file),
        None => home.as_deref().ok_or_else(verbs::no_home)?.join(TOKEN),
    };
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    if let Some(name) = asked.name.iter().find(|name| !is_name(name)) {
        let why = format!("name: `{}` is no name of a host", name.escape_debug());
        return Err(Error::new(crate::error::Kind::Invalid, why).hint("as `box.example`, without a port"));
    }
    let tls = match (asked.tls_cert, asked.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::Files { certificate: certificate.into(), key: key.into() }),
        _ if asked.tls_self_signed => Some(Tls::Own { dir: home.clone().ok_or_else(verbs::no_home)? }),
        _ => None,
    };
    let program = std::env::current_exe().map_err(|error| Error::attempt("find belljar itself", &error))?;
    Ok(Wish {
        listen,
        tls,
        token_file,
        names: asked.name,
        net: asked.net,
        ui: asked.ui,
        program,
        home: home.map(OsString::from),
        ready: asked.ready.unwrap_or_default(),
    })
}

/// Says where it is and what to set. The token is shown once, when it is made.
fn tell(started: &Started, file: &std::path::Path) {
    let Started { url, token, is_new, page, authority } = started;
    let token = if *is_new { token.clone() } else { format!("$(cat {})", quoted(&file.to_string_lossy())) };
    let mut text = format!("Listening at {url}\n");
    if url.starts_with("http") {
        text.push_str(&format!("\n  export E2B_API_URL={url} E2B_SANDBOX_URL={url} E2B_API_KEY={token}"));
        text.push_str(&format!("\n  export DAYTONA_API_URL={url}/api DAYTONA_API_KEY={token}\n"));
        if let Some(authority) = authority {
            // Node adds it to the authorities that it knows; OpenSSL, and Python with it, then knows no other.
            let file = quoted(&authority.to_string_lossy());
            text.push_str(&format!("  export SSL_CERT_FILE={file} NODE_EXTRA_CA_CERTS={file}\n"));
        }
        if let Some(page) = page {
            text.push_str(&format!("\n  {page}\n"));
        }
    } else {
        text.push_str(&format!("\n  the token is in {}\n", file.display()));
    }
    // Who closed it does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
