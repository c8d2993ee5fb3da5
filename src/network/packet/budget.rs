//! Memory for bytes of all flows that the outside does not take yet. Each flow's window shrinks as it fills, so that many stalled
//! uploads together take no more than one limit. They cannot take all of it: without a little memory no name is ever read, so some is left
//! to the connections that are held to names.

use std::collections::VecDeque;

/// What all flows may hold together.
pub const TOTAL: usize = 4 << 20;
/// The part of it that only those take whose names are checked, and whose every byte passes through here.
const RESERVE: usize = 1 << 20;
/// What one flow may hold.
pub const FLOW: usize = 256 << 10;

/// How much is held.
#[derive(Debug, Default)]
pub struct Budget {
    used: usize,
}

impl Budget {
    /// What one more flow may hold now.
    pub fn share(&self) -> usize {
        (self.left(false) / 4).min(FLOW)
    }

    /// How much more may be held, by a flow whose names are checked or by others.
    pub fn left(&self, is_checked: bool) -> usize {
        let total = if is_checked { TOTAL } else { TOTAL - RESERVE };
        total.saturating_sub(self.used)
    }

    /// Takes note of a buffer that has grown or shrunk.
    pub fn change(&mut self, before: usize, after: usize) {
        self.used = self.used.saturating_sub(before).saturating_add(after);
    }
}

/// Bytes of one flow that wait for the outside.
#[derive(Debug, Default)]
pub struct Held {
    bytes: VecDeque<u8>,
}

impl Held {
    /// How many.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Appends what the flow and the budget have room for. Answers how many bytes that is.
    pub fn append(&mut self, bytes: &[u8], is_checked: bool, budget: &mut Budget) -> usize {
        let room = FLOW.saturating_sub(self.bytes.len()).min(budget.left(is_checked));
        let bytes = bytes.get(..room).unwrap_or(bytes);
        let before = self.bytes.capacity();
        self.bytes.extend(bytes);
        budget.change(before, self.bytes.capacity());
        bytes.len()
    }

    /// All of them, one after the other.
    pub fn whole(&mut self) -> &[u8] {
        self.bytes.make_contiguous()
    }

    /// The first of them, as many as lie together.
    pub fn first(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Forgets the first `count`; the memory is given back with the last.
    pub fn remove(&mut self, count: usize, budget: &mut Budget) {
        if count >= self.bytes.len() {
            return self.clear(budget);
        }
        self.bytes.drain(..count);
    }

    /// Forgets all.
    pub fn clear(&mut self, budget: &mut Budget) {
        budget.change(self.bytes.capacity(), 0);
        self.bytes = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_stalled_flows_hold_no_more_than_the_total() {
        let (mut budget, mut flows) = (Budget::default(), Vec::new());
        for _ in 0..1000 {
            let mut held = Held::default();
            while held.append(&[7; 65480], false, &mut budget) > 0 {}
            flows.push(held);
        }
        let capacity: usize = flows.iter().map(|held| held.bytes.capacity()).sum();
        // A buffer doubles as it grows.
        assert!(capacity <= TOTAL + 2 * FLOW, "{capacity}");
        let mut checked = Held::default();
        assert_eq!(checked.append(&[7; 1000], true, &mut budget), 1000, "a hello still finds room");
        checked.clear(&mut budget);
        flows.iter_mut().for_each(|held| held.clear(&mut budget));
        assert_eq!((budget.used, budget.share()), (0, FLOW));
    }
}
