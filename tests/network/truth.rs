//! What is said about a network, and that it is so: counts, targets, hints, limits; and what becomes of a sandbox whose network is killed.

use crate::common::{Started, eventually, stdout};
use crate::world::{Kept, command, python_command, python_result, servers, shell};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

#[test]
fn the_result_counts_what_was_reached_and_lists_what_was_refused_with_the_option_that_allows_it() {
    let text = "
tcp('192.52.193.1', 7, b'12345'); tcp('192.52.193.2', 22); tcp('192.52.193.2', 22); udp('192.52.193.2', 9000); look('allowed.example'); look('other.example')
tcp('2620:4f:8000:2::2', 443); tcp('169.254.169.254', 80); tcp('192.52.193.1', 2)
";
    let result = python_result(&["--allow", "192.52.193.1", "--allow", "allowed.example:443"], text);
    let network = &result["network"];
    let numbers = ["allowed", "failed", "queries", "sent", "received", "lost", "more_targets", "dropped_lines"]
        .map(|key| network[key].to_string());
    assert_eq!(numbers, ["1", "1", "2", "5", "5", "false", "0", "0"], "{network}");
    let targets = network["targets"].as_array().expect("a list");
    let shown: Vec<String> = targets
        .iter()
        .map(|target| {
            format!(
                "{} {} {}",
                target["target"].as_str().unwrap_or(""),
                target["times"],
                target["hint"].as_str().unwrap_or("")
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "192.52.193.2:22 2 --allow 192.52.193.2:22",
            "udp://192.52.193.2:9000 1 --allow udp://192.52.193.2:9000",
            "other.example 1 --allow other.example:443",
            "[2620:4f:8000:2::2]:443 1 --allow [2620:4f:8000:2::2]:443",
            "169.254.169.254:80 1 --allow 169.254.169.254:80",
        ],
        "{network}"
    );
    let sum: u64 = targets.iter().filter_map(|target| target["times"].as_u64()).sum();
    assert_eq!(network["refused"], sum, "{network}");
    let closed = network["connections"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|event| event["event"] == "closed")
        .expect("an end");
    assert_eq!(
        (&closed["sent"], &closed["received"], &closed["port"]),
        (&Value::from(5), &Value::from(5), &Value::from(7)),
        "{closed}"
    );
}

#[test]
fn a_long_log_loses_its_older_half_and_goes_on() {
    let text = "
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); peer.settimeout(5)
for number in range(9000):
    peer.sendto(question(f'n{number}.refused.example', number=number), ('192.0.0.1', 53)); peer.recv(512)
print(tcp('192.52.193.1', 22))
";
    let result = python_result(&["--allow", "192.52.193.1"], text);
    assert_eq!(stdout(&result), "SSH-2.0-test\n", "{result}");
    let network = &result["network"];
    let last = network["connections"].as_array().and_then(|list| list.last()).expect("what happened last");
    assert_eq!((&last["event"], &last["address"]), (&"closed".into(), &"192.52.193.1".into()), "{last}");
    // 9003 lines of some 300 bytes, and room for 1 MiB.
    let dropped = network["dropped_lines"].as_u64().expect("a number");
    assert!((3000..8000).contains(&dropped), "{dropped}");
    assert_eq!(network["queries"], 9000, "{network}");
}

#[test]
fn every_hint_is_an_option_that_works() {
    let text = "print(tcp('192.52.193.2', 22)); print(tcp('2620:4f:8000:2::2', 22)); print(udp('192.52.193.2', 7)); print(tcp('10.30.0.1', 22)); print(tcp('192.0.0.1', 22))
print(tcp('other.example', 22)); print(udp('2620:4f:8000:2::2', 7))";
    let mut options: Vec<String> = vec!["--net".into(), "only".into()];
    for _ in 0..3 {
        let words: Vec<&str> = options.iter().map(String::as_str).collect();
        let result = python_result(&words, text);
        let targets = result["network"]["targets"].as_array().expect("a list").clone();
        if targets.is_empty() {
            let expected = "SSH-2.0-test\nSSH-2.0-test\nping\nSSH-2.0-test\nSSH-2.0-test\nSSH-2.0-test\nping\n";
            return assert_eq!(stdout(&result), expected, "{words:?}");
        }
        for target in targets {
            let hint = target["hint"].as_str().unwrap_or_else(|| panic!("no hint in {target}"));
            options.extend(hint.split(' ').map(str::to_owned));
        }
    }
    panic!("hints lead on and on: {options:?}");
}

#[test]
fn a_policy_file_means_what_it_says_and_flags_add_to_it() {
    let scratch = crate::common::Scratch::new("policy");
    let text = "default = \"deny\"\nallow = [\"192.52.193.1:22\", \"192.52.193.2:22\"]\ndeny = [\"192.52.193.2\"]\nrate = \"10M\"\nconnections = 50\n";
    let file = scratch.file("policy.toml", text);
    let options = ["--net", file.to_str().expect("a path"), "--allow", "192.52.193.3:22"];
    let text = "print(tcp('192.52.193.1', 22), tcp('192.52.193.2', 22), tcp('192.52.193.3', 22), tcp('192.52.193.1', 7, b'x'))";
    let result = python_result(&options, text);
    assert_eq!(stdout(&result), "SSH-2.0-test ECONNREFUSED SSH-2.0-test ECONNREFUSED\n", "{result}");
}

