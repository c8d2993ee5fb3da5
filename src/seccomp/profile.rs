//! A seccomp profile: JSON in, a checked list of filters out.
//!
//! The format is seccompiler's. What is added here is order: the filters are tried as they stand in the file, a filter
//! whose result is not its `mismatch_action` decides, and the last one decides for what is left. A filter called
//! `name@x86_64` is there for that architecture only, because a name that an architecture lacks is an error.
//!
//! Promises: a profile that parses says what it means. A rule that could never decide, or that would decide more or less
//! than it seems to, is refused with the filter and the rule. Never reads a file, never installs anything.
//!
//! `build.rs` includes this file, so it may use the build dependencies only: no libc, no thiserror.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, TargetArch, sock_filter};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::ProfileError;

/// The largest profile that is read. The built-in ones have a tenth of it; more than this is a mistake or an attack.
pub const MAX_BYTES: usize = 256 * 1024;

/// Filters in the order in which they decide. Never empty.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The filters; the last one's `mismatch` answers every call that no filter decides.
    pub filters: Vec<Filter>,
}

/// One named filter of a profile.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The name in the file, architecture suffix included.
    pub name: String,
    /// What the filter answers when no rule matches; in all but the last filter it only means "not decided here".
    pub mismatch: SeccompAction,
    /// What the filter answers when a rule matches.
    pub matched: SeccompAction,
    /// Any one of them makes the filter match.
    pub rules: Vec<Rule>,
}

/// One call, perhaps only with certain arguments.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The call's name, as the kernel spells it.
    pub syscall: String,
    /// Its number on the architecture the profile was parsed for.
    pub number: u32,
    /// All of them must hold; none means whatever the arguments.
    pub conditions: Vec<Condition>,
}

/// One comparison of one argument.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "ConditionText")]
pub struct Condition {
    /// Which argument, from 0.
    pub index: u8,
    /// Whether the low 32 bits are compared or all 64.
    pub width: SeccompCmpArgLen,
    /// How.
    pub operator: SeccompCmpOp,
    /// With what.
    pub value: u64,
}

impl Profile {
    /// Reads and checks a profile for one architecture.
    pub fn parse(json: &[u8], arch: TargetArch) -> Result<Self, ProfileError> {
        if json.len() > MAX_BYTES {
            return Err(ProfileError::TooLarge { bytes: json.len() });
        }
        let FilterTexts(texts) = serde_json::from_slice(json).map_err(|e| ProfileError::Json(e.to_string()))?;
        let texts: Vec<_> = texts.into_iter().filter(|text| text.is_for(arch)).collect();
        let numbers = numbers(&texts, arch, json)?;
        let filters: Vec<_> = texts.into_iter().map(|text| text.into_filter(&numbers)).collect();
        let profile = Self { filters };
        profile.check_that_every_rule_can_decide()?;
        Ok(profile)
    }

    /// What is answered for a call that no filter decides.
    pub fn otherwise(&self) -> &SeccompAction {
        // A profile is never empty: `check_that_every_rule_can_decide` refuses it.
        self.filters.last().map_or(&SeccompAction::KillProcess, |last| &last.mismatch)
    }

    fn check_that_every_rule_can_decide(&self) -> Result<(), ProfileError> {
        let Some((_, undecided)) = self.filters.split_last() else {
            return Err(ProfileError::NoFilter);
        };
        if let Some(filter) = undecided.iter().find(|filter| filter.rules.is_empty()) {
            return Err(ProfileError::EmptyFilter { filter: filter.name.clone() });
        }
        let mut earlier: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (f, filter) in self.filters.iter().enumerate() {
            for (r, rule) in filter.rules.iter().enumerate() {
                let seen = earlier.entry(rule.number).or_default();
                for &(other_f, other_r) in seen.iter() {
                    let other = &self.filters[other_f].rules[other_r];
                    // Within a filter the order of rules means nothing, so there the wider one may come second.
                    let covered = rule.is_covered_by(other) || (f == other_f && other.is_covered_by(rule));
                    if covered {
                        return Err(ProfileError::Unreachable {
                            filter: filter.name.clone(),
                            rule: r + 1,
                            syscall: rule.syscall.clone(),
                            by_filter: self.filters[other_f].name.clone(),
                            by_rule: other_r + 1,
                        });
                    }
                }
                seen.push((f, r));
            }
        }
        Ok(())
    }
}

