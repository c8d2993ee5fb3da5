//! A classic-BPF interpreter for tests: what the kernel would do with a program, as far as seccomp lets a program go.

use libc::sock_filter;

/// `struct seccomp_data`, as much of it as a filter of ours reads.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub arch: u32,
    pub number: u32,
    pub args: [u64; 6],
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The verdict.
    pub verdict: u32,
    /// How many instructions it took.
    pub steps: usize,
    /// How many it took until an argument was read: there the kernel stops when it only looks for constant answers.
    pub constant_steps: usize,
}

/// Runs a program, or panics where the kernel's checker would have refused it.
pub fn run(program: &[sock_filter], call: &Call) -> Run {
    let mut accumulator = 0;
    let mut at = 0;
    let mut steps = 0;
    let mut constant_steps = None;
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        steps += 1;
        at += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => {
                accumulator = word(call, k);
                if k >= 16 {
                    constant_steps.get_or_insert(steps);
                }
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x45 => at += branch(accumulator & k != 0),
            0x06 => return Run { verdict: k, steps, constant_steps: constant_steps.unwrap_or(steps) },
            _ => panic!("instruction {code:#x} at {} is none that we or seccompiler write", at - 1),
        }
    }
}

fn word(call: &Call, offset: u32) -> u32 {
    match offset {
        0 => call.number,
        4 => call.arch,
        16..64 if offset.is_multiple_of(8) => call.args[(offset as usize - 16) / 8] as u32,
        16..64 if offset.is_multiple_of(4) => (call.args[(offset as usize - 16) / 8] >> 32) as u32,
        _ => panic!("load from {offset}, outside of seccomp_data or not aligned"),
    }
}
