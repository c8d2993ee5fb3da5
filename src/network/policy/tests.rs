//! What a policy decides, and that no text or address gets past it.

use super::*;
use crate::spec::network::{from_toml, parse_rule};
use proptest::prelude::*;

fn rules(words: &[&str]) -> Vec<Rule> {
    words.iter().flat_map(|word| parse_rule(word).unwrap_or_else(|error| panic!("{word}: {error:?}"))).collect()
}

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    Policy { allow: rules(allow), deny: rules(deny), ..Policy::default() }
}

fn open_policy(allow: &[&str], deny: &[&str]) -> Policy {
    Policy { open: true, ..policy(allow, deny) }
}

/// `tcp 1.2.3.4 443`, with the names that led there.
fn verdict(policy: &Policy, what: &str, names: &[&str]) -> Verdict {
    let words: Vec<&str> = what.split(' ').collect();
    let protocol = match words[0] {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => Protocol::Icmp,
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let address = words[1].parse().unwrap();
    let port = words.get(2).map_or(0, |port| port.parse().unwrap());
    decide(policy, &Asked { protocol, address, port, names: &names, gateway: words[1] == "192.0.0.1", own: false })
}

fn allows(policy: &Policy, what: &str) -> bool {
    verdict(policy, what, &[]).allowed
}

const PUBLIC: &str = "93.184.216.34";

#[test]
fn an_empty_policy_allows_nothing() {
    let names = ["example.org"];
    for what in [
        "tcp 93.184.216.34 443",
        "udp 93.184.216.34 53",
        "icmp 93.184.216.34",
        "tcp 2606:2800::1 80",
        "tcp 192.0.0.1 80",
    ] {
        assert!(!verdict(&Policy::default(), what, &names).allowed, "{what}");
    }
    assert!(!decide_name(&Policy::default(), "example.org").allowed);
}

#[test]
fn every_special_range_is_refused_from_its_first_to_its_last_address_even_by_an_open_policy() {
    let ranges = [
        ("0.0.0.0/8", Kind::Unspecified),
        ("10.0.0.0/8", Kind::Private),
        ("100.64.0.0/10", Kind::Shared),
        ("127.0.0.0/8", Kind::Loopback),
        ("169.254.0.0/16", Kind::LinkLocal),
        ("169.254.169.254/32", Kind::Metadata),
        ("169.254.170.2/32", Kind::Metadata),
        ("100.100.100.200/32", Kind::Metadata),
        ("168.63.129.16/32", Kind::Metadata),
        ("172.16.0.0/12", Kind::Private),
        ("192.0.0.0/24", Kind::Reserved),
        ("192.0.2.0/24", Kind::Documentation),
        ("198.51.100.0/24", Kind::Documentation),
        ("203.0.113.0/24", Kind::Documentation),
        ("192.88.99.0/24", Kind::Reserved),
        ("192.168.0.0/16", Kind::Private),
        ("198.18.0.0/15", Kind::Reserved),
        ("224.0.0.0/4", Kind::Multicast),
        ("240.0.0.0/5", Kind::Reserved),
        ("255.255.255.255/32", Kind::Broadcast),
        ("::/128", Kind::Unspecified),
        ("::1/128", Kind::Loopback),
        ("fc00::/7", Kind::Private),
        ("fd00:ec2::254/128", Kind::Metadata),
        ("fd20:ce::254/128", Kind::Metadata),
        ("fe80::/10", Kind::LinkLocal),
        ("fec0::/10", Kind::Private),
        ("ff00::/8", Kind::Multicast),
        ("64:ff9b:1::/48", Kind::Private),
        ("100::/64", Kind::Reserved),
        ("100:0:0:1::/64", Kind::Reserved),
        ("2001:1::/128", Kind::Reserved),
        ("2001:1ff::/32", Kind::Reserved),
        ("2001:db8::/32", Kind::Documentation),
        ("3fff::/20", Kind::Documentation),
        ("2001:2::/48", Kind::Reserved),
        ("2001:20::/28", Kind::Reserved),
        ("5f00::/16", Kind::Reserved),
    ];
    let everything = open_policy(&["0.0.0.0/0", "::/0"], &[]);
    for (range, kind) in ranges {
        let net = rules(&[range])[0].net().unwrap();
        for address in [net.address, last(net)] {
            assert_eq!(special(address).unwrap().kind, kind, "{range} {address}");
            let what = format!("tcp {address} 80");
            let refused = verdict(&everything, &what, &["example.org"]);
            assert!(!refused.allowed && refused.reason.contains(&kind.to_string()), "{refused:?}");
            // What the hint says allows it.
            let word = refused.hint.unwrap().strip_prefix("--allow ").unwrap().to_owned();
            assert!(allows(&policy(&[&word], &[]), &what), "{word}");
            assert!(allows(&policy(&[range], &[]), &what), "{range}");
        }
    }
}

#[test]
fn blocks_for_special_purposes_that_are_globally_reachable_are_public() {
    for address in [
        "192.31.196.1",
        "192.52.193.1",
        "192.175.48.1",
        "2001:1::1",
        "2001:1::2",
        "2001:1::3",
        "2001:3::1",
        "2001:4:112::1",
        "2001:30::1",
        "2001:200::1",
        "2620:4f:8000::1",
        "64:ff9b::c034:c101",
    ] {
        assert_eq!(special(address.parse().unwrap()), None, "{address}");
    }
}

fn last(net: crate::spec::network::Net) -> IpAddr {
    match net.address {
        IpAddr::V4(four) => {
            let rest = u32::MAX.checked_shr(net.prefix.into()).unwrap_or(0);
            // The metadata services are in the middle, so that the last address is special too.
            IpAddr::V4((four.to_bits() | rest).into())
        }
        IpAddr::V6(six) => IpAddr::V6((six.to_bits() | u128::MAX.checked_shr(net.prefix.into()).unwrap_or(0)).into()),
    }
}

/// Every way in which an IPv6 address carries an IPv4 address.
fn carriers(inner: std::net::Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = inner.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    vec![
        format!("::ffff:{inner}"),
        format!("::ffff:0:{high:x}:{low:x}"),
        format!("64:ff9b::{inner}"),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2002:{high:x}:{low:x}:ffff:ffff:ffff:ffff:ffff"),
        format!("2001:0:{high:x}:{low:x}:0:0:a127:47dd"),
        format!("2001:0:5db8:d822:8000:63bf:{:x}:{:x}", !high, !low),
        format!("2606:2800::5efe:{high:x}:{low:x}"),
        format!("2606:2800::200:5efe:{high:x}:{low:x}"),
        format!("::{high:x}:{low:x}"),
    ]
}

#[test]
fn special_addresses_are_refused_inside_every_embedding() {
    let everything = open_policy(&["0.0.0.0/0", "::/0"], &[]);
    for inner in [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "0.1.2.3",
    ] {
        for outer in carriers(inner.parse().unwrap()) {
            let refused = verdict(&everything, &format!("tcp {outer} 80"), &["example.org"]);
            assert!(!refused.allowed, "{outer}");
            assert!(!may_be_answered(&everything, outer.parse().unwrap()), "{outer}");
            let word = refused.hint.unwrap().strip_prefix("--allow ").unwrap().to_owned();
            assert!(allows(&policy(&[&word], &[]), &format!("tcp {outer} 80")), "{word}");
        }
    }
    for outer in carriers(PUBLIC.parse().unwrap()) {
        assert!(allows(&everything, &format!("tcp {outer} 80")), "{outer}");
    }
}

#[test]
fn a_rule_means_a_special_address_only_if_it_is_as_long_as_what_makes_it_special() {
    let table = [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/7", "10.1.2.3", false),
        ("0.0.0.0/0", "10.1.2.3", false),
        ("169.254.0.0/16", "169.254.1.1", true),
        ("169.254.0.0/16", "169.254.169.254", false),
        ("169.254.169.254", "169.254.169.254", true),
        ("::/0", "::1", false),
        ("::1", "::1", true),
        ("fd00::/8", "fd00:1::1", true),
        ("[64:ff9b::]/96", "64:ff9b::10.0.0.1", false),
        ("[64:ff9b::a00:0]/104", "64:ff9b::10.0.0.1", true),
        ("10.0.0.0/8", "64:ff9b::10.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("2002:a00::/24", "2002:a00:1::1", true),
        ("2002::/16", "2002:a00:1::1", false),
        ("93.184.0.0/16", PUBLIC, true),
        ("::/0", "2606:2800::1", true),
    ];
    for (rule, address, expected) in table {
        assert_eq!(allows(&policy(&[rule], &[]), &format!("tcp {address} 80")), expected, "{rule} {address}");
    }
}

#[test]
fn an_address_of_the_machine_itself_needs_a_rule_of_its_own() {
    let asked = |policy: &Policy, address: &str| {
        let (address, names) = (address.parse().unwrap(), ["example.org".to_owned()]);
        decide(policy, &Asked { protocol: Protocol::Tcp, address, port: 22, names: &names, gateway: false, own: true })
    };
    for allow in [&["93.184.0.0/16", "0.0.0.0/0", "example.org"][..], &["192.168.0.0/16"]] {
        assert!(
            !asked(&open_policy(allow, &[]), PUBLIC).allowed && !asked(&open_policy(allow, &[]), "192.168.1.5").allowed
        );
    }
    let refused = asked(&open_policy(&[], &[]), PUBLIC);
    assert_eq!(
        (refused.reason.as_str(), refused.hint.as_deref()),
        ("93.184.216.34 is an address of the host itself, which no rule names", Some("--allow 93.184.216.34:22"))
    );
    assert!(
        asked(&policy(&["93.184.216.34:22"], &[]), PUBLIC).allowed
            && asked(&policy(&["192.168.1.5"], &[]), "192.168.1.5").allowed
    );
    // Loopback is loopback, and a range of it is enough.
    assert!(asked(&policy(&["127.0.0.0/8"], &[]), "127.0.0.1").allowed);
}

#[test]
fn each_kind_of_rule_allows_what_it_says_and_nothing_else() {
    // Rule, names that led there, what is asked, whether.
    let table: &[(&str, &[&str], &str, bool)] = &[
        ("93.184.216.34", &[], "tcp 93.184.216.34 1", true),
        ("93.184.216.34", &[], "udp 93.184.216.34 443", true),
        ("93.184.216.34", &[], "icmp 93.184.216.34", true),
        ("93.184.216.34", &[], "icmp ::ffff:93.184.216.34", true),
        ("93.184.216.34", &[], "tcp 93.184.216.35 1", false),
        ("93.184.216.34:80", &[], "icmp 93.184.216.34", false),
        ("93.184.216.0/24:80-90", &[], "tcp 93.184.216.1 90", true),
        ("93.184.216.0/24:80-90", &[], "tcp 93.184.216.1 91", false),
        ("udp://93.184.216.34:53", &[], "tcp 93.184.216.34 53", false),
        ("tcp://93.184.216.34", &[], "udp 93.184.216.34 53", false),
        ("icmp://93.184.216.34", &[], "icmp 93.184.216.34", true),
        ("icmp://93.184.216.34", &[], "tcp 93.184.216.34 1", false),
        ("[2606:2800::]/32:443", &[], "tcp 2606:2800::5 443", true),
        ("example.org:443", &["example.org"], "tcp 93.184.216.34 443", true),
        ("example.org:443", &[], "tcp 93.184.216.34 443", false),
        ("example.org:443", &["evil.example"], "tcp 93.184.216.34 443", false),
        ("example.org:443", &["example.org"], "tcp 93.184.216.34 444", false),
        ("example.org:443", &["example.org"], "udp 93.184.216.34 443", false),
        ("example.org", &["example.org"], "tcp 93.184.216.34 22", true),
        ("example.org", &["example.org"], "icmp 93.184.216.34", false),
        ("udp://example.org:443", &["example.org"], "udp 93.184.216.34 443", true),
        ("icmp://example.org", &["example.org"], "icmp 93.184.216.34", true),
        ("*.example.org", &["a.b.example.org"], "tcp 93.184.216.34 1", true),
        ("*.example.org", &["example.org"], "tcp 93.184.216.34 1", false),
        // A name never leads to a special address.
        ("example.org", &["example.org"], "tcp 10.0.0.1 80", false),
        ("example.org", &["example.org"], "tcp 169.254.169.254 80", false),
        ("host:8080", &[], "tcp 192.0.0.1 8080", true),
        ("host:8080", &[], "tcp 192.0.0.1 8081", false),
        ("host:8080", &[], "udp 192.0.0.1 8080", false),
        ("host:8080", &[], "tcp 127.0.0.1 8080", false),
        ("192.0.0.1", &[], "tcp 192.0.0.1 80", false),
        ("0.0.0.0/0", &[], "tcp 192.0.0.1 80", false),
    ];
    for (rule, names, what, expected) in table {
        let found = verdict(&policy(&[rule], &[]), what, names);
        assert_eq!(found.allowed, *expected, "{rule} {what}: {found:?}");
        assert_eq!((found.rule.is_some(), found.hint.is_some()), (*expected, !expected), "{rule} {what}: {found:?}");
        assert!(
            !found.reason.is_empty() && (found.dial == Dial::Host) == (*expected && rule.starts_with("host")),
            "{found:?}"
        );
    }
}

#[test]
fn deny_beats_allow() {
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a str, bool);
    // Allowed, denied, names that led there, what is asked, whether.
    let table: &[Row<'_>] = &[
        (&["93.184.0.0/16"], &["93.184.216.34"], &[], "tcp 93.184.216.34 80", false),
        (&["93.184.0.0/16"], &["93.184.216.34"], &[], "tcp 93.184.216.35 80", true),
        (&["93.184.0.0/16"], &["93.184.216.34:81"], &[], "tcp 93.184.216.34 80", true),
        (&["93.184.0.0/16"], &["udp://93.184.216.34"], &[], "tcp 93.184.216.34 80", true),
        (&["::/0"], &["93.184.216.34"], &[], "tcp 64:ff9b::93.184.216.34 80", false),
        (&["::/0"], &["93.184.216.34"], &[], "tcp 2002:5db8:d822::1 80", false),
        (&["*.example.org"], &["a.example.org"], &["a.example.org"], "tcp 93.184.216.34 22", false),
        (&["*.example.org"], &["a.example.org"], &["b.example.org"], "tcp 93.184.216.34 22", true),
        (&["*.example.org"], &["a.example.org"], &["a.example.org", "b.example.org"], "tcp 93.184.216.34 22", true),
        (&["*.example.org"], &["a.example.org:23"], &["a.example.org"], "tcp 93.184.216.34 22", true),
        (&["93.184.216.34"], &["*.example.org"], &["a.example.org"], "tcp 93.184.216.34 22", false),
        (&["host:80"], &["host"], &[], "tcp 192.0.0.1 80", false),
        (&["10.0.0.0/8"], &["10.0.0.1"], &[], "tcp 10.0.0.1 80", false),
    ];
    for (allow, deny, names, what, expected) in table {
        let found = verdict(&policy(allow, deny), what, names);
        assert_eq!(found.allowed, *expected, "{allow:?} {deny:?} {what}: {found:?}");
    }
}

#[test]
fn an_open_policy_reaches_public_addresses_but_what_is_denied() {
    let plain = open_policy(&[], &[]);
    for what in ["tcp 93.184.216.34 22", "udp 93.184.216.34 443", "icmp 93.184.216.34", "tcp 2606:2800::1 443"] {
        assert_eq!(verdict(&plain, what, &[]).check, None);
        assert!(allows(&plain, what), "{what}");
    }
    assert!(!allows(&plain, "tcp 192.0.0.1 80") && !allows(&plain, "tcp 10.0.0.1 80"));
    let denying = open_policy(&[], &["evil.example", "*.ads.example:443", "1.1.1.1"]);
    assert!(!allows(&denying, "tcp 1.1.1.1 80"));
    assert!(!verdict(&denying, "tcp 93.184.216.34 22", &["evil.example"]).allowed);
    assert!(verdict(&denying, "tcp 93.184.216.34 22", &["x.ads.example"]).allowed);
    let check = |what| verdict(&denying, what, &["evil.example"]).check.unwrap();
    let denied = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        check("tcp 93.184.216.34 443"),
        Check { names: Naming::Tls, allowed: None, denied: denied(&["evil.example", "*.ads.example"]) }
    );
    assert_eq!(
        check("tcp 93.184.216.34 80"),
        Check { names: Naming::Http, allowed: None, denied: denied(&["evil.example"]) }
    );
    // QUIC would hide the name.
    assert!(!allows(&denying, "udp 93.184.216.34 443") && allows(&denying, "udp 93.184.216.34 123"));
    assert!(allows(&open_policy(&["93.184.216.0/24"], &["evil.example"]), "udp 93.184.216.34 443"));
}

