//! What a program of ours lets through: read from the program that will be installed, not from its profile or its name.
//!
//! Promises: says that a call is refused only where every way through the program refuses it. Whatever cannot be read
//! counts as a way through.

use std::collections::BTreeSet;

use libc::sock_filter;

use super::tree::{
    AND, JUMP, JUMP_IF_ANY_BIT, JUMP_IF_AT_LEAST, JUMP_IF_EQUAL, JUMP_IF_GREATER, LOAD_WORD, NUMBER, RETURN,
};

/// The calls that lead to the kernel's keyrings.
const KEYRINGS: [libc::c_long; 3] = [libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl];

/// What x32 calls have on top of their numbers, which are otherwise the same for these.
const X32: u32 = 0x4000_0000;

/// Whether any call that leads to a keyring may get through, whatever its arguments.
pub fn lets_keyrings_through(program: &[sock_filter]) -> bool {
    let numbers = KEYRINGS.into_iter().filter_map(|number| u32::try_from(number).ok());
    numbers.flat_map(|number| [number, number | X32]).any(|number| lets_through(program, number))
}

/// Whether a call of that number may get through, with some arguments.
pub fn lets_through(program: &[sock_filter], number: u32) -> bool {
    // Where we are, and what is loaded: nothing stands for a word that nobody knows beforehand.
    let mut ways: Vec<(usize, Option<u32>)> = vec![(0, None)];
    let mut seen = BTreeSet::new();
    while let Some((at, word)) = ways.pop() {
        if !seen.insert((at, word)) {
            continue;
        }
        let Some(&sock_filter { code, jt, jf, k }) = program.get(at) else { return true };
        let next = at + 1;
        let holds = match code {
            LOAD_WORD => {
                ways.push((next, (k == NUMBER).then_some(number)));
                continue;
            }
            AND => {
                ways.push((next, word.map(|word| word & k)));
                continue;
            }
            JUMP => {
                ways.push((next + k as usize, word));
                continue;
            }
            RETURN if refuses(k) => continue,
            JUMP_IF_EQUAL => word.map(|word| word == k),
            JUMP_IF_GREATER => word.map(|word| word > k),
            JUMP_IF_AT_LEAST => word.map(|word| word >= k),
            JUMP_IF_ANY_BIT => word.map(|word| word & k != 0),
            _ => return true,
        };
        if holds != Some(false) {
            ways.push((next + usize::from(jt), word));
        }
        if holds != Some(true) {
            ways.push((next + usize::from(jf), word));
        }
    }
    false
}

/// Whether the call is not made after this verdict. A tracer may let it be made.
fn refuses(verdict: u32) -> bool {
    let refusals = [
        libc::SECCOMP_RET_ERRNO,
        libc::SECCOMP_RET_TRAP,
        libc::SECCOMP_RET_KILL_THREAD,
        libc::SECCOMP_RET_KILL_PROCESS,
    ];
    refusals.contains(&(verdict & libc::SECCOMP_RET_ACTION_FULL))
}
