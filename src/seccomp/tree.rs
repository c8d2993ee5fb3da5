//! A profile as one classic-BPF program: a search tree over system call numbers with argument checks as its leaves.
//!
//! When a filter is installed the kernel runs it once for every number to learn which calls are allowed whatever their
//! arguments, and stops a run at the first argument that is read. So the sum of the paths to the leaves is what an
//! installation costs: neighbours with the same answer share a leaf, and the tree is balanced by how many numbers a
//! leaf covers. The architecture is compared first; another one kills the process, as in seccompiler's programs.
//!
//! Promises: answers exactly as the profile read in order (`tests.rs` holds it against seccompiler's own programs), never
//! more than 4096 instructions. `build.rs` includes this file.

use std::collections::{BTreeMap, HashMap};

use seccompiler::{SeccompAction, SeccompCmpArgLen, SeccompCmpOp, TargetArch, sock_filter};

use super::error::ProfileError;
use super::profile::{Condition, Profile};

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

// Instructions, as in linux/bpf_common.h.
pub(super) const LOAD_WORD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_IF_EQUAL: u16 = 0x15;
pub(super) const JUMP_IF_GREATER: u16 = 0x25;
pub(super) const JUMP_IF_AT_LEAST: u16 = 0x35;
pub(super) const JUMP_IF_ANY_BIT: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06;

// Where the words are in struct seccomp_data.
pub(super) const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// How far a conditional jump is let reach: 255, less the few instructions that may come between choosing the target
/// and writing the jump.
const REACH: usize = 250;

/// The numbers that the kernel tries when it installs a filter; those above weigh nothing.
const NUMBERS: u32 = 512;

/// Compiles a profile for the architecture it was parsed for.
pub fn compile(profile: &Profile, arch: TargetArch) -> Result<Vec<sock_filter>, ProfileError> {
    let mut program = Program::default();
    let numbers = program.tree(&leaves(profile));
    let kill = Target::Return(u32::from(SeccompAction::KillProcess));
    let start = program.test(ARCH, Test::Equal(audit_arch(arch)), numbers, kill);
    program.finish(start)
}

/// What the kernel calls the architecture in `seccomp_data`: the ELF machine, 64 bits, little-endian.
fn audit_arch(arch: TargetArch) -> u32 {
    match arch {
        TargetArch::x86_64 => 0xc000_003e,
        TargetArch::aarch64 => 0xc000_00b7,
        TargetArch::riscv64 => 0xc000_00f3,
    }
}

/// The answer to one call: the first clause whose conditions all hold decides.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    clauses: Vec<(Vec<Condition>, u32)>,
    otherwise: u32,
}

/// A run of numbers with the same answer, from `first` to the next leaf.
#[derive(Debug)]
struct Leaf {
    first: u32,
    weight: u32,
    answer: Answer,
}

fn leaves(profile: &Profile) -> Vec<Leaf> {
    let unlisted = u32::from(profile.otherwise().clone());
    let mut answers: BTreeMap<u32, Answer> = BTreeMap::new();
    for filter in &profile.filters {
        for rule in &filter.rules {
            let answer =
                answers.entry(rule.number).or_insert_with(|| Answer { clauses: Vec::new(), otherwise: unlisted });
            if rule.conditions.is_empty() {
                // Nothing follows: the profile was checked for rules behind an unconditional one.
                answer.otherwise = u32::from(filter.matched.clone());
            } else {
                answer.clauses.push((rule.conditions.clone(), u32::from(filter.matched.clone())));
            }
        }
    }
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut add = |first: u32, answer: Answer| match leaves.last() {
        Some(last) if last.answer == answer => {}
        _ => leaves.push(Leaf { first, weight: 0, answer }),
    };
    let mut next = 0;
    for (number, mut answer) in answers {
        while answer.clauses.last().is_some_and(|(_, verdict)| *verdict == answer.otherwise) {
            answer.clauses.pop();
        }
        if number > next {
            add(next, Answer { clauses: Vec::new(), otherwise: unlisted });
        }
        add(number, answer);
        next = number + 1;
    }
    add(next, Answer { clauses: Vec::new(), otherwise: unlisted });
    weigh(&mut leaves);
    leaves
}

fn weigh(leaves: &mut [Leaf]) {
    let mut end = NUMBERS;
    for leaf in leaves.iter_mut().rev() {
        leaf.weight = end.saturating_sub(leaf.first);
        end = end.min(leaf.first);
    }
}