impl Rule {
    /// Whether `other` matches whenever this rule does, as far as equal conditions tell.
    fn is_covered_by(&self, other: &Rule) -> bool {
        other.conditions.iter().all(|condition| self.conditions.contains(condition))
    }
}

/// The file's filters in the file's order, which a map type would lose.
struct FilterTexts(Vec<FilterText>);

struct FilterText {
    name: String,
    arch: Option<TargetArch>,
    body: FilterBody,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody {
    #[serde(alias = "default_action")]
    mismatch_action: SeccompAction,
    #[serde(alias = "filter_action")]
    match_action: SeccompAction,
    filter: Rules,
}

struct Rules(Vec<RuleText>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    syscall: String,
    args: Option<Vec<Condition>>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionText {
    index: u8,
    r#type: SeccompCmpArgLen,
    op: SeccompCmpOp,
    val: u64,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

impl FilterText {
    fn is_for(&self, arch: TargetArch) -> bool {
        self.arch.is_none_or(|own| own == arch)
    }

    fn into_filter(self, numbers: &BTreeMap<String, u32>) -> Filter {
        let rules = self.body.filter.0.into_iter().map(|rule| Rule {
            number: numbers[&rule.syscall],
            syscall: rule.syscall,
            conditions: rule.args.unwrap_or_default(),
        });
        Filter {
            name: self.name,
            mismatch: self.body.mismatch_action,
            matched: self.body.match_action,
            rules: rules.collect(),
        }
    }
}

impl<'de> Deserialize<'de> for FilterTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = FilterTexts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of named filters")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FilterTexts, M::Error> {
                let mut seen = BTreeSet::new();
                let mut filters = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let within = |problem: String| M::Error::custom(format!("filter `{name}`: {problem}"));
                    if !seen.insert(name.clone()) {
                        return Err(within("the name is used twice; give each filter its own".into()));
                    }
                    let arch = match name.split_once('@') {
                        None => None,
                        Some((_, arch)) => Some(TargetArch::try_from(arch).map_err(|_| {
                            within(format!("`{arch}` is no architecture; write @x86_64, @aarch64 or @riscv64"))
                        })?),
                    };
                    let body: FilterBody = map.next_value().map_err(|e| within(e.to_string()))?;
                    check_actions(&body).map_err(within)?;
                    filters.push(FilterText { name, arch, body });
                }
                Ok(FilterTexts(filters))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbered;
        impl<'de> Visitor<'de> for Numbered {
            type Value = Rules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rules")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Rules, S::Error> {
                let mut rules: Vec<RuleText> = Vec::new();
                loop {
                    let number = rules.len() + 1;
                    let within = |problem: String| S::Error::custom(format!("rule {number}: {problem}"));
                    let Some(rule) = seq.next_element::<RuleText>().map_err(|e| within(e.to_string()))? else {
                        return Ok(Rules(rules));
                    };
                    check_arguments(&rule).map_err(within)?;
                    rules.push(rule);
                }
            }
        }
        deserializer.deserialize_seq(Numbered)
    }
}

