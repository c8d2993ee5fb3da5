//! What gets through a program, whatever the arguments.

use seccompiler::TargetArch;

use super::{SOURCES, X86_64};
use crate::seccomp::evaluate::{Call, run};
use crate::seccomp::profile::Profile;
use crate::seccomp::reach::lets_through;
use crate::seccomp::{NAMES, builtin, compile, lets_keyrings_through};

/// A profile that answers `rules` with `matched`, and every other call with `otherwise`.
fn program(rules: &str, matched: &str, otherwise: &str) -> Vec<libc::sock_filter> {
    let json =
        format!(r#"{{"f": {{"mismatch_action": {otherwise}, "match_action": {matched}, "filter": [{rules}]}}}}"#);
    compile(json.as_bytes()).unwrap()
}

const ALLOW: &str = r#""allow""#;
const REFUSE: &str = r#"{"errno": 1}"#;
const KEYCTL: &str = r#"{"syscall": "keyctl"}"#;
const READS: &str = r#"{"syscall": "keyctl", "args": [{"index": 0, "type": "dword", "op": "eq", "val": 11}]}"#;

#[test]
fn the_built_in_profiles_let_nobody_at_the_keyrings() {
    for name in NAMES {
        assert!(!lets_keyrings_through(builtin(name).unwrap()), "{name}");
    }
}

#[test]
fn a_profile_that_lets_one_form_of_one_call_through_lets_keyrings_through() {
    for (rules, matched) in [
        (KEYCTL, ALLOW),
        (READS, ALLOW),
        (KEYCTL, r#""log""#),
        (KEYCTL, r#"{"trace": 1}"#),
        (r#"{"syscall": "add_key"}"#, ALLOW),
    ] {
        assert!(lets_keyrings_through(&program(rules, matched, REFUSE)), "{rules} {matched}");
    }
    let read = r#"{"syscall": "read"}"#;
    for refusal in [REFUSE, r#""kill_process""#, r#""kill_thread""#, r#""trap""#] {
        assert!(!lets_keyrings_through(&program(read, ALLOW, refusal)), "{refusal}");
    }
}

#[test]
fn a_list_of_what_is_refused_leaves_the_same_calls_under_their_x32_numbers() {
    let all = r#"{"syscall": "keyctl"}, {"syscall": "add_key"}, {"syscall": "request_key"}"#;
    let program = program(all, REFUSE, ALLOW);
    let keyctl = libc::SYS_keyctl as u32;
    assert_eq!((lets_through(&program, keyctl), lets_through(&program, keyctl | 0x4000_0000)), (false, true));
    assert!(lets_keyrings_through(&program));
}

#[test]
fn what_gets_through_with_some_arguments_is_known_to_get_through() {
    for (name, json) in SOURCES {
        let profile = Profile::parse(json.as_bytes(), TargetArch::x86_64).unwrap();
        let values = profile.filters.iter().flat_map(|filter| &filter.rules).flat_map(|rule| &rule.conditions);
        let values: Vec<u64> = values.map(|condition| condition.value).chain([0, u64::MAX]).collect();
        let program = builtin(name).unwrap();
        let mut decided = 0;
        for number in (0..600).chain([0x4000_0000, u32::MAX]) {
            let verdicts = values.iter().map(|&value| run(program, &Call { arch: X86_64, number, args: [value; 6] }));
            let verdicts: Vec<_> = verdicts.map(|run| run.verdict).collect();
            if verdicts.contains(&libc::SECCOMP_RET_ALLOW) {
                assert!(lets_through(program, number), "{name}: {number}");
            } else if profile.filters.iter().flat_map(|filter| &filter.rules).all(|rule| rule.number != number) {
                assert!(!lets_through(program, number), "{name}: {number}");
                decided += 1;
            }
        }
        assert!(decided > 100, "{name}: {decided}");
    }
}