#[test]
fn under_name_rules_the_first_bytes_must_name_what_led_there() {
    let policy = policy(&["example.org", "*.example.org:443", "93.184.216.34:8443"], &["bad.example.org"]);
    let names = ["example.org", "a.example.org", "bad.example.org", "other.example"];
    let tls = verdict(&policy, "tcp 93.184.216.34 443", &names).check.unwrap();
    assert_eq!(tls.names, Naming::Tls);
    assert_eq!(
        (tls.allowed.clone().unwrap(), tls.denied.clone()),
        (vec!["example.org".to_owned(), "a.example.org".to_owned()], vec!["bad.example.org".to_owned()])
    );
    assert!(passes(&tls, "a.example.org") && !passes(&tls, "bad.example.org") && !passes(&tls, "b.example.org"));
    let http = verdict(&policy, "tcp 93.184.216.34 80", &names).check.unwrap();
    assert_eq!((http.names, http.allowed.unwrap()), (Naming::Http, vec!["example.org".to_owned()]));
    assert_eq!(verdict(&policy, "tcp 93.184.216.34 22", &names).check, None);
    assert_eq!(verdict(&policy, "tcp 93.184.216.34 8443", &[]).check, None);
}

#[test]
fn quic_is_refused_under_name_rules_with_a_reason() {
    let refused = verdict(&policy(&["example.org:443"], &[]), "udp 93.184.216.34 443", &["example.org"]);
    assert_eq!(
        (refused.reason.as_str(), refused.hint.as_deref()),
        (
            "QUIC hides the name of who is talked to, and `example.org` is allowed by TCP; programs go on with that",
            Some("--allow udp://example.org:443")
        )
    );
}

