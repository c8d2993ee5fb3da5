//! What a network held to a policy costs, next to pasta and slirp4netns in the same run: `cargo bench --bench network`.
//!
//! The same static client runs in each of them and speaks to the same servers on the host's loopback. It does a piece of work for
//! each line on its standard input, so that the processes that carry its packets can be looked at in between. Ratios of each round are
//! compared, since other work on the machine meets all of a round.
//!
//! As root all of it is in a network and mount namespace of its own, with a server of names on the loopback and one on port 443 of an
//! address there. Then questions for names are measured too, and what a rule about names costs connections that it has let through.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SECONDS: Duration = Duration::from_secs(2);
const SHORT: usize = 2000;
const AT_ONCE: usize = 50;
const ROUNDS: usize = 5;
/// The address of our own namespace that is no loopback.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 31, 196, 2);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["client", host, port] => {
            client(host, port.parse().expect("a port"));
            ExitCode::SUCCESS
        }
        ["isolated"] => {
            prepare();
            compare(true)
        }
        _ if nix::unistd::geteuid().is_root() => {
            let own = std::env::current_exe().expect("our own name");
            let status = Command::new("unshare").args(["--net", "--mount"]).arg(own).arg("isolated").status();
            if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => compare(false),
    }
}

/// Interfaces of our own namespace, its server of names, and what speaks on port 443.
fn prepare() {
    let script = format!(
        "ip link set lo up && ip link add own0 type veth peer name far0 && ip link set far0 up && ip link set own0 up &&
        ip addr add {ADDRESS}/24 dev own0 &&
        ip route add default via 192.31.196.1 && mount -t tmpfs none /mnt && echo nameserver 127.0.0.1 >/mnt/resolv.conf &&
        mount --bind /mnt/resolv.conf /etc/resolv.conf"
    );
    assert!(Command::new("sh").args(["-c", &script]).status().is_ok_and(|status| status.success()), "namespaces");
    let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).expect("port 53");
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((count, from)) = names.recv_from(&mut bytes) {
            // The header, one question, and an address for it.
            let Some(end) = bytes[12..count].iter().position(|byte| *byte == 0).map(|at| 12 + at + 5) else { continue };
            let head = [&bytes[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
            let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &ADDRESS.octets()].concat();
            let _ = names.send_to(&[&head, &bytes[12..end], &record].concat(), from);
        }
    });
    let listener = TcpListener::bind((ADDRESS, 443)).expect("port 443");
    thread::spawn(move || {
        for mut peer in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut first = vec![0; hello().len() + 1];
                if peer.read_exact(&mut first).is_ok() {
                    if first.ends_with(b"u") { sink(peer) } else { source(peer) }
                }
            });
        }
    });
}

/// The first bytes of TLS, which name whom the connection is to (RFC 8446).
fn hello() -> Vec<u8> {
    let long = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let name = long(&[&[0][..], &long(b"www.bench.example")].concat());
    let extensions = long(&[&[0, 0][..], &long(&name)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &long(&[0x13, 1]), &[1, 0], &extensions].concat();
    let message = [&[1, 0][..], &long(&body)].concat();
    [&[22, 3, 1][..], &long(&message)].concat()
}

/// Takes everything, and says how much that was.
fn sink(mut peer: TcpStream) {
    let (mut piece, mut total) = (vec![0; 256 << 10], 0_u64);
    while let Ok(count @ 1..) = peer.read(&mut piece) {
        total += count as u64;
    }
    let _ = peer.write_all(&total.to_le_bytes());
}

fn source(mut peer: TcpStream) {
    while peer.write_all(&[7; 256 << 10]).is_ok() {}
}

/// A server for each kind of work, on three ports in a row.
fn serve() -> u16 {
    let (answers, sinks, sources) = loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = first.local_addr().expect("its address").port();
        let next = |more| TcpListener::bind((Ipv4Addr::LOCALHOST, port.checked_add(more)?)).ok();
        if let (Some(second), Some(third)) = (next(1), next(2)) {
            break (first, second, third);
        }
    };
    let port = answers.local_addr().expect("its address").port();
    let each = |listener: TcpListener, work: fn(TcpStream)| {
        thread::spawn(move || listener.incoming().flatten().for_each(|peer| drop(thread::spawn(move || work(peer)))))
    };
    each(answers, |mut peer| {
        let mut request = [0; 256];
        if peer.read(&mut request).is_ok_and(|count| count > 0) {
            let _ = peer.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
        }
    });
    each(sinks, sink);
    each(sources, source);
    port
}

