//! Files on their way between HTTP and a sandbox. What is small goes in one request; what is large goes in pieces, as fast as the
//! slower side takes them, and is never in memory as a whole.

use super::backend::{Backend, Said, Stream, Whole, lost};
use super::daytona::files::{encoded, of_file};
use super::failure::{Answer, Failure};
use crate::error::{Error, Kind};
use axum::body::{Body, Bytes};
use axum::extract::multipart::Field;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// What goes in one request.
const SMALL: usize = 4 << 20;

/// Writes a field of a form to a file, all of it or nothing; the number of bytes.
///
/// # Errors
///
/// The file's own, and a body that ends too early.
pub async fn write(backend: &Backend, id: &str, path: &str, mut field: Field<'_>) -> Answer<u64> {
    let cut = |error: axum::extract::multipart::MultipartError| {
        Failure::new(error.status(), format!("the body: {}", error.body_text()))
    };
    let parameters = json!({ "sandbox": id, "path": path, "parents": true });
    let mut first = Vec::new();
    let mut rest = None;
    while let Some(piece) = field.chunk().await.map_err(cut)? {
        if first.len() + piece.len() > SMALL {
            rest = Some(piece);
            break;
        }
        first.extend_from_slice(&piece);
    }
    let Some(mut piece) = rest else {
        let mut parameters = parameters;
        parameters["input"] = json!({ "base64": STANDARD.encode(&first) });
        let told = backend.call("fs.write", parameters).await.map_err(of_file)?;
        return Ok(told["bytes"].as_u64().unwrap_or_default());
    };
    let mut whole = Whole::new(backend.stream("fs.write", parameters).await?);
    let result = {
        let (to, told) = whole.ways().ok_or_else(lost)?;
        let written = async {
            to.write(&first).await?;
            first = Vec::new();
            loop {
                for part in piece.chunks(SMALL) {
                    to.write(part).await?;
                }
                match field.chunk().await {
                    Ok(Some(next)) => piece = next,
                    Ok(None) => break to.end().await,
                    Err(error) => return Err(Error::new(Kind::Invalid, format!("the body: {}", error.body_text()))),
                }
            }
        };
        // It may refuse before it has read all.
        let result = async {
            loop {
                match told.next().await {
                    Ok(Said::Result(result)) => break Ok(result),
                    Ok(Said::Output { .. }) => {}
                    Err(error) => break Err(error),
                }
            }
        };
        tokio::pin!(result);
        tokio::select! {
            result = &mut result => result,
            written = written => match written {
                Ok(()) => result.await,
                Err(error) if error.kind == Kind::Invalid => return Err(error.into()),
                // Nobody reads: it says why.
                Err(_) => result.await,
            },
        }
    };
    whole.done();
    Ok(result.map_err(of_file)?["bytes"].as_u64().unwrap_or_default())
}

/// A file that is read.
pub struct Reading {
    /// How much of it there is.
    pub size: u64,
    from: From,
}

enum From {
    Whole(Bytes),
    Pieces(Box<Stream>),
}

/// Reads a file.
///
/// # Errors
///
/// It is not there, or no regular file.
pub async fn read(backend: &Backend, id: &str, path: &str) -> Answer<Reading> {
    let parameters = json!({ "sandbox": id, "path": path });
    let entry = backend.call("fs.stat", parameters.clone()).await.map_err(of_file)?;
    // A link is read as what it leads to, whose size is known when it has been read.
    let size = entry["size"].as_u64().filter(|_| entry["kind"] == "file");
    if size.is_none_or(|size| size <= SMALL as u64) {
        let told = backend.call("fs.cat", parameters).await.map_err(of_file)?;
        let bytes = content_of(&told)?;
        return Ok(Reading { size: bytes.len() as u64, from: From::Whole(bytes.into()) });
    }
    let size = size.unwrap_or_default();
    let mut parameters = parameters;
    // No more than was said, although it may grow.
    parameters["length"] = json!(size);
    let (mut to, told) = backend.stream("fs.cat", parameters).await?;
    to.end().await?;
    Ok(Reading { size, from: From::Pieces(Box::new(told)) })
}

/// The bytes in a result of `fs.cat`.
fn content_of(told: &Value) -> Answer<Vec<u8>> {
    let content = told["content"].as_str().unwrap_or_default();
    if told["encoding"] != "base64" {
        return Ok(content.as_bytes().to_vec());
    }
    STANDARD.decode(content).map_err(|error| Failure::new(StatusCode::BAD_GATEWAY, format!("read the file: {error}")))
}

impl Reading {
    /// The file as the body of an answer. A file that could not be read to its end cuts the answer off.
    pub fn into_body(self) -> Body {
        match self.from {
            From::Whole(bytes) => Body::from(bytes),
            From::Pieces(told) => Body::from_stream(pieces(told)),
        }
    }

    fn into_pieces(self) -> stream::BoxStream<'static, Result<Bytes, Error>> {
        match self.from {
            From::Whole(bytes) => stream::once(async { Ok(bytes) }).boxed(),
            From::Pieces(told) => pieces(told).boxed(),
        }
    }
}

fn pieces(told: Box<Stream>) -> impl futures_util::Stream<Item = Result<Bytes, Error>> {
    stream::unfold(Some(told), |told| async {
        let mut told = told?;
        loop {
            match told.next().await {
                Ok(Said::Output { error: false, bytes }) => return Some((Ok(bytes.into()), Some(told))),
                Ok(Said::Output { error: true, .. }) => {}
                Ok(Said::Result(_)) => return None,
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
}

/// A form with a part for each path: the file, or an object that says why it is not there.
pub fn form(backend: Backend, id: String, paths: Vec<String>, boundary: String) -> Body {
    let parts = stream::unfold(
        (backend, id, VecDeque::from(paths), boundary, false),
        |(backend, id, mut paths, boundary, ended)| async move {
            if ended {
                return None;
            }
            let Some(path) = paths.pop_front() else {
                let end = Bytes::from(format!("--{boundary}--\r\n"));
                return Some((stream::once(async { Ok(end) }).boxed(), (backend, id, paths, boundary, true)));
            };
            let part = match read(&backend, &id, &path).await {
                Ok(file) => {
                    let head = part_head(&boundary, "file", &path, "application/octet-stream", file.size);
                    stream::once(async { Ok(head) }).chain(file.into_pieces()).boxed()
                }
                Err(failure) => {
                    let told = failure.body("GET", &path, "DAYTONA_DAEMON").to_string();
                    let head = part_head(&boundary, "error", &path, "application/json", told.len() as u64);
                    stream::iter([Ok(head), Ok(Bytes::from(told))]).boxed()
                }
            };
            let part = part.chain(stream::once(async { Ok(Bytes::from_static(b"\r\n")) })).boxed();
            Some((part, (backend, id, paths, boundary, false)))
        },
    );
    Body::from_stream(parts.flatten())
}

fn part_head(boundary: &str, name: &str, path: &str, kind: &str, length: u64) -> Bytes {
    // Of a name that would end the header nothing is lost: it stands encoded beside it.
    let plain: String = path.chars().filter(|letter| !letter.is_control()).collect();
    let plain = plain.replace('\\', "\\\\").replace('"', "\\\"");
    Bytes::from(format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{plain}\"; filename*=utf-8''{}\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
        encoded(path)
    ))
}