/// A comparison of the word that was loaded.
#[derive(Debug, Clone, Copy)]
enum Test {
    Equal(u32),
    Greater(u32),
    AtLeast(u32),
    AnyBit(u32),
    MaskedEqual(u32, u32),
}

/// Where a jump goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The end, with this verdict.
    Return(u32),
    /// A test that was written already and that wants `word` loaded.
    Test { at: usize, word: u32 },
}

/// A program in the making, last instruction first: jumps only go forward, so a jump is written when its targets stand.
#[derive(Debug, Default)]
struct Program {
    reversed: Vec<sock_filter>,
    returns: HashMap<u32, usize>,
    loads: HashMap<usize, usize>,
}

impl Program {
    fn tree(&mut self, leaves: &[Leaf]) -> Target {
        match leaves {
            [] => Target::Return(u32::from(SeccompAction::KillProcess)),
            [leaf] => self.answer(&leaf.answer),
            // One number in the middle of a run takes one comparison, not two.
            [before, one, after] if before.answer == after.answer && after.first == one.first + 1 => {
                let around = self.answer(&before.answer);
                let hit = self.answer(&one.answer);
                self.test(NUMBER, Test::Equal(one.first), hit, around)
            }
            _ => {
                let middle = middle(leaves);
                let above = self.tree(&leaves[middle..]);
                let below = self.tree(&leaves[..middle]);
                self.test(NUMBER, Test::AtLeast(leaves[middle].first), above, below)
            }
        }
    }

    fn answer(&mut self, answer: &Answer) -> Target {
        let mut missed = Target::Return(answer.otherwise);
        for (conditions, verdict) in answer.clauses.iter().rev() {
            let mut matched = Target::Return(*verdict);
            for condition in conditions.iter().rev() {
                matched = self.condition(condition, matched, missed);
            }
            missed = matched;
        }
        missed
    }

    fn condition(&mut self, condition: &Condition, yes: Target, no: Target) -> Target {
        let value = condition.value;
        match condition.operator {
            SeccompCmpOp::Eq => self.masked(condition, u64::MAX, yes, no),
            SeccompCmpOp::Ne => self.masked(condition, u64::MAX, no, yes),
            SeccompCmpOp::MaskedEq(mask) => self.masked(condition, mask, yes, no),
            SeccompCmpOp::Ge => self.ordered(condition, Test::AtLeast(low(value)), yes, no),
            SeccompCmpOp::Lt => self.ordered(condition, Test::AtLeast(low(value)), no, yes),
            SeccompCmpOp::Gt => self.ordered(condition, Test::Greater(low(value)), yes, no),
            SeccompCmpOp::Le => self.ordered(condition, Test::Greater(low(value)), no, yes),
        }
    }

    fn masked(&mut self, condition: &Condition, mask: u64, yes: Target, no: Target) -> Target {
        let (low_word, high_word) = words(condition.index);
        let low_holds = self.masked_word(low_word, low(mask), low(condition.value), yes, no);
        match condition.width {
            SeccompCmpArgLen::Dword => low_holds,
            SeccompCmpArgLen::Qword => self.masked_word(high_word, high(mask), high(condition.value), low_holds, no),
        }
    }

    fn masked_word(&mut self, word: u32, mask: u32, value: u32, yes: Target, no: Target) -> Target {
        match mask {
            0 => yes,
            u32::MAX => self.test(word, Test::Equal(value), yes, no),
            _ if value == 0 => self.test(word, Test::AnyBit(mask), no, yes),
            _ if value == mask && mask.is_power_of_two() => self.test(word, Test::AnyBit(mask), yes, no),
            _ => self.test(word, Test::MaskedEqual(mask, value), yes, no),
        }
    }

    /// `low_test` decides, unless 64 bits are compared and the high words differ.
    fn ordered(&mut self, condition: &Condition, low_test: Test, yes: Target, no: Target) -> Target {
        let (low_word, high_word) = words(condition.index);
        let low_holds = self.test(low_word, low_test, yes, no);
        match condition.width {
            SeccompCmpArgLen::Dword => low_holds,
            SeccompCmpArgLen::Qword => {
                let value = high(condition.value);
                let not_greater = self.test(high_word, Test::Equal(value), low_holds, no);
                self.test(high_word, Test::Greater(value), yes, not_greater)
            }
        }
    }