/// Connect, ask, read the answer to its end.
fn ask(host: &str, port: u16) {
    let mut peer = TcpStream::connect((host, port)).expect("connect");
    peer.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("ask");
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).expect("hear");
    assert!(answer.ends_with(b"hello\n"));
}

/// Bytes a second that go up.
fn up(mut peer: TcpStream) -> f64 {
    let begun = Instant::now();
    while begun.elapsed() < SECONDS {
        peer.write_all(&[7; 256 << 10]).expect("send");
    }
    peer.shutdown(std::net::Shutdown::Write).expect("finish");
    let mut total = [0; 8];
    peer.read_exact(&mut total).expect("the server's count");
    u64::from_le_bytes(total) as f64 / begun.elapsed().as_secs_f64()
}

/// Bytes a second that come down.
fn down(mut peer: TcpStream) -> f64 {
    let (begun, mut piece, mut total) = (Instant::now(), vec![0; 256 << 10], 0);
    while begun.elapsed() < SECONDS {
        total += peer.read(&mut piece).expect("hear");
    }
    total as f64 / begun.elapsed().as_secs_f64()
}

/// A connection that names whom it is to; the server then takes or gives.
fn named(way: &[u8]) -> TcpStream {
    let mut peer = TcpStream::connect((ADDRESS, 443)).expect("connect");
    peer.write_all(&[&hello(), way].concat()).expect("say hello");
    peer
}

/// Asks for a name that nobody has asked for before, from a port of its own.
fn look_up(host: &str, number: usize) {
    let name = format!("n{number}");
    let labels = [name.as_bytes(), b"bench", b"example"].map(|label| [&[label.len() as u8][..], label].concat());
    let question = [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &labels.concat(), &[0, 0, 1, 0, 1]].concat();
    let peer = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    peer.set_read_timeout(Some(SECONDS)).expect("a socket");
    peer.connect((host, 53)).expect("connect");
    peer.send(&question).expect("ask");
    let mut answer = [0; 512];
    let count = peer.recv(&mut answer).expect("an answer");
    assert!(answer[..count].ends_with(&ADDRESS.octets()), "{:?}", &answer[..count]);
}

/// Answers each line with figures.
fn client(host: &str, port: u16) {
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "short" => {
                let mut times: Vec<f64> = (0..SHORT).map(|_| seconds(|| ask(host, port)) * 1e6).collect();
                println!("{}", median(&mut times));
            }
            "many" => {
                let each = SHORT / AT_ONCE;
                let taken = seconds(|| {
                    thread::scope(|scope| {
                        (0..AT_ONCE).for_each(|_| drop(scope.spawn(|| (0..each).for_each(|_| ask(host, port)))));
                    });
                });
                println!("{}", SHORT as f64 / taken);
            }
            "up" => println!("{}", up(TcpStream::connect((host, port + 1)).expect("connect"))),
            "down" => println!("{}", down(TcpStream::connect((host, port + 2)).expect("connect"))),
            "named up" => println!("{}", up(named(b"u"))),
            "named down" => println!("{}", down(named(b"d"))),
            "names" => {
                let mut times: Vec<f64> = (0..SHORT).map(|number| seconds(|| look_up(host, number)) * 1e6).collect();
                println!("{}", median(&mut times));
            }
            other => panic!("{other}"),
        }
    }
}