#[test]
fn a_hint_is_the_flag_that_would_allow_it() {
    let nothing = Policy::default();
    let table: &[(&str, &[&str], &str)] = &[
        ("tcp 93.184.216.34 443", &["example.org"], "--allow example.org:443"),
        ("udp 93.184.216.34 123", &["example.org"], "--allow udp://example.org:123"),
        ("icmp 93.184.216.34", &["example.org"], "--allow icmp://example.org"),
        ("tcp 93.184.216.34 443", &[], "--allow 93.184.216.34:443"),
        ("tcp 2606:2800::1 443", &[], "--allow [2606:2800::1]:443"),
        ("udp 2606:2800::1 443", &[], "--allow udp://[2606:2800::1]:443"),
        ("icmp 2606:2800::1", &[], "--allow icmp://2606:2800::1"),
        ("tcp 192.0.0.1 8080", &[], "--allow host:8080"),
        ("udp 192.0.0.1 8080", &[], "--allow udp://host:8080"),
        ("tcp 169.254.169.254 80", &["example.org"], "--allow 169.254.169.254:80"),
    ];
    for (what, names, hint) in table {
        let refused = verdict(&nothing, what, names);
        assert_eq!(refused.hint.as_deref(), Some(*hint), "{what}");
        let allow = policy(&[hint.strip_prefix("--allow ").unwrap()], &[]);
        assert!(verdict(&allow, what, names).allowed, "{what} {hint}");
    }
}

