//! Rules and policy files may come from anybody: what is understood is written in full and understood again as the same, and what is not
//! is refused in words that can be shown.
#![no_main]

use std::net::IpAddr;

use belljar::network::policy::{decide_name, may_be_answered};
use belljar::spec::network::{Policy, PolicyFile, Protocol, Rule, Target, canonical, from_toml, parse_rule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for word in text.split(['\n', '"']) {
        match parse_rule(word) {
            Ok(rules) => {
                assert!(!rules.is_empty());
                rules.iter().for_each(again);
                let policy = Policy { allow: rules, ..Policy::default() };
                let _ = decide_name(&policy, "a.example");
                let _ = may_be_answered(&policy, IpAddr::from([10, 0, 0, 1]));
            }
            Err(error) => {
                showable(&error.message);
                showable(error.hint.as_deref().unwrap_or("-"));
            }
        }
        if let Ok(name) = canonical(word) {
            assert_eq!(canonical(&name).as_deref(), Ok(&*name));
        }
    }
    match from_toml(text) {
        Ok(file) => {
            let written = file_in_full(&file);
            let read = from_toml(&written).unwrap_or_else(|problems| panic!("{written}: {problems:?}"));
            assert_eq!(plain(&read), plain(&file), "{written}");
            let _ = file.into_policy().problems();
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                showable(&problem.field);
                showable(&problem.message);
                showable(problem.hint.as_deref().unwrap_or("-"));
            }
        }
    }
});

/// Something, and nothing that a terminal obeys.
fn showable(text: &str) {
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}

/// What it says, without how it was written.
fn meaning(rule: &Rule) -> Rule {
    Rule { text: String::new(), origin: None, ..rule.clone() }
}

fn plain(file: &PolicyFile) -> PolicyFile {
    let of = |rules: &[Rule]| rules.iter().map(meaning).collect();
    PolicyFile { allow: of(&file.allow), deny: of(&file.deny), ..file.clone() }
}

fn again(rule: &Rule) {
    for written in [in_full(rule), rule.text.clone()] {
        match &*parse_rule(&written).unwrap_or_else(|error| panic!("{written}: {}", error.message)) {
            [read] => assert_eq!(meaning(read), meaning(rule), "{written}"),
            several => panic!("{written}: {several:?}"),
        }
    }
    let json = serde_json::to_vec(rule).expect("written");
    assert_eq!(serde_json::from_slice::<Rule>(&json).expect("read again"), *rule);
    showable(&rule.to_string());
    if let Some(net) = rule.net() {
        assert!(net.contains(net.address) && net.lies_within(&net));
    }
    if let Target::Name(name) | Target::Below(name) = &rule.target {
        assert_eq!(canonical(name).as_ref(), Ok(name));
        assert_eq!(rule.names(name), matches!(rule.target, Target::Name(_)));
        assert!(rule.names(&format!("x.{name}")) == matches!(rule.target, Target::Below(_)));
    }
}

/// A rule with all that it says.
fn in_full(rule: &Rule) -> String {
    let protocol = match rule.protocol {
        None => "",
        Some(Protocol::Tcp) => "tcp://",
        Some(Protocol::Udp) => "udp://",
        Some(Protocol::Icmp) => "icmp://",
    };
    let target = match &rule.target {
        Target::Net(net) if net.address.is_ipv4() => format!("{}/{}", net.address, net.prefix),
        Target::Net(net) => format!("[{}]/{}", net.address, net.prefix),
        Target::Name(name) => name.clone(),
        Target::Below(name) => format!("*.{name}"),
        Target::Host => "host".to_owned(),
    };
    let ports = rule.ports.map_or_else(String::new, |ports| format!(":{}-{}", ports.first, ports.last));
    format!("{protocol}{target}{ports}")
}

/// A file with all that it says.
fn file_in_full(file: &PolicyFile) -> String {
    let list = |rules: &[Rule]| rules.iter().map(|rule| format!("'{}',", in_full(rule))).collect::<String>();
    let mut written = format!("allow = [{}]\ndeny = [{}]\n", list(&file.allow), list(&file.deny));
    if let Some(open) = file.open {
        written += if open { "default = 'open'\n" } else { "default = 'deny'\n" };
    }
    if let Some(rate) = file.rate {
        written += &format!("rate = '{rate}'\n");
    }
    if let Some(connections) = file.connections {
        written += &format!("connections = {connections}\n");
    }
    written
}