/// A client behind one of them.
struct Candidate {
    name: String,
    child: Child,
    /// Apart from it, who carries its packets.
    helper: Option<Child>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Candidate {
    fn start(name: &str, port: u16) -> Candidate {
        let own = std::env::current_exe().expect("our own name").to_string_lossy().into_owned();
        let port = port.to_string();
        let (words, host) = match name {
            "belljar" | "belljar, names" => {
                let ports = [0, 1, 2].map(|more| format!("--allow=host:{}", port.parse::<u16>().expect("one") + more));
                let mut rules = [ports.to_vec(), vec![format!("--allow={ADDRESS}:443")]].concat();
                rules.push("--allow=*.bench.example:1".to_owned());
                if name != "belljar" {
                    // Each connection on port 443 has to say a name that is not this one.
                    rules.push("--deny=else.example".to_owned());
                }
                let mount = format!("--mount={own}:/client");
                let fixed = ["run", "--memory=4G", "--cpus=64", &mount].map(str::to_owned);
                ([vec![belljar()], fixed.to_vec(), rules, words("-- /client")].concat(), "192.0.0.1")
            }
            "pasta" => {
                // Root would else become somebody who may not open the device.
                let who = if nix::unistd::geteuid().is_root() { "--runas 0 " } else { "" };
                let fixed = "--config-net -a 10.0.2.100 -n 24 -g 10.0.2.2 -m 65520 -t none -u none -T none -U none";
                ([words(&format!("pasta -f {who}{fixed} --")), vec![own]].concat(), "10.0.2.2")
            }
            _ => ([words("unshare --user --map-root-user --net --"), vec![own]].concat(), "10.0.2.2"),
        };
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .args(["client", host, &port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        thread::sleep(Duration::from_millis(500));
        let helper = (name == "slirp4netns").then(|| {
            let fixed = ["--configure", "--mtu=65520", &child.id().to_string(), "tap0"].map(str::to_owned);
            let helper = Command::new("slirp4netns").args(fixed).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            thread::sleep(Duration::from_millis(500));
            helper.expect("it starts")
        });
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Candidate { name: name.to_owned(), child, helper, input, output: BufReader::new(output) }
    }

    /// A figure, and the CPU seconds of those who carried the packets.
    fn does(&mut self, work: &str) -> (f64, f64) {
        let before = self.carriers().1;
        writeln!(self.input, "{work}").expect("it reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        let figure = line.trim().parse().unwrap_or_else(|_| panic!("{work}: `{line}`"));
        (figure, self.carriers().1 - before)
    }

    /// Resident kilobytes, and CPU seconds so far, of the processes that carry its packets.
    fn carriers(&self) -> (u64, f64) {
        let mut all = self.helper.as_ref().map_or_else(|| descendants(self.child.id()), |helper| vec![helper.id()]);
        let status = |pid: u32, field: &str| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned())).unwrap_or_default()
        };
        if self.name == "pasta" {
            all.retain(|pid| status(*pid, "Name:").starts_with("pas"));
        } else if self.name.starts_with("belljar") {
            // The supervisor carries none, and whoever has a number of its own inside is inside.
            all.retain(|pid| *pid != self.child.id() && !status(*pid, "NSpid:").contains('\t'));
        }
        assert!(!all.is_empty(), "{} has nobody who carries its packets", self.name);
        let memory = all.iter().filter_map(|pid| status(*pid, "VmRSS:").split_whitespace().next()?.parse::<u64>().ok());
        let cpu = all.iter().filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
            Some((fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?) as f64 / 100.0)
        });
        (memory.sum(), cpu.sum())
    }

    fn end(mut self) {
        drop(self.input);
        let _ = self.child.wait();
        if let Some(mut helper) = self.helper {
            let _ = helper.kill();
            let _ = helper.wait();
        }
    }
}

