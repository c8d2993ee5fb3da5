//! A reader that works ahead in a thread of its own, so that unpacking and writing overlap.
//!
//! Memory is bounded by the buffers that go round. An error of the source arrives where it happened, behind all bytes
//! that were read before it. The thread ends when the source does, when the pipe is dropped, and before the scope ends.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

/// Buffers that go round: some to be filled while others are emptied.
const BUFFERS: usize = 4;
const BUFFER: usize = 256 << 10;

/// The reading end. [`finish`](Pipe::finish) gives the source back.
pub struct Pipe<'scope, R> {
    filled: Receiver<io::Result<Piece>>,
    emptied: Sender<Piece>,
    current: Piece,
    at: usize,
    ended: bool,
    reader: ScopedJoinHandle<'scope, R>,
}

/// A buffer, and how much of it is filled.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
}

impl<'scope, R: Read + Send + 'scope> Pipe<'scope, R> {
    /// Begins to read `source`. EAGAIN where the caller has no processes left for a thread.
    pub fn new(scope: &'scope Scope<'scope, '_>, source: R) -> io::Result<Pipe<'scope, R>> {
        let (to_reader, emptied) = channel();
        let (to_us, filled) = sync_channel(BUFFERS);
        let piece = || Piece { buffer: vec![0; BUFFER].into_boxed_slice(), length: 0 };
        for _ in 1..BUFFERS {
            // The receiver stands in this function.
            let _ = to_reader.send(piece());
        }
        let work = move || pump(source, &emptied, &to_us);
        let reader = Builder::new().name("unpack".to_owned()).spawn_scoped(scope, work)?;
        Ok(Pipe { filled, emptied: to_reader, current: piece(), at: 0, ended: false, reader })
    }

    /// Ends the thread, and gives the source back as far as it was read: to its end, if this was.
    pub fn finish(self) -> R {
        let Pipe { filled, emptied, reader, .. } = self;
        drop((filled, emptied));
        // A panic of the thread is one of ours.
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Fills buffers until the source ends or nobody wants them any more.
fn pump<R: Read>(mut source: R, emptied: &Receiver<Piece>, filled: &SyncSender<io::Result<Piece>>) -> R {
    while let Ok(mut piece) = emptied.recv() {
        let end = fill(&mut source, &mut piece);
        let wanted = piece.length == 0 || filled.send(Ok(piece)).is_ok();
        if let End::Failed(error) = end {
            // Whoever dropped the pipe does not ask why it ends.
            let _ = filled.send(Err(error));
            break;
        }
        if !wanted || matches!(end, End::Reached) {
            break;
        }
    }
    source
}

/// Why a buffer is not filled further.
enum End {
    Full,
    Reached,
    Failed(io::Error),
}

fn fill<R: Read>(source: &mut R, piece: &mut Piece) -> End {
    piece.length = 0;
    while piece.length < piece.buffer.len() {
        match source.read(&mut piece.buffer[piece.length..]) {
            Ok(0) => return End::Reached,
            Ok(count) => piece.length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return End::Failed(error),
        }
    }
    End::Full
}

impl<R> Read for Pipe<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.length && !self.ended {
            match self.filled.recv() {
                Ok(Ok(next)) => {
                    let used = std::mem::replace(&mut self.current, next);
                    self.at = 0;
                    // The thread may have ended: then it needs no buffer.
                    let _ = self.emptied.send(used);
                }
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => self.ended = true,
            }
        }
        let waiting = &self.current.buffer[self.at..self.current.length];
        let count = waiting.len().min(out.len());
        out[..count].copy_from_slice(&waiting[..count]);
        self.at += count;
        Ok(count)
    }
}
