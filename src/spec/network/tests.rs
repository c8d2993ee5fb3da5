//! How rules and policy files are read and written, and what is refused.

use super::*;
use proptest::prelude::*;

fn one(word: &str) -> Rule {
    let rules = parse_rule(word).unwrap_or_else(|error| panic!("{word}: {error:?}"));
    assert_eq!(rules.len(), 1, "{word}");
    rules.into_iter().next().unwrap()
}

fn net(text: &str) -> Target {
    let (address, prefix) = text.split_once('/').unwrap();
    Target::Net(Net { address: address.parse().unwrap(), prefix: prefix.parse().unwrap() })
}

fn name(text: &str) -> Target {
    Target::Name(text.to_owned())
}

fn below(text: &str) -> Target {
    Target::Below(text.to_owned())
}

fn refusal(word: &str) -> String {
    parse_rule(word).unwrap_err().message
}

#[test]
fn each_form_of_a_rule_is_read_as_written() {
    let table = [
        ("1.2.3.4", None, net("1.2.3.4/32"), None),
        ("1.2.3.0/24:443", None, net("1.2.3.0/24"), Some((443, 443))),
        ("0.0.0.0/0", None, net("0.0.0.0/0"), None),
        ("::/0", None, net("::/0"), None),
        ("2001:db8::1", None, net("2001:db8::1/128"), None),
        ("2001:db8::/32", None, net("2001:db8::/32"), None),
        ("[2001:db8::]/32:443", None, net("2001:db8::/32"), Some((443, 443))),
        ("[2001:db8::1]", None, net("2001:db8::1/128"), None),
        ("[2001:DB8::1]:80-81", None, net("2001:db8::1/128"), Some((80, 81))),
        ("::ffff:10.0.0.0/104", None, net("10.0.0.0/8"), None),
        ("[::ffff:10.0.0.1]:80", None, net("10.0.0.1/32"), Some((80, 80))),
        ("pypi.example:443", None, name("pypi.example"), Some((443, 443))),
        ("PyPI.Example.", None, name("pypi.example"), None),
        ("*.example.org", None, below("example.org"), None),
        ("*.org:443", None, below("org"), Some((443, 443))),
        ("example.org:8000-8100", None, name("example.org"), Some((8000, 8100))),
        ("udp://1.2.3.4:53", Some(Protocol::Udp), net("1.2.3.4/32"), Some((53, 53))),
        ("tcp://example.org", Some(Protocol::Tcp), name("example.org"), None),
        ("icmp://1.2.3.4", Some(Protocol::Icmp), net("1.2.3.4/32"), None),
        ("host:8080", None, Target::Host, Some((8080, 8080))),
        ("udp://host:53", Some(Protocol::Udp), Target::Host, Some((53, 53))),
        ("host.belljar.internal:80", None, Target::Host, Some((80, 80))),
        // However it is written: what is shown and stored is `host`, which must not come to mean something else.
        ("hoSt:8080-8090", None, Target::Host, Some((8080, 8090))),
        ("host.:80", None, Target::Host, Some((80, 80))),
        ("ｈost:80", None, Target::Host, Some((80, 80))),
        ("bücher.example", None, name("xn--bcher-kva.example"), None),
        ("XN--BCHER-KVA.example", None, name("xn--bcher-kva.example"), None),
        ("example。org:1", None, name("example.org"), Some((1, 1))),
        ("_sip._udp.example.org", None, name("_sip._udp.example.org"), None),
        ("intranet:65535", None, name("intranet"), Some((65535, 65535))),
    ];
    for (word, protocol, target, ports) in table {
        let ports = ports.map(|(first, last)| Ports { first, last });
        assert_eq!(one(word), Rule { text: word.to_owned(), protocol, target, ports, origin: None }, "{word}");
    }
}

