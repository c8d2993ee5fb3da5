//! Ports: what listens on the host for the tests, and connections to what listens in sandboxes.

use super::eventually;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long a test waits for bytes before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port of the host that nobody has at this moment. Another test may be quicker, which is why there is [`free_again`].
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Whether nobody listens there any more.
pub fn is_closed(port: u16) -> bool {
    matches!(TcpStream::connect(("127.0.0.1", port)), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

/// A connection to what listens inside behind `place`, once it does: until then connections are reset.
pub fn connect(place: impl Into<SocketAddr>) -> TcpStream {
    let place = place.into();
    let connected = std::cell::RefCell::new(None);
    let there = eventually(20, || {
        let Ok(stream) = TcpStream::connect(place) else { return false };
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("set a time");
        // Whoever refuses says so at once; whoever takes the connection says nothing, or something.
        let lives = match stream.peek(&mut [0]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("set a time");
        stream.set_write_timeout(Some(PATIENCE)).expect("set a time");
        if lives {
            connected.replace(Some(stream));
        }
        lives
    });
    assert!(there, "nobody answers at {place}");
    connected.take().expect("a connection")
}

/// The same at the loopback.
pub fn local(port: u16) -> TcpStream {
    connect(([127, 0, 0, 1], port))
}

/// What `GET PATH` of HTTP answers.
pub fn get(port: u16, path: &str) -> String {
    let mut stream = local(port);
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("hear the answer");
    answer
}

/// Whether a connection is reset before anything comes. With one CPU that may be before `connect` returns.
pub fn is_reset(port: u16) -> bool {
    let heard = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read(&mut [0])
    });
    matches!(heard, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

/// Ends a connection by a reset.
pub fn reset(stream: TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).expect("set a socket");
}

/// The process that takes connections for the sandbox that `supervisor` supervises.
pub fn publisher_of(supervisor: i32) -> i32 {
    let children = || {
        let list =
            std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap_or_default();
        list.split(' ').filter_map(|child| child.parse::<i32>().ok()).collect::<Vec<_>>()
    };
    let is_it = |child: &i32| {
        std::fs::read_to_string(Path::new("/proc").join(child.to_string()).join("comm"))
            .is_ok_and(|name| name.trim_end() == "belljar-publish")
    };
    assert!(eventually(10, || children().iter().any(is_it)), "no publisher below {supervisor}");
    children().into_iter().find(is_it).expect("a publisher")
}

/// Bytes that are not all alike, and the same each time.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..count.div_ceil(8)).flat_map(|_| next()).take(count).collect()
}
