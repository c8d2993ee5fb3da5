//! What the built-in profiles promise.

use crate::seccomp::evaluate::{Call, run};
use crate::seccomp::{NAMES, builtin};

#[test]
fn every_name_has_a_program() {
    for name in NAMES {
        let program = builtin(name).unwrap();
        let total: usize =
            (0..512).map(|number| run(program, &Call { arch: 0xc000_003e, number, args: [0; 6] }).constant_steps).sum();
        println!("{name}: {} instructions, {total} steps", program.len());
    }
}
