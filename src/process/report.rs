//! What the sandbox's processes tell the supervisor: frames of eight bytes on a socket.
//!
//! byte 0: kind · byte 1: the call, or the candidate · bytes 2–3: index of the step · bytes 4–7: errno or wait status,
//! little-endian. Nothing is ever sent that has to be parsed.

use crate::step::Call;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The root is ready; comes with the descriptors of `/`, `/proc`, lists of System V IPC, namespaces, and perhaps a terminal.
    Ready {
        /// How many lists.
        lists: u8,
    },
    /// The leader of a command that joins, by its pid; comes with a pidfd of it.
    Joined(i32),
    /// Comes with the user namespace of a range.
    Users,
    /// Comes with the master side of the terminal of a command that joins.
    Terminal,
    /// Comes with the device that the sandbox's packets leave through.
    Device,
    /// The user's quota of keys is used up, and the payload goes on with the caller's session keyring.
    KeyringShared,
    /// A leader stands inside and waits for a command; comes with a pidfd of it.
    Standing,
    /// It leads the command that was handed to it from here on.
    Taken,
    /// What the command used, told before its end where the leader is nobody's child who asks: milliseconds of CPU time.
    UsedCpu(i32),
    /// And the memory of the largest of its processes, in KiB.
    UsedMemory(i32),
    /// A step was refused.
    Refused {
        /// Whose list: the payload's, or pid 1's.
        payload: bool,
        /// Which step.
        refusal: Refusal,
    },
    /// The payload ended, with this wait status.
    Ended(i32),
    /// The payload was gone before it executed anything, without saying why, with this wait status.
    Lost(i32),
    /// pid 1 of a spare has nothing left to do, and waits for the process that is to be its payload.
    Waiting,
}

/// What pid 1 of a spare is told beside the signals that it passes on: eight bytes, of which the first is no signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// The process of this number, which somebody has brought inside, is the payload.
    Payload(i32),
    /// When so many milliseconds have passed it is to end by itself.
    TimeLeft(i32),
}

const PAYLOAD: u8 = 0x81;
const TIME_LEFT: u8 = 0x82;

impl Errand {
    /// The errand as bytes.
    pub fn encode(self) -> [u8; SIZE] {
        let (kind, value) = match self {
            Errand::Payload(pid) => (PAYLOAD, pid),
            Errand::TimeLeft(milliseconds) => (TIME_LEFT, milliseconds),
        };
        let [a, b, c, d] = value.to_le_bytes();
        [kind, 0, 0, 0, a, b, c, d]
    }

    /// The errand that these bytes are; `None` for numbers of signals.
    pub fn decode(bytes: &[u8]) -> Option<Errand> {
        let [kind, 0, 0, 0, a, b, c, d] = *<&[u8; SIZE]>::try_from(bytes).ok()? else { return None };
        let value = i32::from_le_bytes([a, b, c, d]);
        match kind {
            PAYLOAD => Some(Errand::Payload(value)),
            TIME_LEFT => Some(Errand::TimeLeft(value)),
            _ => None,
        }
    }
}

/// Where and why a walk through the steps stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index in the list.
    pub step: u16,
    /// Where in the step.
    pub stop: Stop,
}

/// Where in its step a walk stopped, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The call; of the step that executes, the candidate.
    stage: u8,
    /// The kernel's answer.
    pub errno: i32,
}

impl Stop {
    /// At this call.
    pub const fn at(call: Call, errno: i32) -> Stop {
        Stop { stage: call as u8, errno }
    }

    /// At the execution of the candidate of that number.
    pub const fn candidate(number: u8, errno: i32) -> Stop {
        Stop { stage: number, errno }
    }

    /// The call, of any step but the one that executes.
    pub fn call(self) -> Option<Call> {
        Call::from_byte(self.stage)
    }

    /// The number of the candidate, of the step that executes.
    pub fn number(self) -> u8 {
        self.stage
    }
}

/// What became of a step.
pub type Applied = Result<(), Stop>;

/// The answer of one call of a step.
pub fn at<T>(call: Call, answer: Result<T, i32>) -> Result<T, Stop> {
    answer.map_err(|errno| Stop::at(call, errno))
}

/// Bytes of a frame.
pub const SIZE: usize = 8;

const READY: u8 = 1;
const REFUSED_INIT: u8 = 2;
const REFUSED_PAYLOAD: u8 = 3;
const ENDED: u8 = 4;
const LOST: u8 = 5;
const KEYRING_SHARED: u8 = 6;
const JOINED: u8 = 7;
const USERS: u8 = 8;
const TERMINAL: u8 = 9;
const DEVICE: u8 = 10;
const STANDING: u8 = 11;
const TAKEN: u8 = 12;
const USED_CPU: u8 = 13;
const USED_MEMORY: u8 = 14;
const WAITING: u8 = 15;

