//! Addresses of files that clients sign by themselves: whoever has one needs no token.

use super::sandboxes;
use crate::serve::App;
use crate::serve::failure::Failure;
use axum::extract::Query;
use axum::http::{Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq as _;

/// Whether the request has a signature of its sandbox's key that holds.
///
/// # Errors
///
/// It has one that does not.
pub async fn is_signed(app: &App, method: &Method, uri: &Uri) -> Result<bool, Failure> {
    let Some(id) = uri.path().strip_prefix("/toolbox/").and_then(|rest| rest.split_once('/')).and_then(|(id, tool)| {
        matches!((tool, method.as_str()), ("files/download", "GET") | ("files/upload-v2" | "files/upload", "POST"))
            .then_some(id)
    }) else {
        return Ok(false);
    };
    let Ok(Query(query)) = Query::<HashMap<String, String>>::try_from_uri(uri) else { return Ok(false) };
    let (Some(signature), Some(path)) = (query.get("signature"), query.get("path")) else { return Ok(false) };
    let refused = || Failure::new(StatusCode::UNAUTHORIZED, "the signature does not hold");
    let expires = query.get("expires").map_or("0", String::as_str);
    let until: u64 = expires.parse().map_err(|_| refused())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if until != 0 && until < now {
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "the signed address has expired"));
    }
    // That there is no such sandbox is nobody's business who knows no key.
    let sandbox = sandboxes::find(app, id).await.map_err(|_| refused())?;
    let key = sandbox.record.signing_key.as_deref().ok_or_else(refused)?;
    let right = of(key, method.as_str(), path, expires);
    if right.as_bytes().ct_eq(signature.as_bytes()).into() { Ok(true) } else { Err(refused()) }
}

/// The signature that a client computes.
fn of(key: &str, method: &str, path: &str, expires: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
    mac.update(format!("v1:files:{method}:{path}:{expires}").as_bytes());
    format!("v1_{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
