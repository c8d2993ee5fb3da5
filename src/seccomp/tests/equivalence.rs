//! The tree answers what seccompiler's own programs answer, filter after filter.

use proptest::prelude::*;
use seccompiler::{SeccompCmpOp, TargetArch};
use serde_json::{Value, json};

use super::{Reference, SOURCES, X86_64, cases, to_libc};
use crate::seccomp::error::ProfileError;
use crate::seccomp::evaluate::{Call, run};
use crate::seccomp::profile::{Condition, Profile};
use crate::seccomp::tree;

const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const X32: u32 = 0x4000_0000;

fn parse(json: &str) -> Result<Profile, ProfileError> {
    Profile::parse(json.as_bytes(), TargetArch::x86_64)
}

fn tree(profile: &Profile) -> Vec<libc::sock_filter> {
    to_libc(&tree::compile(profile, TargetArch::x86_64).unwrap())
}

/// Calls that a profile has an opinion on, and their neighbours: numbers and values of its rules, one above and below,
/// with and without the x32 bit and random high halves.
fn calls(profile: &Profile) -> impl Strategy<Value = Call> + use<> {
    let rules: Vec<_> = profile.filters.iter().flat_map(|filter| filter.rules.clone()).collect();
    let random_rule = move || proptest::sample::select(rules.clone());
    let number = prop_oneof![
        6 => Just(0),
        1 => Just(1),
        1 => Just(u32::MAX),
        1 => Just(X32),
        1 => any::<u32>(),
    ];
    let arch = prop_oneof![20 => Just(X86_64), 1 => Just(0x4000_0003), 1 => Just(0xc000_00b7), 1 => any::<u32>()];
    let bend = (0..8_u8, any::<u64>(), any::<u64>());
    (random_rule(), number, arch, proptest::array::uniform6(bend), proptest::array::uniform6(random_rule())).prop_map(
        |(rule, offset, arch, bends, others)| {
            let mut args = bends.map(|(_, _, noise)| noise);
            for condition in others.iter().flat_map(|other| &other.conditions).chain(&rule.conditions) {
                let (kind, noise, _) = bends[usize::from(condition.index)];
                args[usize::from(condition.index)] = bent(condition, kind, noise);
            }
            Call { arch, number: rule.number.wrapping_add(offset), args }
        },
    )
}

/// A value on the edge of a condition.
fn bent(condition: &Condition, kind: u8, noise: u64) -> u64 {
    let value = condition.value;
    let mask = match condition.operator {
        SeccompCmpOp::MaskedEq(mask) => mask,
        _ => u64::MAX,
    };
    match kind {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value | (noise << 32),
        3 => (value & mask) | (noise & !mask),
        4 => value ^ (1 << (noise % 64)),
        5 => noise,
        _ => value,
    }
}

fn equal_for_calls(json: &str, count: u32) {
    let profile = parse(json).unwrap();
    let (reference, ours) = (Reference::new(json, &profile), tree(&profile));
    let mut runner = proptest::test_runner::TestRunner::new(cases(count));
    let compared = runner.run(&calls(&profile), |call| {
        prop_assert_eq!(run(&ours, &call).verdict, reference.verdict(&call), "{:x?}", call);
        if call.arch != X86_64 {
            prop_assert_eq!(run(&ours, &call).verdict, KILL);
        }
        Ok(())
    });
    compared.unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn the_built_in_trees_answer_like_seccompiler() {
    for (_, json) in SOURCES {
        equal_for_calls(json, 20_000);
    }
}

#[test]
fn the_built_in_trees_answer_like_seccompiler_for_every_number() {
    for (name, json) in SOURCES {
        let profile = parse(json).unwrap();
        let (reference, ours) = (Reference::new(json, &profile), tree(&profile));
        for number in (0..2048).chain(X32..X32 + 1024).chain(u32::MAX - 16..=u32::MAX) {
            for args in [[0; 6], [u64::MAX; 6], [1, 1, 0, 0, 0, 0], [1 << 32; 6]] {
                let call = Call { arch: X86_64, number, args };
                assert_eq!(run(&ours, &call).verdict, reference.verdict(&call), "{name} {call:x?}");
            }
        }
    }
}

fn action() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("allow")),
        Just(json!("log")),
        Just(json!("trap")),
        Just(json!("kill_process")),
        Just(json!("kill_thread")),
        (1..40_u32).prop_map(|errno| json!({ "errno": errno })),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        (0..20_u64),
        Just(0x7fff_ffff),
        Just(0x8000_0000),
        Just(0xffff_ffff),
        Just(0x1_0000_0000),
        Just(0x5_0000_5412),
        Just(u64::MAX - 1),
        any::<u64>(),
        any::<u32>().prop_map(u64::from),
    ];
    let masked = prop_oneof![Just(0xf_u64), Just(0xf000), Just(8), Just(0x8000_0000_0000_0008), any::<u64>()];
    let operator = prop_oneof![
        Just(json!("eq")),
        Just(json!("ne")),
        Just(json!("ge")),
        Just(json!("gt")),
        Just(json!("le")),
        Just(json!("lt")),
        masked.prop_map(|mask| json!({ "masked_eq": mask })),
    ];
    let width = prop_oneof![Just("dword"), Just("qword")];
    (0..6_u8, width, operator, value).prop_map(|(index, width, op, value)| {
        let mask = op.get("masked_eq").and_then(Value::as_u64).unwrap_or(u64::MAX);
        json!({ "index": index, "type": width, "op": op, "val": value & mask })
    })
}

