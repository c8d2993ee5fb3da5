//! Files of a build, as clients upload them: the few calls of S3 that their libraries make, below `/s3`.
//!
//! What is uploaded lies in files without a name in belljar's own directory, and is gone with the server; clients look before each
//! build whether it is there, and upload it again. Of many the oldest are let go.

use super::record::ORGANIZATION;
use crate::serve::App;
use crate::serve::failure::{Answer, Failure};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq as _;

/// The one bucket.
const BUCKET: &str = "belljar-builds";
/// The header by which clients show what they were given.
const TOKEN: &str = "x-amz-security-token";
/// Objects that are kept.
const MOST: usize = 64;
/// Bytes that are kept of all together.
const MOST_BYTES: u64 = 4 << 30;
/// Uploads in parts that go on at once.
const MOST_UPLOADS: usize = 16;
/// The last part's number.
const LAST_PART: u32 = 10_000;

/// One file that was uploaded, in its pieces.
#[derive(Clone)]
pub struct Object {
    /// In their order.
    pub pieces: Vec<Arc<File>>,
    bytes: u64,
}

/// What was uploaded.
pub struct Storage {
    directory: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The oldest first.
    objects: VecDeque<(String, Object)>,
    /// By their ids: the key, and the parts that have come.
    uploads: HashMap<String, (String, Parts)>,
}

/// Parts of an upload by their numbers, with their bytes.
type Parts = BTreeMap<u32, (Arc<File>, u64)>;