    /// Writes one comparison and gives its place. The load of its word is written by who jumps to it with another one.
    fn test(&mut self, word: u32, test: Test, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        let loaded = match test {
            Test::MaskedEqual(..) => None,
            Test::Equal(_) | Test::Greater(_) | Test::AtLeast(_) | Test::AnyBit(_) => Some(word),
        };
        // A load that stands right before its test needs no jump, so the test written last goes first.
        let (yes, no) = if self.is_last(yes) {
            let yes = self.place(yes, loaded);
            (yes, self.place(no, loaded))
        } else {
            let no = self.place(no, loaded);
            (self.place(yes, loaded), no)
        };
        let (yes, no) = (self.within_reach(yes), self.within_reach(no));
        let (code, k) = match test {
            Test::Equal(value) | Test::MaskedEqual(_, value) => (JUMP_IF_EQUAL, value),
            Test::Greater(value) => (JUMP_IF_GREATER, value),
            Test::AtLeast(value) => (JUMP_IF_AT_LEAST, value),
            Test::AnyBit(bits) => (JUMP_IF_ANY_BIT, bits),
        };
        let (jt, jf) = (self.distance(yes), self.distance(no));
        let short = |distance| u8::try_from(distance).expect("within_reach keeps a jump below 256");
        self.reversed.push(sock_filter { code, jt: short(jt), jf: short(jf), k });
        if let Test::MaskedEqual(mask, _) = test {
            self.push(AND, mask);
        }
        Target::Test { at: self.reversed.len() - 1, word }
    }

    /// The instruction to jump to for `target` when `loaded` is in the accumulator.
    fn place(&mut self, target: Target, loaded: Option<u32>) -> usize {
        match target {
            Target::Return(verdict) => match self.returns.get(&verdict) {
                Some(&at) if self.distance(at) < REACH => at,
                // A second return is as short as a jump to the first one, and one step less.
                _ => {
                    let at = self.push(RETURN, verdict);
                    self.returns.insert(verdict, at);
                    at
                }
            },
            Target::Test { at, word } if loaded == Some(word) => at,
            Target::Test { at, word } => {
                if let Some(&load) = self.loads.get(&at) {
                    return load;
                }
                if !self.is_last(target) {
                    self.push_jump(at);
                }
                let load = self.push(LOAD_WORD, word);
                self.loads.insert(at, load);
                load
            }
        }
    }

    fn within_reach(&mut self, at: usize) -> usize {
        if self.distance(at) < REACH { at } else { self.push_jump(at) }
    }

    fn is_last(&self, target: Target) -> bool {
        matches!(target, Target::Test { at, .. } if at + 1 == self.reversed.len())
    }

    /// How many instructions the next one would have to jump over.
    fn distance(&self, at: usize) -> usize {
        self.reversed.len() - at - 1
    }

    fn push(&mut self, code: u16, k: u32) -> usize {
        self.reversed.push(sock_filter { code, jt: 0, jf: 0, k });
        self.reversed.len() - 1
    }

    fn push_jump(&mut self, at: usize) -> usize {
        let distance = u32::try_from(self.distance(at)).expect("a profile of 256 KiB has no 2^32 instructions");
        self.push(JUMP, distance)
    }

    fn finish(mut self, start: Target) -> Result<Vec<sock_filter>, ProfileError> {
        self.place(start, None);
        self.reversed.reverse();
        match self.reversed.len() {
            instructions if instructions > MAX_INSTRUCTIONS => Err(ProfileError::TooManyInstructions { instructions }),
            _ => Ok(self.reversed),
        }
    }
}

/// Where to cut so that both halves weigh about the same.
fn middle(leaves: &[Leaf]) -> usize {
    let total: u32 = leaves.iter().map(|leaf| leaf.weight).sum();
    let (mut best, mut least) = (1, u32::MAX);
    let mut below = 0;
    for cut in 1..leaves.len() {
        below += leaves[cut - 1].weight;
        let imbalance = (2 * below).abs_diff(total);
        if imbalance < least {
            (best, least) = (cut, imbalance);
        }
    }
    best
}

/// The offsets of an argument's low and high word. All architectures we know are little-endian.
fn words(index: u8) -> (u32, u32) {
    let low = ARGUMENTS + 8 * u32::from(index);
    (low, low + 4)
}

fn low(value: u64) -> u32 {
    (value & u64::from(u32::MAX)) as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}
