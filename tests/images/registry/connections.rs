//! Connections that break, registries that are busy or send us elsewhere.

use super::Home;
use super::images::{Image, Shelf};
use super::real::Registry;
use super::server::{Reply, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How often something was done before.
fn counter() -> impl Fn() -> u32 {
    let count = AtomicU32::new(0);
    move || count.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let Some(registry) = Registry::open() else { return };
    let image = Image::new("amd64", &[2_000_000]);
    registry.push("x", "1", &image);
    let (upstream, layer, blobs) = (registry.host(), image.layers[0].digest().to_string(), counter());
    let path = layer.clone();
    // Between us and the registry: the first answer with the layer breaks.
    let server = Server::new(move |asked| {
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
        let mut request = agent.get(format!("http://{upstream}{}", asked.path));
        for name in ["accept", "range"] {
            if let Some(value) = asked.header(name) {
                request = request.header(name, value);
            }
        }
        let mut answer = request.call().expect("the registry's answer");
        let status = answer.status().as_u16();
        let mut reply = Reply::status(status, answer.body_mut().read_to_vec().expect("the body"));
        for name in ["content-type", "content-range", "docker-content-digest"] {
            if let Some(value) = answer.headers().get(name) {
                reply = reply.with(name, value.to_str().expect("text"));
            }
        }
        match asked.path.contains(&path) && blobs() == 0 {
            true => reply.cut(700_000),
            false => reply,
        }
    });
    let home = Home::new("cut");
    let pulled = home.pull(&format!("localhost:{}/x:1", server.port)).expect("pulled");
    assert_eq!(pulled.fetched_bytes, image.size(), "nothing came twice");
    let ranges: Vec<Option<String>> =
        server.asked_for(&layer).iter().map(|asked| asked.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=700000-".to_owned())]);
    home.assert_has_only(&image);
    assert!(home.notes().iter().any(|note| note.contains("; again in 0.5 s")), "{:?}", home.notes());
}

#[test]
fn what_an_earlier_run_fetched_is_not_fetched_again() {
    let image = Image::new("amd64", &[1_000_000]);
    let (shelf, layer, blobs) = (Shelf::new(&image), image.layers[0].digest(), counter());
    let path = layer.to_string();
    let server = Server::new(move |asked| match asked.path.contains(&path).then(&blobs) {
        Some(0) => shelf.answer(asked).cut(300_000),
        Some(1) => Reply::status(404, ""),
        _ => shelf.answer(asked),
    });
    let home = Home::new("runs");
    let name = format!("localhost:{}/x:1", server.port);
    let (message, _) = home.refused(&name);
    assert!(message.ends_with(&format!("blobs/{layer}`: 404 Not Found")), "{message}");
    assert_eq!(home.files("partial"), [layer.hex()]);
    home.assert_has_none();
    let pulled = home.pull(&name).expect("pulled");
    assert_eq!(pulled.fetched_bytes, image.size() - 300_000);
    let asked = server.asked_for(&layer.to_string());
    assert_eq!(asked.last().expect("a request").header("range"), Some("bytes=300000-"));
    home.assert_has_only(&image);
}

#[test]
fn what_is_left_of_another_blob_is_thrown_away() {
    let image = Image::new("amd64", &[100_000]);
    let layer = image.layers[0].digest();
    let shelf = Shelf::new(&image);
    let server = Server::new(move |asked| shelf.answer(asked));
    for (name, left) in
        [("shorter", vec![7; 50_000]), ("as-long", vec![7; image.layers[0].bytes.len()]), ("longer", vec![7; 500_000])]
    {
        let home = Home::new(name);
        home.store.make().expect("make the store");
        std::fs::write(home.store.partial(&layer), left).expect("leave something");
        home.pull(&format!("localhost:{}/x:1", server.port)).expect(name);
        home.assert_has_only(&image);
    }
}

#[test]
fn a_registry_that_knows_no_ranges_is_asked_for_all_of_it() {
    let image = Image::new("amd64", &[100_000]);
    let layer = image.layers[0].digest().to_string();
    let misunderstood = |status: u16, range: &'static str| {
        let (shelf, path, whole) = (Shelf::new(&image), layer.clone(), image.layers[0].bytes.clone());
        Server::new(move |asked| match asked.header("range") {
            Some(_) if asked.path.contains(&path) => Reply::status(status, &whole[..10]).with("Content-Range", range),
            _ => shelf.answer(asked),
        })
    };
    let ignored = {
        let (shelf, path, whole) = (Shelf::new(&image), layer.clone(), image.layers[0].bytes.clone());
        Server::new(move |asked| match asked.path.contains(&path) {
            true => Reply::body(whole.clone()),
            false => shelf.answer(asked),
        })
    };
    for (name, server) in [
        ("ignored", ignored),
        ("none", misunderstood(416, "bytes */10")),
        ("other", misunderstood(206, "bytes 0-9/100000")),
        ("unsaid", misunderstood(206, "")),
    ] {
        let home = Home::new(name);
        home.store.make().expect("make the store");
        std::fs::write(home.store.partial(&image.layers[0].digest()), &image.layers[0].bytes[..5_000])
            .expect("leave something");
        home.pull(&format!("localhost:{}/x:1", server.port)).expect(name);
        home.assert_has_only(&image);
    }
}

#[test]
fn two_pulls_at_once_fetch_everything_once() {
    let image = Image::new("amd64", &[3_000_000, 10, 1_000_000]);
    let shelf = Shelf::new(&image);
    let server = Server::new(move |asked| {
        if asked.path.contains("/blobs/") {
            // A slow server: all of them have asked before the first has its answer.
            std::thread::sleep(Duration::from_millis(300));
        }
        shelf.answer(asked)
    });
    let home = Home::new("at-once");
    let name = format!("localhost:{}/x:1", server.port);
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..4).map(|_| scope.spawn(|| home.pull(&name))).collect();
        for pull in pulls {
            assert_eq!(pull.join().expect("a thread").expect("pulled").manifest, image.manifest.digest());
        }
    });
    for layer in &image.layers {
        assert_eq!(server.asked_for(&layer.digest().to_string()).len(), 1);
    }
    home.assert_has_only(&image);
    assert!(
        home.notes().iter().any(|note| note.ends_with("another belljar fetches it; waiting")),
        "{:?}",
        home.notes()
    );
}