impl Storage {
    /// Nothing yet; what comes lies in a directory.
    pub fn new(directory: PathBuf) -> Storage {
        Storage { directory, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The archive that was uploaded under a hash.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn context(&self, hash: &str) -> Answer<Object> {
        let key = format!("{ORGANIZATION}/{hash}/context.tar");
        let kept = self.kept();
        let found = kept.objects.iter().find(|(name, _)| *name == key).map(|(_, object)| object.clone());
        found.ok_or_else(|| {
            Failure::bad(format!(
                "dockerfile: the files `{}` of its context were not uploaded; build again",
                hash.escape_debug()
            ))
        })
    }
}

impl Kept {
    fn bytes_of_uploads(&self) -> u64 {
        self.uploads.values().flat_map(|(_, parts)| parts.values()).map(|(_, bytes)| bytes).sum()
    }

    fn bytes(&self) -> u64 {
        self.objects.iter().map(|(_, object)| object.bytes).sum::<u64>() + self.bytes_of_uploads()
    }

    fn put(&mut self, key: &str, object: Object) {
        self.objects.retain(|(name, _)| name != key);
        self.objects.push_back((key.to_owned(), object));
        while self.objects.len() > 1 && (self.objects.len() > MOST || self.bytes() > MOST_BYTES) {
            self.objects.pop_front();
        }
    }
}

/// What opens the storage, and nothing else.
fn token_of(app: &App) -> String {
    app.previews.token("storage", app.access.token())
}

/// Whether a request is for the storage, with what opens it.
pub fn knows(app: &App, uri: &Uri, headers: &HeaderMap) -> bool {
    let given = headers.get(TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    is_storage(uri.path()) && bool::from(given.as_bytes().ct_eq(token_of(app).as_bytes()))
}

/// Whether a path is the storage's, which answers errors in its own manner.
pub fn is_storage(path: &str) -> bool {
    path.starts_with("/s3/")
}

/// An error as clients of S3 read it.
pub fn body(failure: &Failure) -> String {
    let code = match failure.status {
        StatusCode::NOT_FOUND => "NoSuchKey",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "AccessDenied",
        StatusCode::INSUFFICIENT_STORAGE => "EntityTooLarge",
        StatusCode::NOT_IMPLEMENTED => "NotImplemented",
        _ => "InvalidRequest",
    };
    format!("{DECLARATION}<Error><Code>{code}</Code><Message>{}</Message></Error>", escaped(&failure.message))
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `GET /object-storage/push-access`.
pub async fn access(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Json<Value>> {
    let source = headers.get("x-daytona-source").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if source.starts_with("sdk-python") && app.scheme() == "http" {
        // It would end with a word of its library that says nothing.
        return Err(Failure::bad(
            "dockerfile: COPY: the Python client uploads files over https alone; serve with TLS and a certificate that this machine \
             trusts, use the TypeScript client, or upload the files into the sandbox",
        ));
    }
    let token = token_of(&app);
    Ok(Json(json!({
        "accessKey": "belljar", "secret": token, "sessionToken": token, "storageUrl": format!("{}/s3", app.url),
        "organizationId": ORGANIZATION, "bucket": BUCKET, "region": "us-east-1",
    })))
}

fn xml(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/xml")], format!("{DECLARATION}{text}")).into_response()
}

fn in_bucket(bucket: &str) -> Answer<()> {
    if bucket == BUCKET { Ok(()) } else { Err(Failure::not_found("there is no such bucket")) }
}

/// `GET /s3/{bucket}/?list-type=2&prefix=`.
pub async fn list(
    State(app): State<Arc<App>>,
    Path(bucket): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Response> {
    in_bucket(&bucket)?;
    let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
    let kept = app.storage.kept();
    let found: Vec<String> = kept
        .objects
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, object)| format!("<Contents><Key>{}</Key><Size>{}</Size></Contents>", escaped(name), object.bytes))
        .collect();
    Ok(xml(format!(
        "<ListBucketResult><Name>{BUCKET}</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys>\
         <IsTruncated>false</IsTruncated>{}</ListBucketResult>",
        escaped(prefix),
        found.len(),
        found.concat()
    )))
}

/// What is done with one object: whether it is there, and how it comes.
pub async fn object(
    State(app): State<Arc<App>>,
    Path((bucket, key)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Answer<Response> {
    in_bucket(&bucket)?;
    let is_context = key.starts_with(&format!("{ORGANIZATION}/")) && key.ends_with("/context.tar") && key.len() < 512;
    if !is_context {
        return Err(Failure::not_found("there is no such object"));
    }
    let upload = query.get("uploadId").map(String::as_str);
    match (request.method().clone(), upload) {
        (Method::HEAD, None) => head(&app, &key),
        (Method::PUT, None) => {
            let (file, bytes) = received(&app, request).await?;
            app.storage.kept().put(&key, Object { pieces: vec![file], bytes });
            Ok([(header::ETAG, format!("\"{bytes:x}\""))].into_response())
        }
        (Method::PUT, Some(upload)) => part(&app, &key, (upload, &query), request).await,
        (Method::POST, None) if query.contains_key("uploads") => begin(&app, &key),
        (Method::POST, Some(upload)) => finish(&app, &key, upload),
        (Method::DELETE, Some(upload)) => {
            app.storage.kept().uploads.remove(upload);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => Err(Failure::not_here("this is not done with files of a build")),
    }
}

fn head(app: &App, key: &str) -> Answer<Response> {
    let kept = app.storage.kept();
    let found = kept.objects.iter().find(|(name, _)| name == key).map(|(_, object)| object.bytes);
    let bytes = found.ok_or_else(|| Failure::not_found("there is no such object"))?;
    let told = [
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::ETAG, format!("\"{bytes:x}\"")),
        (header::LAST_MODIFIED, "Thu, 01 Jan 1970 00:00:00 GMT".to_owned()),
    ];
    Ok((told, Body::empty()).into_response())
}

/// The body of a request, in a file without a name.
async fn received(app: &App, request: Request) -> Answer<(Arc<File>, u64)> {
    let encoded = request.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    if encoded.is_some_and(|encoding| encoding.contains("aws-chunked")) {
        return Err(Failure::not_here("the body: signed chunks are not read"));
    }
    let failed = |error: &std::io::Error| Failure::from(crate::error::Error::attempt("keep what is uploaded", error));
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE)
        .open(&app.storage.directory);
    let mut file = opened.map_err(|error| failed(&error))?;
    // What is whole may be let go for it, what other uploads have so far may not.
    let room = MOST_BYTES.saturating_sub(app.storage.kept().bytes_of_uploads());
    let (mut body, mut bytes) = (request.into_body().into_data_stream(), 0u64);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Failure::bad(format!("the body: {error}")))?;
        bytes += piece.len() as u64;
        if bytes > room {
            return Err(Failure::new(
                StatusCode::INSUFFICIENT_STORAGE,
                format!("the files of builds are larger than {MOST_BYTES} bytes"),
            ));
        }
        tokio::task::block_in_place(|| file.write_all(&piece)).map_err(|error| failed(&error))?;
    }
    Ok((Arc::new(file), bytes))
}

fn begin(app: &App, key: &str) -> Answer<Response> {
    let id = crate::serve::access::unguessable()?;
    let mut kept = app.storage.kept();
    if kept.uploads.len() >= MOST_UPLOADS {
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many uploads go on at once"));
    }
    kept.uploads.insert(id.clone(), (key.to_owned(), BTreeMap::new()));
    Ok(xml(format!(
        "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
        escaped(key)
    )))
}

async fn part(
    app: &App,
    key: &str,
    (upload, query): (&str, &HashMap<String, String>),
    request: Request,
) -> Answer<Response> {
    let number = query.get("partNumber").and_then(|number| number.parse().ok());
    let number: u32 = number
        .filter(|number| (1..=LAST_PART).contains(number))
        .ok_or_else(|| Failure::bad("partNumber: is missing"))?;
    let missing = || Failure::not_found("there is no such upload");
    if app.storage.kept().uploads.get(upload).is_none_or(|(name, _)| name != key) {
        return Err(missing());
    }
    let (file, bytes) = received(app, request).await?;
    let mut kept = app.storage.kept();
    let (_, parts) = kept.uploads.get_mut(upload).ok_or_else(missing)?;
    parts.insert(number, (file, bytes));
    Ok([(header::ETAG, format!("\"{number:x}-{bytes:x}\""))].into_response())
}

fn finish(app: &App, key: &str, upload: &str) -> Answer<Response> {
    let mut kept = app.storage.kept();
    let missing = || Failure::not_found("there is no such upload");
    if kept.uploads.get(upload).is_none_or(|(name, _)| name != key) {
        return Err(missing());
    }
    let (_, parts) = kept.uploads.remove(upload).ok_or_else(missing)?;
    let bytes = parts.values().map(|(_, bytes)| bytes).sum();
    kept.put(key, Object { pieces: parts.into_values().map(|(file, _)| file).collect(), bytes });
    Ok(xml(format!(
        "<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><ETag>\"{bytes:x}\"</ETag></CompleteMultipartUploadResult>",
        escaped(key)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bytes: u64) -> Object {
        Object { pieces: Vec::new(), bytes }
    }

    #[test]
    fn the_oldest_objects_are_let_go_where_there_are_too_many_or_too_much() {
        let mut kept = Kept::default();
        (0..=MOST).for_each(|number| kept.put(&number.to_string(), object(1)));
        assert_eq!((kept.objects.len(), kept.objects[0].0.as_str()), (MOST, "1"));
        kept.put("5", object(MOST_BYTES - 1));
        assert_eq!(kept.objects.len(), 2);
        kept.put("last", object(MOST_BYTES + 1));
        assert_eq!((kept.objects.len(), kept.objects[0].0.as_str()), (1, "last"));
    }

    #[test]
    fn what_names_have_is_no_markup() {
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
