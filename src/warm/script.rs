//! The script of a fork: the system calls that lead a copy of a warm interpreter into its sandbox, as bytes.
//!
//! Three lists, each walked by another process (`fork.rs` says by whom), then the data that calls point to. Whoever writes
//! a script decides; whoever walks it only resolves arguments: to the blob's own address, to descriptors that were sent
//! along, to results of earlier calls.

use std::ffi::CString;

/// Calls that one list can have.
pub const LONGEST_LIST: usize = 512;

const MAGIC: &[u8; 8] = b"BJWARM01";
const HEADER: usize = 32;
const CALL: usize = 64;
/// The number of a call that is none: it puts its second argument to where the first points.
const PUT: u64 = u64::MAX;

/// Where data stands among a script's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Place {
    /// The place `bytes` behind this one.
    pub fn plus(self, bytes: u64) -> Place {
        Place(self.0 + bytes)
    }
}

/// An argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// The address of data.
    Pointer(Place),
    /// The descriptor that was sent along as the n-th, counted from 0 behind the script itself.
    Descriptor(u64),
    /// What the n-th call of the same list returned.
    Result(u64),
}

/// One call of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    number: u64,
    arguments: Vec<Argument>,
    refusable: bool,
}

impl Call {
    /// A system call, of at most six arguments; what is missing is 0.
    pub fn new(number: libc::c_long, arguments: &[Argument]) -> Call {
        Call { number: number.cast_unsigned(), arguments: arguments.to_vec(), refusable: false }
    }

    /// The same call, which the kernel may refuse.
    #[must_use]
    pub fn or_not(self) -> Call {
        Call { refusable: true, ..self }
    }

    /// No system call: puts an address, a descriptor or a result into data, `bytes` (4 or 8) wide.
    pub fn put(place: Place, value: Argument, bytes: u64) -> Call {
        let arguments = vec![Argument::Pointer(place), value, Argument::Number(bytes)];
        Call { number: PUT, arguments, refusable: false }
    }
}

/// A script. The lists are public: who writes them only adds to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Walked outside: the cgroup, the user namespace, the pid namespace.
    pub outside: Vec<Call>,
    /// Walked inside, before the copy is made: the other namespaces, and everything that confines it.
    pub inside: Vec<Call>,
    /// Walked by the copy, before any code of the preload or of a run.
    pub child: Vec<Call>,
    data: Vec<u8>,
}

impl Script {
    /// Keeps data for calls to point to. Its place is a multiple of eight.
    pub fn keep(&mut self, bytes: &[u8]) -> Place {
        let place = Place(self.data.len() as u64);
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        place
    }

    /// Has the child execute the first of the candidates that can be executed.
    pub fn execute(&mut self, candidates: &[CString], arguments: &[CString], environment: &[CString]) {
        let [arguments, environment] = [arguments, environment].map(|words| self.keep_words(words));
        for candidate in candidates {
            let path = Argument::Pointer(self.keep(candidate.as_bytes_with_nul()));
            let call = [path, Argument::Pointer(arguments), Argument::Pointer(environment)];
            self.child.push(Call::new(libc::SYS_execve, &call).or_not());
        }
    }

    /// An array of pointers to words, with none behind them. The child fills it.
    fn keep_words(&mut self, words: &[CString]) -> Place {
        let array = self.keep(&vec![0; 8 * (words.len() + 1)]);
        for (word, offset) in words.iter().zip((0..).step_by(8)) {
            let word = self.keep(word.as_bytes_with_nul());
            self.child.push(Call::put(array.plus(offset), Argument::Pointer(word), 8));
        }
        array
    }

    /// The script as it goes into a memfd.
    pub fn encode(&self) -> Vec<u8> {
        let lists = [&self.outside, &self.inside, &self.child];
        let calls: usize = lists.iter().map(|list| list.len()).sum();
        let data = (HEADER + CALL * calls) as u64;
        let mut blob = MAGIC.to_vec();
        for list in lists {
            blob.extend((list.len() as u64).to_le_bytes());
        }
        for call in lists.into_iter().flatten() {
            encode_call(call, data, &mut blob);
        }
        blob.extend(&self.data);
        blob
    }
}

fn encode_call(call: &Call, data: u64, blob: &mut Vec<u8>) {
    let mut kinds = [0_u8; 6];
    blob.extend(call.number.to_le_bytes());
    for (index, kind) in kinds.iter_mut().enumerate() {
        let (code, value) = match call.arguments.get(index) {
            None => (0, 0),
            Some(Argument::Number(value)) => (0, *value),
            Some(Argument::Pointer(place)) => (1, data + place.0),
            Some(Argument::Descriptor(value)) => (2, *value),
            Some(Argument::Result(value)) => (3, *value),
        };
        *kind = code;
        blob.extend(value.to_le_bytes());
    }
    blob.extend(kinds);
    blob.extend([u8::from(call.refusable), 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u64> {
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
    }

    #[test]
    fn a_script_is_its_counts_its_calls_and_its_data() {
        let mut script = Script::default();
        let path = script.keep(b"/dev/null\0");
        let more = script.keep(&[7; 8]);
        script.outside.push(Call::new(308, &[Argument::Descriptor(2), Argument::Number(0x1000_0000)]));
        script.inside.push(Call::new(257, &[Argument::Number(5), Argument::Pointer(path)]).or_not());
        script.inside.push(Call::put(more.plus(4), Argument::Result(0), 4));
        let blob = script.encode();
        assert_eq!(&blob[..8], b"BJWARM01");
        let data = 32 + 3 * 64;
        assert_eq!(words(&blob[8..32]), [1, 2, 0]);
        assert_eq!(words(&blob[32..88]), [308, 2, 0x1000_0000, 0, 0, 0, 0]);
        assert_eq!(blob[88..96], [2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(words(&blob[96..152]), [257, 5, data, 0, 0, 0, 0]);
        assert_eq!(blob[152..160], [0, 1, 0, 0, 0, 0, 1, 0]);
        assert_eq!(words(&blob[160..216]), [u64::MAX, data + 16 + 4, 0, 4, 0, 0, 0]);
        assert_eq!(blob[216..224], [1, 3, 0, 0, 0, 0, 0, 0]);
        assert_eq!(blob[224..], *b"/dev/null\0\0\0\0\0\0\0\x07\x07\x07\x07\x07\x07\x07\x07");
    }
}