fn rule() -> impl Strategy<Value = Value> {
    // Neighbours in the table, so that runs form, and some that stand alone.
    let names = vec![
        "read",
        "write",
        "open",
        "close",
        "stat",
        "ioctl",
        "socket",
        "connect",
        "clone",
        "fork",
        "vfork",
        "prctl",
        "openat",
        "mkdirat",
        "mknodat",
        "clone3",
        "close_range",
        "openat2",
        "mseal",
        "listmount",
    ];
    (proptest::sample::select(names), proptest::collection::vec(condition(), 0..4)).prop_map(|(syscall, args)| {
        match args.is_empty() {
            true => json!({ "syscall": syscall }),
            false => json!({ "syscall": syscall, "args": args }),
        }
    })
}

fn is_refused_alone(rule: &Value) -> bool {
    let alone = json!({ "f": { "mismatch_action": "allow", "match_action": "log", "filter": [rule] } });
    parse(&alone.to_string()).is_err()
}

/// Random profiles, less the rules that a parser has to refuse.
fn profile() -> impl Strategy<Value = String> {
    let filter = (action(), action(), proptest::collection::vec(rule(), 1..14));
    proptest::collection::vec(filter, 1..6).prop_map(|filters| {
        let mut rules: Vec<Vec<Value>> = Vec::new();
        let mut actions = Vec::new();
        for (mismatch, matched, mut own) in filters {
            own.retain(|rule| !is_refused_alone(rule));
            if mismatch != matched && !own.is_empty() {
                actions.push((mismatch, matched));
                rules.push(own);
            }
        }
        loop {
            let mut text = serde_json::Map::new();
            for (i, (rules, (mismatch, matched))) in rules.iter().zip(&actions).enumerate() {
                let filter = json!({ "mismatch_action": mismatch, "match_action": matched, "filter": rules });
                text.insert(format!("f{i}"), filter);
            }
            let text = Value::Object(text).to_string();
            match parse(&text) {
                Err(ProfileError::Unreachable { filter, rule, .. }) => {
                    rules[filter[1..].parse::<usize>().unwrap()].remove(rule - 1);
                }
                Err(ProfileError::EmptyFilter { filter }) => {
                    let empty: usize = filter[1..].parse().unwrap();
                    rules.remove(empty);
                    actions.remove(empty);
                }
                Ok(_) | Err(ProfileError::NoFilter) => return text,
                Err(problem) => panic!("{problem}: {text}"),
            }
        }
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn the_tree_of_any_profile_answers_like_seccompiler(json in profile()) {
        prop_assume!(parse(&json).is_ok_and(|profile| !profile.filters.iter().all(|f| f.rules.is_empty())));
        equal_for_calls(&json, 200);
    }
}

#[test]
fn a_tree_with_jumps_beyond_255_answers_like_seccompiler() {
    let default: Value = serde_json::from_str(SOURCES[0].1).unwrap();
    let rule = |(i, rule): (usize, &Value)| {
        json!({ "syscall": rule["syscall"], "args": [
            { "index": i % 6, "type": "qword", "op": "ge", "val": 7 * i + 1 },
            { "index": (i + 1) % 6, "type": "qword", "op": { "masked_eq": 255 }, "val": i % 256 },
        ] })
    };
    let rules: Vec<_> = default["allowed"]["filter"].as_array().unwrap().iter().enumerate().map(rule).collect();
    let json = json!({ "f": { "mismatch_action": { "errno": 38 }, "match_action": "allow", "filter": rules } });
    let json = json.to_string();
    assert!(tree(&parse(&json).unwrap()).len() > 2000);
    equal_for_calls(&json, 20_000);
}