fn check_actions(body: &FilterBody) -> Result<(), String> {
    if body.match_action == body.mismatch_action {
        return Err("`match_action` and `mismatch_action` are the same, so its rules mean nothing".into());
    }
    for (field, action) in [("match_action", &body.match_action), ("mismatch_action", &body.mismatch_action)] {
        match action {
            // The kernel cuts what is above MAX_ERRNO down to it, seccompiler cuts to 16 bits.
            SeccompAction::Errno(errno) if *errno > 4095 => {
                return Err(format!("`{field}`: errno {errno} is above 4095, the kernel's largest"));
            }
            SeccompAction::Trace(data) if *data > 0xffff => {
                return Err(format!("`{field}`: trace {data} has more than the 16 bits that a tracer gets"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_arguments(rule: &RuleText) -> Result<(), String> {
    let name = &rule.syscall;
    let Some(conditions) = &rule.args else {
        return Ok(());
    };
    if conditions.is_empty() {
        return Err(format!("`{name}`: `args` is empty; leave it out to match whatever the arguments"));
    }
    for (i, one) in conditions.iter().enumerate() {
        for other in &conditions[..i] {
            let both_equal = one.operator == SeccompCmpOp::Eq && other.operator == SeccompCmpOp::Eq;
            let same_word = (one.index, &one.width) == (other.index, &other.width);
            if same_word && both_equal && one.value != other.value {
                return Err(format!(
                    "`{name}`: argument {} cannot be {} and {} at once; write two rules",
                    one.index, other.value, one.value
                ));
            }
            if one == other {
                return Err(format!("`{name}`: the same condition on argument {} twice", one.index));
            }
        }
    }
    Ok(())
}

impl TryFrom<ConditionText> for Condition {
    type Error = String;

    fn try_from(text: ConditionText) -> Result<Self, String> {
        let ConditionText { index, r#type: width, op: operator, val: value, .. } = text;
        if index > 5 {
            return Err(format!("`index`: a call has arguments 0 to 5, not {index}"));
        }
        let largest = match width {
            SeccompCmpArgLen::Dword => u64::from(u32::MAX),
            SeccompCmpArgLen::Qword => u64::MAX,
        };
        if value > largest {
            return Err(format!("`val`: {value} does not fit a dword; compare as `qword`"));
        }
        let constant = match operator {
            SeccompCmpOp::MaskedEq(mask) if mask > largest => {
                return Err(format!("`op`: the mask {mask} does not fit a dword; compare as `qword`"));
            }
            SeccompCmpOp::MaskedEq(mask) if value & !mask != 0 => Some("never"),
            SeccompCmpOp::MaskedEq(0) | SeccompCmpOp::Ge if value == 0 => Some("always"),
            SeccompCmpOp::Lt if value == 0 => Some("never"),
            SeccompCmpOp::Le if value == largest => Some("always"),
            SeccompCmpOp::Gt if value == largest => Some("never"),
            SeccompCmpOp::Eq
            | SeccompCmpOp::Ne
            | SeccompCmpOp::Ge
            | SeccompCmpOp::Gt
            | SeccompCmpOp::Le
            | SeccompCmpOp::Lt
            | SeccompCmpOp::MaskedEq(_) => None,
        };
        match constant {
            Some(when) => Err(format!("the condition on argument {index} {when} holds; correct `op` or `val`")),
            None => Ok(Self { index, width, operator, value }),
        }
    }
}

/// The number of every call named, asked of seccompiler, which has the table but does not show it: a filter with one rule
/// compares the number right after loading it.
fn numbers(texts: &[FilterText], arch: TargetArch, json: &[u8]) -> Result<BTreeMap<String, u32>, ProfileError> {
    let named: BTreeSet<&str> =
        texts.iter().flat_map(|text| &text.body.filter.0).map(|rule| rule.syscall.as_str()).collect();
    if let Some(numbers) = ask_numbers(&named, arch) {
        return Ok(numbers);
    }
    // Somewhere among them is a name that is none. Which, is asked one by one: this path ends in an error anyway.
    for text in texts {
        for (r, rule) in text.body.filter.0.iter().enumerate() {
            if ask_numbers(&BTreeSet::from([rule.syscall.as_str()]), arch).is_none() {
                return Err(ProfileError::UnknownSyscall {
                    filter: text.name.clone(),
                    rule: r + 1,
                    syscall: rule.syscall.clone(),
                    arch: format!("{arch:?}"),
                    position: position(json, &rule.syscall),
                });
            }
        }
    }
    Err(ProfileError::Json("a call's number could not be found".into()))
}

fn ask_numbers(names: &BTreeSet<&str>, arch: TargetArch) -> Option<BTreeMap<String, u32>> {
    const LOAD_WORD: u16 = 0x20;
    let question: serde_json::Map<_, _> = names
        .iter()
        .map(|name| {
            let filter = serde_json::json!({
                "mismatch_action": "allow", "match_action": "log", "filter": [{ "syscall": name }]
            });
            ((*name).to_owned(), filter)
        })
        .collect();
    let question = serde_json::to_vec(&question).ok()?;
    let answer = seccompiler::compile_from_json(question.as_slice(), arch).ok()?;
    let number = |program: &[sock_filter]| {
        let load = program.iter().position(|step| step.code == LOAD_WORD && step.k == 0)?;
        program.get(load + 1).map(|compare| compare.k)
    };
    answer.into_iter().map(|(name, program)| Some((name, number(&program)?))).collect()
}

/// Line and column of the first `"name"` in the text, both from 1.
fn position(json: &[u8], name: &str) -> Option<(usize, usize)> {
    let quoted = format!("\"{name}\"");
    let at = json.windows(quoted.len()).position(|window| window == quoted.as_bytes())?;
    let before = &json[..at];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    Some((before.iter().filter(|&&byte| byte == b'\n').count() + 1, at - line_start + 1))
}