#[test]
fn what_is_no_rule_is_refused_with_a_hint() {
    let words = [
        "",
        " ",
        "a b",
        "example.org\n",
        "example.org\0",
        "exa\0mple.org",
        "*",
        "*.",
        "*.*.org",
        "a.*.org",
        "*example.org",
        "ex*.org",
        ".",
        "..",
        ".example.org",
        "example..org",
        "example.org..",
        "-a.org",
        "a-.org",
        "user@example.org",
        "a/b",
        "example.org/path",
        "example.org:443/path",
        "https://example.org/x",
        "http://example.org",
        "ftp://example.org",
        "://x",
        "example.org:",
        "example.org:0",
        "example.org:65536",
        "example.org:-1",
        "example.org:+1",
        "example.org:01",
        "example.org:http",
        "example.org:443,80",
        "example.org:90-80",
        "example.org:80-",
        "example.org:-80",
        "example.org:*",
        "1.2.3.4/33",
        "1.2.3.4/",
        "1.2.3.4/-1",
        "1.2.3.4/08",
        "1.2.3.1/24",
        "10.0.0.1/8:80",
        "[2001:db8::1]/32",
        "2001:db8::/129",
        "[2001:db8::",
        "[1.2.3.4]",
        "[::1]x",
        "[::1]443",
        "fe80::1%eth0",
        "[fe80::1%eth0]:80",
        "0x7f.1",
        "0177.1",
        "0177.0.0.1",
        "2130706433",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        "0x7f000001",
        "example.0x10",
        "256.1.1.1",
        "１.２.３.300",
        "localhost",
        "localhost:80",
        "LOCALHOST.",
        "a.localhost",
        "icmp://1.2.3.4:80",
        "icmp://example.org:80",
        "@",
        "@nothing",
        "*.host",
        "xn--a.example",
        "exa mple.org",
        "ex\u{301}\u{202e}a.org",
        "a!b.org",
        "2001:db8::/32:80",
        "a:b",
        "a:b:c",
    ];
    for word in words {
        let error = parse_rule(word).map(|rules| format!("{rules:?}")).expect_err(word);
        assert!(error.hint.is_some_and(|hint| !hint.is_empty()) && !error.message.is_empty(), "{word:?}");
        assert!(!error.message.contains(|c: char| c.is_control()), "{word:?}");
    }
    for long in ["a".repeat(64), format!("{}.org", "a.".repeat(130)), "a".repeat(1 << 20)] {
        assert!(parse_rule(&long).unwrap_err().message.len() < 400);
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_to_type() {
    let both = |word: &str| {
        let error = parse_rule(word).unwrap_err();
        (error.message, error.hint.unwrap())
    };
    assert_eq!(
        both("https://pypi.org/simple"),
        (
            "`https://pypi.org/simple` has the protocol `https`, which rules do not know".to_owned(),
            "name the host and the port, as in `pypi.org:443`".to_owned()
        )
    );
    assert_eq!(
        both("10.0.0.1/8"),
        (
            "`10.0.0.1/8` is not the first address of a range of that length".to_owned(),
            "write `10.0.0.0/8` for the range, `10.0.0.1` for the one address".to_owned()
        )
    );
    assert_eq!(
        refusal("0x7f.1"),
        "`0x7f.1` ends in a number, as an address does that some programs understand and others do not"
    );
    assert_eq!(refusal("a@b.org"), "`a@b.org` has `@` in it, which no name of a host has");
    assert_eq!(refusal("a\0b"), "`a\\0b` has white space, a control character or a NUL byte in it");
    assert!(both("@pyhton").1.contains("@python"));
}

#[test]
fn every_set_parses_names_no_wildcard_and_gives_a_reason_for_each_rule() {
    let names = set_names();
    for needed in ["python", "node", "debian", "ubuntu", "alpine", "git", "rust", "go"] {
        assert!(names.iter().any(|name| name == needed), "{needed}");
    }
    for set in names {
        let rules = parse_rule(&format!("@{set}")).unwrap();
        assert!(!rules.is_empty(), "{set}");
        for rule in rules {
            let origin = rule.origin.clone().unwrap();
            assert!(origin.set == set && origin.reason.len() > 5, "{rule}");
            assert!(matches!(rule.target, Target::Name(_)) && rule.ports.is_some(), "{rule}");
        }
    }
}

#[test]
fn a_name_without_a_protocol_allows_tcp_and_denies_everything() {
    let rule = one("example.org:443");
    assert!(rule.allows(Protocol::Tcp, 443) && !rule.allows(Protocol::Tcp, 444) && !rule.allows(Protocol::Udp, 443));
    assert!(rule.denies(Protocol::Udp, 443) && !rule.denies(Protocol::Icmp, 443));
    assert!(one("example.org").denies(Protocol::Icmp, 0) && !one("example.org").allows(Protocol::Icmp, 0));
    let address = one("1.2.3.4");
    assert!([Protocol::Tcp, Protocol::Udp, Protocol::Icmp].into_iter().all(|protocol| address.allows(protocol, 7)));
    assert!(!one("1.2.3.4:7").allows(Protocol::Icmp, 7) && one("1.2.3.4:7").allows(Protocol::Udp, 7));
    assert!(one("host:1").allows(Protocol::Tcp, 1) && !one("host:1").allows(Protocol::Udp, 1));
}

#[test]
fn a_wildcard_stands_for_whole_labels_and_not_for_the_apex() {
    let rule = one("*.example.org");
    assert!(rule.names("a.example.org") && rule.names("a.b.example.org"));
    for other in ["example.org", "badexample.org", "example.org.evil", ".example.org", "org", ""] {
        assert!(!rule.names(other), "{other}");
    }
    assert!(one("example.org").names("example.org") && !one("example.org").names("a.example.org"));
}

#[test]
fn a_name_has_one_form() {
    let table = [
        ("Example.ORG", Ok("example.org")),
        ("example.org.", Ok("example.org")),
        ("example.org..", Err(NameError::EmptyLabel)),
        ("BÜCHER.example", Ok("xn--bcher-kva.example")),
        ("ｅｘａｍｐｌｅ．ｏｒｇ", Ok("example.org")),
        ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
        ("xn--.example", Err(NameError::International)),
        ("", Err(NameError::Empty)),
        (".", Err(NameError::EmptyLabel)),
        ("。", Err(NameError::EmptyLabel)),
        ("a\0.org", Err(NameError::Control)),
        ("a\u{7f}.org", Err(NameError::Control)),
        ("a\u{a0}b.org", Err(NameError::Control)),
        ("a@b", Err(NameError::Character('@'))),
        ("a%2e.org", Err(NameError::Character('%'))),
        ("a:80", Err(NameError::Character(':'))),
        ("①.１", Err(NameError::Number)),
        ("1.2.3.4", Err(NameError::Number)),
        ("a.0xff", Err(NameError::Number)),
        ("a.0xfg", Ok("a.0xfg")),
        ("1.2.3.4.example", Ok("1.2.3.4.example")),
    ];
    for (text, expected) in table {
        assert_eq!(canonical(text), expected.map(str::to_owned), "{text:?}");
    }
    assert_eq!(canonical(&format!("{}.org", "a".repeat(63))), Ok(format!("{}.org", "a".repeat(63))));
    assert_eq!(canonical(&format!("{}.org", "a".repeat(64))), Err(NameError::LongLabel));
    assert_eq!(canonical(&"a.".repeat(127)), Ok("a.".repeat(127).trim_end_matches('.').to_owned()));
    assert_eq!(canonical(&"a.".repeat(128)), Err(NameError::Long));
}

#[test]
fn a_dot_or_an_odd_byte_inside_a_label_of_a_message_makes_no_name() {
    let of = |labels: &[&[u8]]| canonical_of_labels(labels.iter().copied());
    assert_eq!(of(&[b"Example", b"ORG"]), Ok("example.org".to_owned()));
    assert_eq!(of(&[b"evil.com", b"example"]), Err(NameError::Character('.')));
    assert_eq!(of(&[b"a\0", b"example"]), Err(NameError::Control));
    assert_eq!(of(&["ü".as_bytes(), b"example"]), Err(NameError::Control));
    assert_eq!(of(&[]), Err(NameError::Empty));
    assert_eq!(of(&[b"", b"example"]), Err(NameError::LongLabel));
}

#[test]
fn a_policy_file_is_read_whole() {
    let text = "default = \"open\"\nallow = [\"@python\", \"10.0.0.0/8:80\"]\ndeny = [\"*.ads.example\"]\nrate = \"10M\"\nconnections = 500\n";
    let policy = from_toml(text).unwrap().into_policy();
    assert!(policy.open && policy.allow.len() > 2 && policy.deny == [one("*.ads.example")]);
    assert_eq!((policy.rate, policy.flows), (Some(10 << 20), 500));
    assert_eq!(from_toml("").unwrap().into_policy(), Policy::default());
    assert_eq!(from_toml("allow = []").unwrap().into_policy(), Policy::default());
    assert!(!Policy::default().open && Policy::default().allow.is_empty());
}

#[test]
fn all_that_is_wrong_with_a_policy_file_is_said_at_once() {
    let text = "default = \"allow\"\nalow = []\nallow = [\"1.2.3\", 5, \"pypi.org\"]\ndeny = \"x\"\nrate = \"10MB\"\nconnections = 0\n";
    let problems = from_toml(text).unwrap_err();
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["allow[0]", "allow[1]", "alow", "connections", "default", "deny", "rate"], "{problems:?}");
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{problems:?}");
    let broken = from_toml("allow = [\n\"a\"\nx").unwrap_err();
    assert!(broken.len() == 1 && broken[0].message.starts_with("line 3"), "{broken:?}");
    for wrong in
        ["allow = \"pypi.org\"", "connections = 1.5", "rate = []", "default = true", "[allow]\nx = 1", "a = 1\na = 2"]
    {
        assert!(from_toml(wrong).is_err(), "{wrong}");
    }
    let many = format!("allow = [{}]", "\"a.example\",".repeat(MOST_RULES + 1));
    assert!(from_toml(&many).is_err() && from_toml(&" ".repeat((1 << 20) + 1)).is_err());
}

#[test]
fn a_rule_travels_unchanged() {
    let mut rules = parse_rule("@git").unwrap();
    rules.extend(["1.2.3.0/24:1-2", "[2001:db8::]/32", "icmp://*.example.org", "host:1"].map(one));
    let policy = Policy { allow: rules.clone(), deny: rules, ..Policy::default() };
    assert_eq!(postcard::from_bytes::<Policy>(&postcard::to_allocvec(&policy).unwrap()).unwrap(), policy);
    assert_eq!(serde_json::from_str::<Policy>(&serde_json::to_string(&policy).unwrap()).unwrap(), policy);
}

proptest! {
    #[test]
    fn a_canonical_name_is_its_own_canonical_form(text in "\\PC{0,40}") {
        if let Ok(name) = canonical(&text) {
            prop_assert_eq!(canonical(&name), Ok(name.clone()));
            prop_assert_eq!(canonical(&name.to_ascii_uppercase()), Ok(name.clone()));
            prop_assert_eq!(canonical_of_labels(name.split('.').map(str::as_bytes)), Ok(name.clone()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b)));
            prop_assert!(name.len() <= 253 && name.parse::<IpAddr>().is_err());
        }
    }

    #[test]
    fn a_name_of_letters_is_kept_whatever_its_case(text in "[a-zA-Z]{1,20}(\\.[a-zA-Z0-9]{1,10}){0,4}\\.[a-zA-Z]{2,10}\\.?") {
        prop_assert_eq!(canonical(&text), Ok(text.trim_end_matches('.').to_ascii_lowercase()));
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse_rule(&text);
        let _ = from_toml(&text);
        let _ = parse_rule(&String::from_utf8_lossy(&bytes));
        let _ = canonical_of_labels(bytes.split(|byte| *byte == 0));
    }

    #[test]
    fn a_range_of_addresses_contains_its_own(bits: u128, prefix in 0u8..=128, other: u128) {
        let net = Net::new(IpAddr::V6(bits.into()), prefix).unwrap();
        let address = IpAddr::V6(bits.into()).to_canonical();
        // A short range of IPv6 that holds ::ffff:0:0/96 says nothing about IPv4.
        prop_assume!(net.address.is_ipv4() == address.is_ipv4());
        prop_assert!(net.contains(address) && net.lies_within(&net));
        let same = prefix == 0 || (bits ^ other) >> (128 - u32::from(prefix)) == 0;
        if net.address.is_ipv6() && IpAddr::V6(other.into()).to_canonical().is_ipv6() {
            prop_assert_eq!(net.contains(IpAddr::V6(other.into())), same);
        }
    }

    #[test]
    fn what_was_read_is_read_again_the_same(a in 0u8.., b in 0u8.., prefix in 0u8..=32, port in 1u16..) {
        let net = Net::new(IpAddr::from([a, b, 0, 0]), prefix).unwrap();
        let word = format!("{}/{}:{port}", net.address, net.prefix);
        prop_assert_eq!(one(&word).target, Target::Net(net));
    }
}