#[test]
fn people_are_told_what_was_refused_and_what_would_allow_it() {
    let run = crate::world::call(&[
        "run",
        "--allow",
        "192.52.193.1",
        "--",
        "sh",
        "-c",
        "curl -sm 3 http://192.52.193.2/; exit 3",
    ]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let told = "belljar: refused to reach 192.52.193.2:80: no rule allows 192.52.193.2, and no name that is allowed led there\nhint: --allow 192.52.193.2:80\n";
    assert_eq!(run.stderr, told);
    let run = crate::world::call(&[
        "run",
        "--allow",
        "192.52.193.1",
        "--",
        "sh",
        "-c",
        "curl -sm 3 http://192.52.193.2/; exit 0",
    ]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "what did without has nothing to complain of");
}

#[test]
fn a_rate_holds_in_both_directions() {
    let text = "
def timed(function):
    start = time.monotonic(); count = function(); return count / (time.monotonic() - start) / 1e6
def down():
    with socket.create_connection(('192.52.193.1', 19), 5) as peer: peer.sendall(b'4000000\\n'); return len(everything(peer))
def up():
    with socket.create_connection(('192.52.193.1', 9), 5) as peer: peer.sendall(bytes(4000000)); peer.shutdown(socket.SHUT_WR); return int(everything(peer).split()[0])
print(timed(down)); print(timed(up))
def many():
    threads = [threading.Thread(target=down) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return 16000000
print(timed(many))
";
    let result = python_result(&["--allow", "192.52.193.1", "--net-rate", "4M"], text);
    let rates: Vec<f64> = stdout(&result).lines().map(|line| line.parse().expect("a number")).collect();
    let wanted = 4.0 * 1.048_576;
    assert!(
        rates.len() == 3 && rates.iter().all(|rate| (wanted * 0.8..wanted * 1.2).contains(rate)),
        "{rates:?} MB/s, and 4M were asked for"
    );
}

#[test]
fn more_connections_than_may_be_are_refused_and_said() {
    let text = "
peers = []
def one():
    peer = socket.create_connection(('192.52.193.1', 7), 4); peer.send(b'x'); peer.recv(10); peers.append(peer); return 'made'
one = guarded(one)
print([one() for _ in range(12)])
for peer in peers: peer.close()
time.sleep(.3); peers.clear()
print(one())
";
    let result = python_result(&["--allow", "192.52.193.1", "--net-connections", "8"], text);
    let expected = format!("[{}{}]\nmade\n", "'made', ".repeat(8), ["'ECONNREFUSED'"; 4].join(", "));
    assert_eq!(stdout(&result), expected, "{result}");
    assert!(result["network"]["connections"].to_string().contains("--net-connections"), "{result}");
}

#[test]
fn who_kills_a_server_of_the_network_closes_it_and_the_sandbox_is_told() {
    let text = "
kept = socket.create_connection(('192.52.193.1', 7), 3)
print('ready', flush=True)
time.sleep(1.2)
kept.settimeout(1)
def still():
    kept.sendall(b'after'); return kept.recv(10)
print(guarded(still)() , tcp('192.52.193.1', 22, timeout=1), tcp('192.52.193.2', 22, timeout=1), tcp('10.30.0.1', 22, timeout=1))
";
    for which in 0..2 {
        let text = crate::world::code(text);
        let words = ["run", "--allow", "192.52.193.1", "--", "python3", "-c", &text];
        let mut run = Started::new(&mut command(&words));
        let line = run.first_line();
        assert_eq!(line, "ready", "{:?}", run.finish());
        let found = servers(run.pid());
        assert_eq!(found.len(), 2, "a packet process and a dialer");
        kill(found[which], Signal::SIGKILL).expect("kill it");
        let gone =
            |pid: &Pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
        assert!(eventually(3, || found.iter().all(gone)), "the other one lives on");
        let run = run.finish();
        assert!(!run.stdout.contains("after"), "{run:?}");
        // The device is gone, so that nothing waits in vain.
        assert!(run.stdout.trim().ends_with("ENETUNREACH ENETUNREACH ENETUNREACH"), "{run:?}");
        assert!(run.stderr.contains("belljar: the network was lost"), "nobody was told: {run:?}");
    }
}

#[test]
fn a_lost_network_is_in_the_result() {
    let run = Started::new(&mut python_command(&["--allow", "192.52.193.1"], "tcp('192.52.193.1', 22); time.sleep(1)"));
    let supervisor = run.pid();
    assert!(
        eventually(5, || std::fs::metadata(format!("/proc/{supervisor}")).is_ok() && servers(supervisor).len() == 2)
    );
    std::thread::sleep(std::time::Duration::from_millis(500));
    kill(servers(supervisor)[1], Signal::SIGKILL).expect("kill it");
    let result: Value = serde_json::from_str(&run.finish().stdout).expect("a result");
    assert_eq!((&result["network"]["lost"], &result["exit_code"]), (&Value::from(true), &Value::from(0)), "{result}");
}

#[test]
fn another_policy_for_a_lost_network_is_refused_with_the_cure_and_changes_nothing() {
    let kept = Kept::new("net-lost");
    kept.done(&["create", "--allow", "192.52.193.1:22", "box"]);
    let known = || serde_json::from_str::<Value>(&kept.done(&["inspect", "box"])).expect("an object");
    let mark = format!("supervise-sandbox\0{}\0", known()["id"].as_str().expect("an id"));
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let all = all.filter_map(|entry| Some(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)));
    let is_its = |pid: &Pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&mark)
    };
    let supervisor = all.filter(is_its).find(|pid| servers(*pid).len() == 2).expect("a supervisor");
    kill(servers(supervisor)[1], Signal::SIGKILL).expect("kill it");
    assert!(eventually(5, || kept.done(&["net", "log", "box"]).contains("  lost")));
    let run = kept.call(&["net", "set", "--net", "open", "box"]);
    let cure = "hint: `belljar stop` and `start` it, if it is kept: its network is made anew then\n";
    assert!(run.code == Some(1) && run.stderr.ends_with(cure), "{run:?}");
    assert_eq!((&known()["net"], &known()["allow"]), (&Value::from("only"), &Value::from(vec!["192.52.193.1:22"])));
}

