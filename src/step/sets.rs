//! Sets of small numbers, as the kernel takes them.

use caps::Capability;
use std::fmt;

/// A set of capabilities, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// No capability.
    pub const NONE: Capabilities = Capabilities(0);

    /// The set of these.
    pub fn of(capabilities: &[Capability]) -> Capabilities {
        Capabilities(capabilities.iter().fold(0, |set, capability| set | 1 << capability.index()))
    }

    /// Whether the capability of that number is in it.
    pub fn has(self, number: u8) -> bool {
        number < 64 && self.0 >> number & 1 == 1
    }

    /// One bit for each.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// `` for the empty set, else ` but CAP_CHOWN CAP_…`.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = " but";
        (0..64).filter(|number| self.has(*number)).try_for_each(|number| {
            let known = caps::all().into_iter().find(|capability| capability.index() == number);
            let name = known.map_or_else(|| number.to_string(), |capability| capability.to_string());
            write!(f, "{} {name}", std::mem::take(&mut before))
        })
    }
}

/// A set of CPUs, as the kernel reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processors {
    mask: Vec<u64>,
}

impl Processors {
    /// The set of CPUs with these numbers.
    pub fn new(numbers: &[u32]) -> Processors {
        let words = numbers.iter().max().map_or(0, |highest| *highest as usize / 64 + 1);
        let mut mask = vec![0; words];
        for number in numbers {
            if let Some(word) = mask.get_mut(*number as usize / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Processors { mask }
    }

    /// How many they are.
    pub fn count(&self) -> u32 {
        self.mask.iter().map(|word| word.count_ones()).sum()
    }

    /// One bit for each CPU.
    pub fn mask(&self) -> &[u64] {
        &self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, Processors};
    use caps::Capability;

    #[test]
    fn a_set_of_cpus_has_one_bit_for_each() {
        assert_eq!(Processors::new(&[0]).mask(), [1]);
        assert_eq!(Processors::new(&[]).mask(), [0u64; 0]);
        let four = Processors::new(&[1, 63, 64, 130]);
        assert_eq!((four.mask(), four.count()), ([1 << 63 | 2, 1, 4].as_slice(), 4));
    }

    #[test]
    fn a_set_of_capabilities_says_which_it_has() {
        let set = Capabilities::of(&[Capability::CAP_SYS_CHROOT, Capability::CAP_DAC_OVERRIDE]);
        assert_eq!((set.bits(), set.to_string().as_str()), (1 << 18 | 1 << 1, " but CAP_DAC_OVERRIDE CAP_SYS_CHROOT"));
        assert_eq!((set.has(18), set.has(0), set.has(64)), (true, false, false));
        assert_eq!(Capabilities::NONE.to_string(), "");
    }
}
