//! A command that comes when its sandbox is there already, and what it lies in until it is executed.
//!
//! pid 1 is a copy of its supervisor, and begins with the same memory. So the supervisor sets a piece of it aside before it clones
//! ([`room`]), writes down later what belongs there, with the addresses that this has in pid 1, and sends it; pid 1 reads it to that place
//! ([`await_command`]), where the payload's process, which shares its memory, finds the arrays that execve(2) takes ([`execute`]). Nobody but the two
//! has an end of the socket. pid 1 says when it waits (`Waiting`), and that it has the command (`Taken`); nothing of that is executed before the
//! supervisor has heard so and says the last word ([`go_on`]). So whoever has not said it has begun nothing, however late the other is.
//!
//! ```text
//! milliseconds until pid 1 ends the command, 0: never | where `argv` is | where `envp` is | where the candidates are
//! the addresses of `argv`, a null | those of `envp`, a null | all strings, each with its NUL, the candidates last
//! ```

use super::child::{Context, Walk};
use super::report::{Applied, Frame, Stop, at};
use super::{init, payload};
use crate::step::{Call, Command};
use crate::sys::child;
use core::cell::RefCell;
use core::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Bytes of the longest command that is sent: a socket takes it at once.
const LONGEST: usize = 96 << 10;
/// Bytes of an address, or of a number.
const WORD: usize = size_of::<usize>();
/// Words before the arrays.
const HEAD: usize = 4;

/// Where a command is read to, and lies.
pub type Room = RefCell<Vec<u8>>;

/// Where a room is, in both processes.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

/// Sets memory aside, which takes none as long as nobody writes to it; and where that is.
pub fn room() -> (Room, Place) {
    let room = vec![0; LONGEST];
    let place = Place(room.as_ptr().addr());
    (RefCell::new(room), place)
}

impl Place {
    /// Sends the command to the pid 1 at the other end of `control`, which was cloned with this place set aside.
    ///
    /// # Errors
    ///
    /// `E2BIG`: it is longer than what was set aside. Others: pid 1 does not hear any more.
    pub fn send(self, control: BorrowedFd<'_>, command: &Command, time_left: Option<Duration>) -> Result<(), i32> {
        let bytes = write_down(command, time_left, self.0).ok_or(libc::E2BIG)?;
        let sent = nix::unistd::write(control, &bytes).map_err(|errno| errno as i32)?;
        if sent == bytes.len() { Ok(()) } else { Err(libc::EMSGSIZE) }
    }
}

/// Says the last word.
///
/// # Errors
///
/// pid 1 does not hear any more, and nothing has begun.
pub fn go_on(control: BorrowedFd<'_>) -> Result<(), i32> {
    nix::unistd::write(control, &[0]).map(drop).map_err(|errno| errno as i32)
}

/// The bytes of a command that will lie at `base`; nothing where they are too many.
fn write_down(command: &Command, time_left: Option<Duration>, base: usize) -> Option<Vec<u8>> {
    let lists = [&command.arguments, &command.environment];
    let arrays: usize = lists.iter().map(|list| list.len() + 1).sum();
    let (mut array, mut string) = (HEAD * WORD, (HEAD + arrays) * WORD);
    // What has no time left at all ends all the same.
    let milliseconds = time_left.map_or(0, |left| left.as_millis().max(1));
    let mut words = vec![usize::try_from(milliseconds).unwrap_or(usize::MAX)];
    let (mut addresses, mut strings) = (Vec::with_capacity(arrays), Vec::new());
    for list in lists {
        words.push(array);
        array += (list.len() + 1) * WORD;
        for text in list {
            addresses.push(base + string);
            strings.extend_from_slice(text.to_bytes_with_nul());
            string += text.to_bytes_with_nul().len();
        }
        addresses.push(0);
    }
    words.push(string);
    command.candidates.iter().for_each(|path| strings.extend_from_slice(path.to_bytes_with_nul()));
    let numbers = words.iter().chain(&addresses).flat_map(|word| word.to_ne_bytes());
    let all: Vec<u8> = numbers.chain(strings).collect();
    // An empty string ends the candidates: behind them the room is as it was.
    (all.len() < LONGEST).then_some(all)
}