#[test]
fn a_rule_includes_what_allows_no_more_than_it_does() {
    let one = |word: &str| parse_rule(word).unwrap().remove(0);
    for (own, other) in [
        ("pypi.org", "PyPI.org.:443"),
        ("pypi.org:1-500", "pypi.org:443"),
        ("pypi.org", "tcp://pypi.org"),
        ("*.example.org", "a.example.org"),
        ("*.example.org", "*.b.example.org"),
        ("10.0.0.0/8", "10.1.0.0/16:443"),
        ("10.0.0.0/8", "udp://10.0.0.1"),
        ("host:80", "host:80"),
    ] {
        assert!(one(own).includes(&one(other)), "{own} {other}");
    }
    for (own, other) in [
        ("pypi.org:443", "pypi.org"),
        ("pypi.org", "udp://pypi.org"),
        ("tcp://10.0.0.0/8", "10.0.0.0/8"),
        ("*.example.org", "example.org"),
        ("a.example.org", "*.example.org"),
        ("10.0.0.0/8", "10.0.0.0/7"),
        ("10.0.0.0/8", "a.example.org"),
        ("host:80", "host"),
        ("0.0.0.0/0", "host"),
    ] {
        assert!(!one(own).includes(&one(other)), "{own} {other}");
    }
}
