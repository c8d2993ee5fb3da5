//! A server of the test's own on loopback: it answers as a closure says, and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// A form.
    pub body: String,
}

impl Asked {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Bytes of the body after which the connection breaks.
    cut: Option<usize>,
    /// Bytes of the body after which nothing comes for a while.
    pause: Option<(usize, Duration)>,
    /// The length is told.
    told: bool,
}

impl Reply {
    /// 200.
    pub fn body(body: impl Into<Vec<u8>>) -> Reply {
        Reply::status(200, body)
    }

    /// Another one.
    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), cut: None, pause: None, told: true }
    }

    /// With a header.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Broken after so many bytes.
    pub fn cut(self, after: usize) -> Reply {
        Reply { cut: Some(after), ..self }
    }

    /// With a pause after so many bytes.
    pub fn pause(self, after: usize, pause: Duration) -> Reply {
        Reply { pause: Some((after, pause)), ..self }
    }

    /// Without a length: the body ends with the connection.
    pub fn untold(self) -> Reply {
        Reply { told: false, ..self }
    }

    /// The part of the body that was asked for, if one was.
    pub fn ranged(mut self, asked: &Asked) -> Reply {
        let from =
            asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        if let Some(from) = from.filter(|from: &usize| *from < self.body.len()) {
            let whole = self.body.len();
            self.status = 206;
            self.body.drain(..from);
            return self.with("Content-Range", format!("bytes {from}-{}/{whole}", whole - 1));
        }
        self
    }

    fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.told {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        let body = &self.body[..self.cut.unwrap_or(self.body.len())];
        let (first, rest) = body.split_at(self.pause.map_or(0, |(after, _)| after));
        stream.write_all(first)?;
        if let Some((_, pause)) = self.pause {
            std::thread::sleep(pause);
        }
        stream.write_all(rest)
    }
}

/// The server; it ends with the value.
pub struct Server {
    /// Where it listens.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// One that answers as `reply` says.
    pub fn new(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
        let port = listener.local_addr().expect("an address").port();
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end, reply) = (Arc::clone(&asked), Arc::clone(&stop), Arc::new(reply));
        let thread = std::thread::spawn(move || {
            let mut talks = Vec::new();
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let (mut stream, log, reply) = (stream.expect("a connection"), Arc::clone(&log), Arc::clone(&reply));
                talks.push(std::thread::spawn(move || {
                    if let Some(asked) = hear(&stream) {
                        log.lock().expect("the log").push(asked.clone());
                        // Who hangs up early does not want the rest.
                        let _ = reply(&asked).send(&mut stream);
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                }));
            }
            for talk in talks {
                talk.join().expect("a talk that ended well");
            }
        });
        Server { port, asked, stop, thread: Some(thread) }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the log").clone()
    }

    /// What it was asked so far below a part of a path.
    pub fn asked_for(&self, part: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.path.contains(part));
        asked
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it up.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server failed");
        }
    }
}

fn hear(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let mut asked = Asked { method: words.next()?.to_owned(), path: words.next()?.to_owned(), ..Asked::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut asked.body).ok()?;
    Some(asked)
}

/// A proxy for HTTPS that leads every host to one address on loopback, and remembers which it was asked for.
pub struct Tunnel {
    /// Where it listens.
    pub port: u16,
    hosts: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// One to `target`.
    pub fn new(target: String) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on loopback");
        let port = listener.local_addr().expect("an address").port();
        let (hosts, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end) = (Arc::clone(&hosts), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !end.load(Ordering::Relaxed)) {
                let (near, target, log) = (stream.expect("a connection"), target.clone(), Arc::clone(&log));
                // They end with their connections, which the client closes.
                std::thread::spawn(move || tunnel(&near, &target, &log));
            }
        });
        Tunnel { port, hosts, stop, thread: Some(thread) }
    }

    /// Hosts and ports that it was asked for, each once.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = self.hosts.lock().expect("the log").clone();
        hosts.dedup();
        hosts
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn tunnel(near: &TcpStream, target: &str, log: &Mutex<Vec<String>>) {
    let Some(asked) = hear(near) else { return };
    assert_eq!(asked.method, "CONNECT");
    log.lock().expect("the log").push(asked.path);
    let far = TcpStream::connect(target).expect("connect to the target");
    (&*near).write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("say so");
    let pump = |from: &TcpStream, to: &TcpStream| {
        // Either side may hang up at any time.
        let _ = std::io::copy(&mut &*from, &mut &*to);
        let _ = to.shutdown(Shutdown::Write);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pump(near, &far));
        pump(&far, near);
    });
}