fn belljar() -> String {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/target/x86_64-unknown-linux-musl/release/belljar");
    std::env::var("BELLJAR_RELEASE_BIN").unwrap_or_else(|_| usual.to_owned())
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// A process and all below it.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).flat_map(descendants);
    std::iter::once(pid).chain(below).collect()
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What `belljar run` of a program that does nothing takes, in milliseconds.
fn start(options: &[&str]) -> f64 {
    let once = || {
        seconds(|| {
            assert!(
                Command::new(belljar())
                    .arg("run")
                    .args(options)
                    .args(["--", "true"])
                    .status()
                    .is_ok_and(|end| end.success())
            )
        })
    };
    let mut times: Vec<f64> = (0..30).map(|_| once() * 1e3).collect();
    median(&mut times)
}

/// What a rule about names leaves of the speed of connections that it lets through: a ratio for each direction.
fn ruled(port: u16) -> [f64; 2] {
    let mut of = ["belljar", "belljar, names"].map(|name| {
        let mut one = Candidate::start(name, port);
        let figures = [one.does("named up").0, one.does("named down").0];
        one.end();
        figures
    });
    let [without, with] = &mut of;
    [with[0] / without[0], with[1] / without[1]]
}

/// Compares them; `isolated` in namespaces of our own.
fn compare(isolated: bool) -> ExitCode {
    if let Err(error) = fs::File::options().read(true).write(true).open("/dev/net/tun") {
        println!("\nnetwork: not measured: pasta and slirp4netns need `/dev/net/tun`: {error}");
        return ExitCode::FAILURE;
    }
    let port = serve();
    let names = ["belljar", "pasta", "slirp4netns"];
    // By candidate and kind of work, a figure of each round; at the end, what they hold.
    let mut kinds = vec![
        "up, Gbit/s",
        "down, Gbit/s",
        "up, CPU s/GB",
        "down, CPU s/GB",
        "connect-request-close, p50 µs",
        "50 at once, per second",
    ];
    if isolated {
        kinds.push("question for a name, p50 µs");
    }
    kinds.push("resident after all, kB");
    let mut figures = vec![vec![Vec::new(); kinds.len()]; names.len()];
    let mut ratios_of_rules = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (name, figures) in names.iter().zip(&mut figures) {
            let mut one = Candidate::start(name, port);
            let ((up, up_cpu), (down, down_cpu)) = (one.does("up"), one.does("down"));
            let (short, many) = (one.does("short").0, one.does("many").0);
            let gigabytes = |rate: f64| rate * SECONDS.as_secs_f64() / 1e9;
            let names = isolated.then(|| one.does("names").0);
            let resident = one.carriers().0 as f64;
            one.end();
            let speeds = [up * 8e-9, down * 8e-9, up_cpu / gigabytes(up), down_cpu / gigabytes(down), short, many];
            let all = speeds.into_iter().chain(names).chain([resident]);
            figures.iter_mut().zip(all).for_each(|(figures, figure)| figures.push(figure));
        }
        if isolated {
            ratios_of_rules.iter_mut().zip(ruled(port)).for_each(|(all, ratio)| all.push(ratio));
        }
    }
    println!(
        "\n| network: medians of {ROUNDS} rounds | {} | ratio to pasta, median of the rounds | goal |  |",
        names.join(" | ")
    );
    println!("| --- | ---: | ---: | ---: | ---: | --- | --- |");
    let mut goals = vec![(2.0, true), (1.2, true), (1.0, false), (1.0, false), (0.9, false), (1.3, true)];
    if isolated {
        goals.push((1.1, false));
    }
    for (kind, name) in kinds.iter().enumerate() {
        let shown: Vec<String> = figures.iter_mut().map(|of| format!("{:.2}", median(&mut of[kind].clone()))).collect();
        let mut ratios: Vec<f64> =
            figures[0][kind].iter().zip(&figures[1][kind]).map(|(own, theirs)| own / theirs).collect();
        let ratio = median(&mut ratios);
        let (goal, met) = match goals.get(kind) {
            Some((goal, true)) => (format!("at least {goal}"), ratio >= *goal),
            Some((goal, false)) => (format!("at most {goal}"), ratio <= *goal),
            None => ("at most 6144 kB".to_owned(), median(&mut figures[0][kind].clone()) <= 6144.0),
        };
        println!("| {name} | {} | {ratio:.2} | {goal} | {} |", shown.join(" | "), if met { "pass" } else { "missed" });
    }
    for (way, ratios) in ["up", "down"].iter().zip(&mut ratios_of_rules).filter(|_| isolated) {
        let ratio = median(ratios);
        let met = if ratio >= 0.95 { "pass" } else { "missed" };
        println!("| {way} with a rule about names, to without | {ratio:.2} | | | | at least 0.95 | {met} |");
    }
    let (none, policy) = (start(&[]), start(&["--allow=host:1"]));
    let met = if policy - none <= 2.0 { "pass" } else { "missed" };
    println!("| start and end of `true`, ms over `--net none` | {:.2} | | | | at most 2 | {met} |", policy - none);
    ExitCode::SUCCESS
}
