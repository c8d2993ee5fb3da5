//! Who is let in, and who gets to see the password.

use super::Home;
use super::images::{Image, Shelf};
use super::real::Registry;
use super::server::{Asked, Reply, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// `user:s3cret` as it is sent.
const BASIC: &str = "Basic dXNlcjpzM2NyZXQ=";

fn login() -> Option<(String, String)> {
    Some(("user".to_owned(), "s3cret".to_owned()))
}

#[test]
fn a_closed_registry_lets_in_who_has_the_password() {
    let Some(registry) = Registry::closed("user", "s3cret") else { return };
    let image = Image::new("amd64", &[1_000, 2_000]);
    registry.push("a", "1", &image);
    let mut home = Home::new("closed");
    let name = format!("{}/a:1", registry.host());
    let (message, hint) = home.refused(&name);
    assert!(message.contains("401 Unauthorized (UNAUTHORIZED: authentication required)"), "{message}");
    assert!(hint.contains("`--username USER --password-stdin` or `docker login`"), "{hint}");
    home.login = Some(("user".to_owned(), "wrong-s3cret".to_owned()));
    let (message, hint) = home.refused(&name);
    assert!(message.contains("401") && !message.contains("s3cret"), "{message}");
    assert_eq!(hint, "check the name, and the user and password from `--username`");
    home.login = login();
    home.pull(&name).expect("pulled");
    home.assert_has_only(&image);
}

#[test]
fn what_docker_login_keeps_lets_us_in() {
    let Some(registry) = Registry::closed("user", "s3cret") else { return };
    registry.push("a", "1", &Image::new("amd64", &[10]));
    let mut home = Home::new("docker");
    let name = format!("{}/a:1", registry.host());
    let config = |auth: &str| format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.host());
    let path = home.scratch.file("config.json", config("dXNlcjp3cm9uZw=="));
    home.site.logins = vec![home.scratch.0.join("none.json"), path.clone()];
    let (_, hint) = home.refused(&name);
    assert_eq!(hint, format!("check the name, and the user and password from `{}`", path.display()));
    home.scratch.file("config.json", config("dXNlcjpzM2NyZXQ="));
    home.pull(&name).expect("pulled");
}

/// A registry that wants a token of its own, and the server that gives it.
struct Guarded {
    registry: Server,
    tokens: Arc<Server>,
}