#[test]
fn a_registry_that_is_busy_is_asked_again_when_it_says() {
    let image = Image::new("amd64", &[10]);
    let (shelf, requests) = (Shelf::new(&image), counter());
    let server = Server::new(move |asked| match requests() {
        0 => Reply::status(429, "").with("Retry-After", "1"),
        1 => Reply::status(503, ""),
        _ => shelf.answer(asked),
    });
    let home = Home::new("busy");
    let begun = Instant::now();
    home.pull(&format!("localhost:{}/x:1", server.port)).expect("pulled");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    let notes = home.notes().join("\n");
    assert!(
        notes.contains("429 Too Many Requests; again in 1 s\n")
            && notes.contains("503 Service Unavailable; again in 1 s"),
        "{notes}"
    );

    let server =
        Server::new(|_| Reply::status(429, r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#).with("Retry-After", "3600"));
    let (message, hint) = home.refused(&format!("localhost:{}/x:1", server.port));
    assert!(message.ends_with("429 Too Many Requests (TOOMANYREQUESTS): it asks to wait 3600 s"), "{message}");
    assert!(hint.contains("logged in"), "{hint}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn blobs_are_fetched_from_where_the_registry_sends_us() {
    let image = Image::new("amd64", &[100_000]);
    let (shelf, elsewhere) = (Shelf::new(&image), Shelf::new(&image));
    let cdn = Arc::new(Server::new(move |asked| {
        let path = asked.path.replace("/signed/", "/v2/x/").replace("?signature=s3cret", "");
        elsewhere.answer(&super::server::Asked { path, ..asked.clone() })
    }));
    let port = cdn.port;
    let server = Server::new(move |asked| match asked.path.strip_prefix("/v2/x/blobs/") {
        Some(blob) => Reply::status(307, "")
            .with("Location", format!("http://127.0.0.1:{port}/signed/blobs/{blob}?signature=s3cret")),
        None => shelf.answer(asked),
    });
    let home = Home::new("redirect");
    home.store.make().expect("make the store");
    let layer = &image.layers[0];
    std::fs::write(home.store.partial(&layer.digest()), &layer.bytes[..5_000]).expect("leave something");
    let name = format!("localhost:{}/x:1", server.port);
    home.pull(&name).expect("pulled");
    let asked = cdn.asked_for(&layer.digest().to_string());
    assert_eq!(asked[0].header("range"), Some("bytes=5000-"));

    let gone = Server::new(move |asked| match asked.path.contains("/blobs/") {
        true => Reply::status(302, "").with("Location", "/gone?signature=s3cret"),
        false if asked.path.contains("/gone") => Reply::status(403, ""),
        false => Shelf::new(&image).answer(asked),
    });
    let (message, _) = Home::new("gone").refused(&format!("localhost:{}/x:1", gone.port));
    assert_eq!(message, format!("image: `http://localhost:{}/gone`: 403 Forbidden", gone.port));
}

#[test]
fn a_redirect_to_what_is_less_safe_or_nowhere_is_not_followed() {
    for (location, why) in [
        (
            "http://192.0.2.1/x",
            "a redirect that is not followed: `http://192.0.2.1/x` is plain HTTP, which anybody on the way can read",
        ),
        ("file:///etc/passwd", "a redirect that is not followed: what it names is no address (invalid format)"),
        ("http://u:p@localhost/x", "a redirect that is not followed: `http://localhost/x` comes with a user name"),
        ("/again", "more than 5 redirects"),
    ] {
        let server = Server::new(move |_| Reply::status(307, "").with("Location", location));
        let (message, _) = Home::new("nowhere").refused(&format!("localhost:{}/x:1", server.port));
        assert!(message.starts_with("fetch `http://localhost:") && message.ends_with(why), "{message}");
    }
}

#[test]
fn a_registry_that_is_not_there_is_said_to_be_so_at_once() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        listener.local_addr().expect("an address").port()
    };
    let home = Home::new("not-there");
    let begun = Instant::now();
    let (message, hint) = home.refused(&format!("localhost:{port}/x:1"));
    assert_eq!(message, format!("fetch `http://localhost:{port}/v2/x/manifests/1`: Connection refused"));
    assert_eq!(hint, "nothing listens there: check host and port");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