impl Frame {
    /// The frame as bytes.
    pub fn encode(self) -> [u8; SIZE] {
        let (kind, stage, step, value) = match self {
            Frame::Ready { lists } => (READY, lists, 0, 0),
            Frame::Joined(pid) => (JOINED, 0, 0, pid),
            Frame::Users => (USERS, 0, 0, 0),
            Frame::Terminal => (TERMINAL, 0, 0, 0),
            Frame::Device => (DEVICE, 0, 0, 0),
            Frame::KeyringShared => (KEYRING_SHARED, 0, 0, 0),
            Frame::Standing => (STANDING, 0, 0, 0),
            Frame::Taken => (TAKEN, 0, 0, 0),
            Frame::UsedCpu(milliseconds) => (USED_CPU, 0, 0, milliseconds),
            Frame::UsedMemory(kib) => (USED_MEMORY, 0, 0, kib),
            Frame::Refused { payload, refusal } => {
                let Refusal { step, stop: Stop { stage, errno } } = refusal;
                (if payload { REFUSED_PAYLOAD } else { REFUSED_INIT }, stage, step, errno)
            }
            Frame::Ended(status) => (ENDED, 0, 0, status),
            Frame::Lost(status) => (LOST, 0, 0, status),
            Frame::Waiting => (WAITING, 0, 0, 0),
        };
        let [step_low, step_high] = step.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        [kind, stage, step_low, step_high, a, b, c, d]
    }

    /// The frame that these bytes are; `None` for anything that we do not send.
    pub fn decode(bytes: [u8; SIZE]) -> Option<Frame> {
        let [kind, stage, step_low, step_high, a, b, c, d] = bytes;
        let value = i32::from_le_bytes([a, b, c, d]);
        let stop = Stop { stage, errno: value };
        let refusal = Refusal { step: u16::from_le_bytes([step_low, step_high]), stop };
        match kind {
            READY => Some(Frame::Ready { lists: stage }),
            JOINED => Some(Frame::Joined(value)),
            USERS => Some(Frame::Users),
            TERMINAL => Some(Frame::Terminal),
            DEVICE => Some(Frame::Device),
            STANDING => Some(Frame::Standing),
            TAKEN => Some(Frame::Taken),
            USED_CPU => Some(Frame::UsedCpu(value)),
            USED_MEMORY => Some(Frame::UsedMemory(value)),
            KEYRING_SHARED => Some(Frame::KeyringShared),
            REFUSED_INIT => Some(Frame::Refused { payload: false, refusal }),
            REFUSED_PAYLOAD => Some(Frame::Refused { payload: true, refusal }),
            ENDED => Some(Frame::Ended(value)),
            LOST => Some(Frame::Lost(value)),
            WAITING => Some(Frame::Waiting),
            _ => None,
        }
    }
}

impl Refusal {
    /// As one word, for the memory that pid 1 and the payload share; never 0.
    pub fn pack(self) -> u64 {
        let Stop { stage, errno } = self.stop;
        1 << 63 | u64::from(stage) << 48 | u64::from(self.step) << 32 | u64::from(errno as u32)
    }

    /// The refusal in a word, if there is one.
    pub fn unpack(word: u64) -> Option<Refusal> {
        (word != 0).then_some(Refusal {
            step: (word >> 32) as u16,
            stop: Stop { stage: (word >> 48) as u8, errno: word as u32 as i32 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_wire() {
        let refusal = Refusal { step: 513, stop: Stop::at(Call::Mount, 13) };
        for frame in [
            Frame::Ready { lists: 3 },
            Frame::KeyringShared,
            Frame::Joined(70_000),
            Frame::Users,
            Frame::Terminal,
            Frame::Device,
            Frame::Standing,
            Frame::Taken,
            Frame::UsedCpu(i32::MAX),
            Frame::UsedMemory(1),
            Frame::Refused { payload: false, refusal },
            Frame::Refused { payload: true, refusal },
            Frame::Ended(0x7f),
            Frame::Lost(9),
            Frame::Waiting,
        ] {
            assert_eq!(Frame::decode(frame.encode()), Some(frame));
        }
    }

    #[test]
    fn an_errand_survives_the_wire_and_is_no_signal() {
        for errand in [Errand::Payload(4), Errand::TimeLeft(i32::MAX)] {
            let bytes = errand.encode();
            assert_eq!(Errand::decode(&bytes), Some(errand));
            assert!(bytes[0] > 64);
        }
        assert_eq!(Errand::decode(&[15]), None);
        assert_eq!(Errand::decode(&[15, 0, 0, 0, 4, 0, 0, 0]), None);
    }

    #[test]
    fn unknown_bytes_are_no_frame() {
        assert_eq!(Frame::decode([0; SIZE]), None);
        assert_eq!(Frame::decode([0xff; SIZE]), None);
    }

    #[test]
    fn a_refusal_survives_the_shared_word() {
        for refusal in
            [Refusal { step: 0, stop: Stop::at(Call::Only, 0) }, Refusal { step: 40, stop: Stop::candidate(255, 95) }]
        {
            assert_eq!(Refusal::unpack(refusal.pack()), Some(refusal));
        }
        assert_eq!(Refusal::unpack(0), None);
    }
}