/// A word of the head.
fn word(room: &[u8], index: usize) -> usize {
    room.as_chunks::<WORD>().0.get(index).map_or(0, |word| usize::from_ne_bytes(*word))
}

/// Of pid 1, before it lets the payload go on: where the command is not known yet, says that it waits, reads it to its place, says so, and
/// waits for the last word. Where that will not come, that is the end.
pub fn await_command(context: &Context<'_>, walk: &mut Walk) -> Applied {
    let Some(room) = context.given else { return Ok(()) };
    init::send(context, Frame::Waiting);
    let mut room = room.borrow_mut();
    if hear(context, walk, &mut room)? < HEAD * WORD {
        child::exit(0);
    }
    let milliseconds = word(&room, 0);
    if milliseconds > 0 {
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        walk.time_left = Some(libc::timespec { tv_sec: seconds as i64, tv_nsec: rest as i64 * 1_000_000 });
    }
    init::send(context, Frame::Taken);
    match hear(context, walk, &mut [0])? {
        0 => child::exit(0),
        _ => Ok(()),
    }
}

/// The next message of the supervisor; how long it is.
fn hear(context: &Context<'_>, walk: &Walk, message: &mut [u8]) -> Result<usize, Stop> {
    let watched = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut list = [walk.payload_pidfd, context.control].map(watched);
    loop {
        match child::poll(&mut list, None) {
            // Of the payload's end nobody else would hear.
            Ok(_) if list[0].revents != 0 => return Err(Stop::at(Call::Wait, libc::ESRCH)),
            Ok(_) => {}
            Err(libc::EINTR) => continue,
            Err(errno) => return Err(Stop::at(Call::Wait, errno)),
        }
        match child::read(context.control, message) {
            Err(libc::EINTR) => {}
            heard => return at(Call::Only, heard),
        }
    }
}

/// Step `Execute` of the payload, where pid 1 has heard the command.
pub fn execute(room: &Room, context: &Context<'_>) -> Applied {
    let room = room.borrow();
    let array = |index| room.as_ptr().wrapping_add(word(&room, index)).cast();
    let mut rest = room.get(word(&room, 3)..).unwrap_or_default();
    let candidates = core::iter::from_fn(|| {
        let path = CStr::from_bytes_until_nul(rest).ok().filter(|path| !path.is_empty())?;
        rest = rest.get(path.count_bytes() + 1..).unwrap_or_default();
        Some(path)
    });
    payload::execute_first(candidates, context, (array(1), array(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn a_command_is_written_down_with_the_addresses_that_it_will_have() {
        let text = |text: &str| CString::new(text).unwrap();
        let command = Command {
            candidates: vec![text("/bin/a"), text("/usr/bin/a")],
            arguments: vec![text("a"), text("")],
            environment: vec![text("B=c")],
        };
        let base = 0x10_0000;
        let bytes = write_down(&command, Some(Duration::from_millis(1500)), base).unwrap();
        let string = |at: usize| CStr::from_bytes_until_nul(&bytes[at..]).unwrap().to_owned();
        let list = |head: usize| {
            let addresses = (word(&bytes, head) / WORD..).map(|index| word(&bytes, index));
            addresses.take_while(|address| *address != 0).map(|address| string(address - base)).collect::<Vec<_>>()
        };
        assert_eq!(word(&bytes, 0), 1500);
        assert_eq!((list(1), list(2)), (command.arguments, command.environment));
        assert_eq!(&bytes[word(&bytes, 3)..], b"/bin/a\0/usr/bin/a\0");
    }

    #[test]
    fn what_is_longer_than_the_room_is_not_written_down() {
        let long = CString::new("x".repeat(LONGEST)).unwrap();
        let command = Command { candidates: vec![], arguments: vec![long], environment: vec![] };
        assert_eq!(write_down(&command, None, 0), None);
    }

    #[test]
    fn a_deadline_that_has_passed_ends_the_command_all_the_same() {
        let nothing = Command { candidates: vec![], arguments: vec![], environment: vec![] };
        assert_eq!(word(&write_down(&nothing, Some(Duration::ZERO), 0).unwrap(), 0), 1);
        assert_eq!(word(&write_down(&nothing, None, 0).unwrap(), 0), 0);
    }
}