#[test]
fn a_name_may_be_asked_for_if_some_rule_allows_it_and_none_denies_it_whole() {
    let policy = policy(
        &["example.org:443", "*.wild.example", "udp://u.example:5"],
        &["bad.wild.example", "part.wild.example:25"],
    );
    for name in ["example.org", "a.wild.example", "part.wild.example", "u.example", HOST_NAME] {
        assert!(decide_name(&policy, name).allowed, "{name}");
    }
    for name in ["wild.example", "bad.wild.example", "a.example.org", "org", "data.attacker.example"] {
        let refused = decide_name(&policy, name);
        assert!(!refused.allowed && !refused.reason.is_empty(), "{name}");
    }
    assert_eq!(decide_name(&policy, "other.example").hint.as_deref(), Some("--allow other.example:443"));
    assert!(decide_name(&open_policy(&[], &[]), "any.example").allowed);
}

#[test]
fn the_verdict_names_the_rule_and_its_set() {
    let policy = from_toml("allow = [\"@python\"]").unwrap().into_policy();
    let found = verdict(&policy, "tcp 93.184.216.34 443", &["pypi.org"]);
    assert_eq!(found.rule.as_deref(), Some("pypi.org:443 (@python)"));
    assert_eq!(found.reason, "the index that pip, uv and poetry ask");
}

proptest! {
    #[test]
    fn no_special_address_is_ever_allowed_without_a_rule_as_long(bits: u128, v4: u32, port in 1u16..) {
        let everything = open_policy(&["0.0.0.0/0", "::/0", "example.org"], &[]);
        let names = ["example.org".to_owned()];
        for address in [IpAddr::V6(bits.into()), IpAddr::V4(v4.into())] {
            let asked = Asked { protocol: Protocol::Tcp, address, port, names: &names, gateway: false, own: false };
            let found = decide(&everything, &asked);
            prop_assert_eq!(found.allowed, special(address.to_canonical()).is_none());
        }
    }

    #[test]
    fn what_carries_a_private_address_is_as_special(a: u8, b: u8, c: u8) {
        for outer in carriers([10, a, b, c].into()) {
            let address: IpAddr = outer.parse().unwrap();
            prop_assert!(special(address.to_canonical()).is_some(), "{}", outer);
        }
    }
}