/// `opens`: the number of the first token that opens a path; `give` answers who asks for the next.
fn guarded(
    image: &Image,
    opens: impl Fn(&str) -> u32 + Send + Sync + 'static,
    give: impl Fn(&Asked, u32) -> Reply + Send + Sync + 'static,
) -> Guarded {
    let given = AtomicU32::new(0);
    let tokens = Arc::new(Server::new(move |asked| give(asked, given.fetch_add(1, Ordering::Relaxed) + 1)));
    let (shelf, port) = (Shelf::new(image), tokens.port);
    let registry = Server::new(move |asked| {
        let number = asked.header("authorization").and_then(|word| word.strip_prefix("Bearer token-")?.parse().ok());
        if number.is_some_and(|number: u32| number >= opens(&asked.path)) {
            return shelf.answer(asked);
        }
        let realm = format!(
            r#"Bearer realm="http://localhost:{port}/token?a=b",service="the registry",scope="repository:x:pull,push,delete""#
        );
        Reply::status(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#).with("WWW-Authenticate", realm)
    });
    Guarded { registry, tokens }
}

fn token(number: u32) -> Reply {
    Reply::body(format!(r#"{{"token":"token-{number}","expires_in":60}}"#))
}

#[test]
fn a_token_is_asked_for_once_and_for_no_more_than_is_needed() {
    let image = Image::new("amd64", &[10, 20, 30, 40]);
    let guarded = guarded(&image, |_| 1, |_, number| token(number));
    let home = Home::new("token");
    home.pull(&format!("localhost:{}/x:1", guarded.registry.port)).expect("pulled");
    home.assert_has_only(&image);
    let asked = guarded.tokens.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/token?a=b&scope=repository%3Ax%3Apull&service=the%20registry");
    assert_eq!((asked[0].method.as_str(), asked[0].header("authorization")), ("GET", None));
}

#[test]
fn a_token_that_expires_is_renewed_once_for_all() {
    let image = Image::new("amd64", &[10, 20, 30, 40]);
    let config = image.config.digest().to_string();
    let opens = move |path: &str| {
        if path.contains("/manifests/") {
            1
        } else if path.contains(&config) {
            2
        } else {
            3
        }
    };
    let guarded = guarded(&image, opens, |_, number| token(number));
    let home = Home::new("expires");
    home.pull(&format!("localhost:{}/x:1", guarded.registry.port)).expect("pulled");
    home.assert_has_only(&image);
    assert_eq!(guarded.tokens.asked().len(), 3);
}

#[test]
fn the_password_goes_to_the_place_for_tokens_only() {
    let image = Image::new("amd64", &[10]);
    let guarded = guarded(
        &image,
        |_| 1,
        |asked, number| match asked.header("authorization") {
            Some(BASIC) => token(number),
            _ => Reply::status(401, r#"{"details":"incorrect username or password"}"#),
        },
    );
    let mut home = Home::new("password");
    let name = format!("localhost:{}/x:1", guarded.registry.port);
    let (message, hint) = home.refused(&name);
    let place = format!("image: `http://localhost:{}/token`", guarded.tokens.port);
    assert_eq!(message, format!("{place}: 401 Unauthorized (incorrect username or password)"));
    assert!(hint.contains("`--username USER --password-stdin`"), "{hint}");
    home.login = login();
    home.pull(&name).expect("pulled");
    let seen = guarded.registry.asked();
    assert!(
        seen.iter().all(|asked| asked.header("authorization").is_none_or(|word| word.starts_with("Bearer "))),
        "{seen:?}"
    );
}

#[test]
fn an_identity_token_is_exchanged_for_one_of_the_registry() {
    let image = Image::new("amd64", &[10]);
    let guarded = guarded(
        &image,
        |_| 1,
        |asked, number| {
            let form = "scope=repository%3Ax%3Apull&service=the%20registry&grant_type=refresh_token&refresh_token=s3cret%3D%3D&client_id=belljar";
            match (asked.method.as_str(), asked.body == form) {
                ("POST", true) => Reply::body(format!(r#"{{"access_token":"token-{number}"}}"#)),
                _ => Reply::status(400, ""),
            }
        },
    );
    let mut home = Home::new("identity");
    let config = format!(
        r#"{{"auths":{{"localhost:{}":{{"auth":"MDA6","identitytoken":"s3cret=="}}}}}}"#,
        guarded.registry.port
    );
    home.site.logins = vec![home.scratch.file("config.json", config)];
    home.pull(&format!("localhost:{}/x:1", guarded.registry.port)).expect("pulled");
    let asked = guarded.tokens.asked();
    assert_eq!((asked.len(), asked[0].header("authorization")), (1, None));
}

#[test]
fn who_is_redirected_to_gets_to_see_nothing() {
    let image = Image::new("amd64", &[1_000]);
    let shelf = Shelf::new(&image);
    // Asks for the password itself, and sends us back with a path of its choice.
    let thief = Arc::new(Server::new(|_| Reply::status(401, "").with("WWW-Authenticate", r#"Basic realm="x""#)));
    let port = thief.port;
    let server = Server::new(move |asked| match asked.header("authorization") {
        Some(BASIC) if asked.path.contains("/blobs/") => {
            Reply::status(307, "").with("Location", format!("http://localhost:{port}/x"))
        }
        Some(BASIC) => shelf.answer(asked),
        _ => Reply::status(401, "").with("WWW-Authenticate", r#"Basic realm="x""#),
    });
    let mut home = Home::new("thief");
    home.login = login();
    let (message, _) = home.refused(&format!("localhost:{}/x:1", server.port));
    assert_eq!(message, format!("image: `http://localhost:{port}/x`: 401 Unauthorized"));
    let seen = thief.asked();
    assert!(!seen.is_empty() && seen.iter().all(|asked| asked.header("authorization").is_none()), "{seen:?}");
}

#[test]
fn a_way_back_does_not_bring_the_password_back() {
    let image = Image::new("amd64", &[1_000]);
    let shelf = Shelf::new(&image);
    let home_port = Arc::new(AtomicU32::new(0));
    let back = Arc::clone(&home_port);
    let other = Arc::new(Server::new(move |_| {
        Reply::status(307, "").with("Location", format!("http://localhost:{}/secret", back.load(Ordering::Relaxed)))
    }));
    let port = other.port;
    let server = Server::new(move |asked| match asked.header("authorization") {
        _ if asked.path == "/secret" => Reply::status(404, ""),
        Some(BASIC) if asked.path.contains("/blobs/") => {
            Reply::status(307, "").with("Location", format!("http://127.0.0.1:{port}/x"))
        }
        Some(BASIC) => shelf.answer(asked),
        _ => Reply::status(401, "").with("WWW-Authenticate", "Basic"),
    });
    home_port.store(server.port.into(), Ordering::Relaxed);
    let mut home = Home::new("back");
    home.login = login();
    let (message, _) = home.refused(&format!("localhost:{}/x:1", server.port));
    assert!(message.contains("/secret`: 404"), "{message}");
    assert!(server.asked_for("/secret").iter().all(|asked| asked.header("authorization").is_none()));
}

#[test]
fn a_place_for_tokens_that_is_none_is_not_asked() {
    for (challenge, why) in [
        (
            r#"Bearer realm="http://192.0.2.1/token""#,
            "the place for its tokens is not asked: `http://192.0.2.1/token` is plain HTTP, which anybody on the way can read",
        ),
        ("Bearer service=x", "the place for its tokens is not asked: it names none"),
        ("Negotiate", "it asks who we are by `negotiate`, not by a token or a password"),
    ] {
        let server = Server::new(move |_| Reply::status(401, "").with("WWW-Authenticate", challenge));
        let mut home = Home::new("realm");
        home.login = login();
        let (message, _) = home.refused(&format!("localhost:{}/x:1", server.port));
        assert_eq!(message, format!("image: `http://localhost:{}/`: {why}", server.port));
    }
    let silent = Server::new(|_| Reply::status(401, ""));
    let (message, _) = Home::new("silent").refused(&format!("localhost:{}/x:1", silent.port));
    assert!(message.ends_with("/v2/x/manifests/1`: 401 Unauthorized"), "{message}");
    for answer in ["", "[]", r#"{"token":""}"#, r#"{"token":"a\r\nHost: b"}"#] {
        let tokens = Server::new(move |_| Reply::body(answer));
        let port = tokens.port;
        let server = Server::new(move |_| {
            Reply::status(401, "").with("WWW-Authenticate", format!(r#"Bearer realm="http://localhost:{port}/token""#))
        });
        let (message, _) = Home::new("no-token").refused(&format!("localhost:{}/x:1", server.port));
        assert_eq!(message, format!("image: `http://localhost:{port}/token`: what it gives is no token"), "{answer}");
    }
}