#[test]
fn a_run_without_a_network_has_none_and_says_nothing_of_one() {
    let result = shell(&[], "cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/route | wc -l");
    assert_eq!(stdout(&result).split_whitespace().collect::<Vec<_>>(), ["lo", "1"], "{result}");
    assert!(result["network"].is_null(), "{result}");
    assert_eq!(result["enforcement"]["network"], "enforced", "{result}");
}

#[test]
fn nothing_waits_for_the_device_to_go() {
    let took = |options: &[&str]| {
        let start = std::time::Instant::now();
        let run = crate::world::call(&[&["run"], options, &["--", "true"]].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
        start.elapsed().as_millis()
    };
    // The best of many, in turn: whatever else runs here can only make each of them slower.
    let (mut without, mut with) = (u128::MAX, u128::MAX);
    for _ in 0..25 {
        (without, with) = (without.min(took(&[])), with.min(took(&["--net", "open"])));
    }
    // To take a device down takes the kernel 18 to 42 ms, and to make one the debug build up to ten.
    assert!(with < without + 28, "{with} ms with a network, {without} ms without");
}

#[test]
fn both_servers_of_a_network_are_confined_and_nobody_s_root() {
    let text = "print('ready', flush=True); tcp('192.52.193.1', 22); time.sleep(1)";
    let text = crate::world::code(text);
    let mut run = Started::new(&mut command(&["run", "--allow", "192.52.193.1", "--", "python3", "-c", &text]));
    assert_eq!(run.first_line(), "ready");
    let found = servers(run.pid());
    assert_eq!(found.len(), 2, "a packet process and a dialer");
    for pid in found {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("read its status");
        let of = |key: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_else(|| panic!("no {key} in {status}"));
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((of("Seccomp:"), of("NoNewPrivs:")), (vec!["2".to_owned()], vec!["1".to_owned()]), "{status}");
        for key in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(of(key), ["0000000000000000"], "{status}");
        }
        assert!(!of("Uid:").contains(&"0".to_owned()) && !of("Gid:").contains(&"0".to_owned()), "{status}");
        assert_eq!(of("Threads:"), ["1"], "{status}");
        assert!(!crate::common::is_root() || of("Groups:").is_empty(), "{status}");
    }
    assert_eq!(run.finish().code, Some(0));
}

#[test]
fn who_hands_a_connection_over_sleeps_while_it_carries_bytes() {
    let text = "
with socket.create_connection(('192.52.193.1', 9), 5) as peer:
    print('connected', flush=True); time.sleep(.5)
    for _ in range(3000): peer.sendall(bytes(1 << 16))
    print('sent', flush=True); time.sleep(.5)
";
    let text = crate::world::code(text);
    let mut run = Started::new(&mut command(&["run", "--allow", "192.52.193.1", "--", "python3", "-c", &text]));
    assert_eq!(run.first_line(), "connected");
    // Hundredths of a second of CPU time (proc_pid_stat(5), fields 14 and 15).
    let spent = |pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("read its times");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("its fields").split_whitespace().collect();
        fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
    };
    let [packet, dialer] = servers(run.pid())[..] else { panic!("a packet process and a dialer") };
    let before = [packet, dialer].map(spent);
    assert_eq!(run.first_line(), "sent");
    let [packet, dialer] = [spent(packet) - before[0], spent(dialer) - before[1]];
    assert!(packet > 0 && dialer <= packet / 8, "{packet} and {dialer}");
    assert_eq!(run.finish().code, Some(0));
}
