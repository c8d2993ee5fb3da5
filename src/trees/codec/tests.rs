//! Streams of every kind, whole and broken. What packs them here is never what unpacks them in the field, so all are
//! made by the libraries and compared with what went in.

use super::*;
use std::io::{Cursor, Write as _};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).expect("pack");
    encoder.finish().expect("pack")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = Compressor::new(Vec::new(), Effort::Usual).expect("an encoder");
    encoder.write_all(bytes).expect("pack");
    encoder.finish().expect("pack")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).expect("pack");
    encoder.finish().expect("pack")
}

type Pack = fn(&[u8]) -> Vec<u8>;
const ALL: [(Format, Pack); 3] = [(Format::Gzip, gzip), (Format::Zstd, zstd), (Format::Xz, xz)];

/// A source that gives `0` bytes at once at the most.
struct Sips(Cursor<Vec<u8>>, usize);

impl Read for Sips {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(self.1);
        self.0.read(&mut out[..count])
    }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    let all = Decoder::new(packed).and_then(|mut decoder| decoder.read_to_end(&mut whole));
    let whole = all.map(|_| whole).map_err(|error| error.to_string());
    for sip in [1, 7, 4096] {
        let mut sipped = Vec::new();
        let source = Sips(Cursor::new(packed.to_vec()), sip);
        let all = Decoder::new(source).and_then(|mut decoder| decoder.read_to_end(&mut sipped));
        assert_eq!(all.map(|_| sipped).map_err(|error| error.to_string()), whole, "in sips of {sip}");
    }
    whole
}

/// Bytes that do not pack to nothing, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state & 0x4000_0000 == 0 { 0 } else { (state >> 24) as u8 }
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn every_format_is_found_out_and_unpacked() {
    for length in [0, 1, 511, 70_000] {
        let bytes = noise(length);
        for (format, pack) in ALL {
            let packed = pack(&bytes);
            assert_eq!(Decoder::new(&packed[..]).expect("known").format(), format);
            assert_eq!(unpacked(&packed).as_ref(), Ok(&bytes), "{format}, {length} bytes");
        }
        assert_eq!(unpacked(&bytes).as_ref(), Ok(&bytes), "plain, {length} bytes");
    }
}

#[test]
fn streams_one_after_the_other_are_one() {
    for (format, pack) in ALL {
        let packed = [pack(b"one, "), pack(b""), pack(b"two")].concat();
        assert_eq!(unpacked(&packed), Ok(b"one, two".to_vec()), "{format}");
    }
}

#[test]
fn zstd_frames_that_are_to_be_skipped_are() {
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let packed = [skipped.clone(), zstd(b"one"), skipped.clone(), zstd(b"two"), skipped].concat();
    assert_eq!(unpacked(&packed), Ok(b"onetwo".to_vec()));
}

#[test]
fn zeros_may_follow_and_nothing_else() {
    for (format, pack) in ALL {
        let mut packed = pack(b"content");
        packed.extend([0; 1000]);
        assert_eq!(unpacked(&packed), Ok(b"content".to_vec()), "{format}");
        packed.push(1);
        assert_eq!(unpacked(&packed), Err(format!("something stands behind the end of the {format} stream")));
        let other = [pack(b"content"), b"PK".to_vec()].concat();
        assert_eq!(unpacked(&other), Err(format!("something stands behind the end of the {format} stream")));
    }
    let mixed = [gzip(b"one"), zstd(b"two")].concat();
    assert_eq!(unpacked(&mixed), Err("something stands behind the end of the gzip stream".to_owned()));
}

#[test]
fn only_xz_goes_on_behind_zeros() {
    for (format, pack) in ALL {
        let packed = [pack(b"one"), vec![0; 8], pack(b"two")].concat();
        let expected = match format {
            Format::Xz => Ok(b"onetwo".to_vec()),
            _ => Err(format!("something stands behind the end of the {format} stream")),
        };
        assert_eq!(unpacked(&packed), expected);
    }
}

#[test]
fn a_stream_that_is_cut_off_anywhere_is_an_error() {
    for (format, pack) in ALL {
        let packed = pack(&noise(300));
        for length in MAGIC..packed.len() {
            let error = unpacked(&packed[..length]).expect_err("not whole");
            assert_eq!(error, format!("the {format} stream is cut off"), "at {length} of {}", packed.len());
        }
    }
}

#[test]
fn a_stream_with_a_changed_byte_is_an_error() {
    for (format, pack) in ALL {
        let bytes = noise(300);
        let packed = pack(&bytes);
        for at in MAGIC..packed.len() {
            let mut broken = packed.clone();
            broken[at] ^= 0x55;
            // Some bytes of a header say nothing of the content: when it was packed, and where.
            let result = unpacked(&broken);
            assert!(result.is_err() || result.as_ref() == Ok(&bytes), "{format}, byte {at}: {result:?}");
        }
    }
}

#[test]
fn a_window_that_would_take_much_memory_is_refused() {
    let with_window = |power: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(power).expect("a window");
        // More than the encoder holds back, so that it cannot know the size and choose a smaller window.
        encoder.write_all(&noise(3 << 20)).expect("pack");
        encoder.finish().expect("pack")
    };
    assert!(unpacked_once(&with_window(27)).is_ok());
    let error = unpacked_once(&with_window(28)).expect_err("too large");
    assert_eq!(error, "the zstd stream needs a window larger than 128 MiB");
    let behind = [zstd(b"first"), with_window(28)].concat();
    assert_eq!(unpacked_once(&behind), Err("the zstd stream needs a window larger than 128 MiB".to_owned()));
}

#[test]
fn an_xz_dictionary_that_would_take_much_memory_is_refused() {
    // Only the header tells of the dictionary: the packed bytes are those of a small one.
    let mut packed = xz(b"content");
    let header = 12;
    // Block header: size, flags, filter id, size of properties, dictionary size.
    assert_eq!(packed[header + 2..header + 4], [0x21, 1]);
    packed[header + 4] = 38;
    let length = (usize::from(packed[header]) + 1) * 4;
    let sum = crc32(&packed[header..header + length - 4]);
    packed[header + length - 4..header + length].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(unpacked_once(&packed), Err("the xz stream needs more than 256 MiB of memory".to_owned()));
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

fn unpacked_once(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    let all = Decoder::new(packed).and_then(|mut decoder| decoder.read_to_end(&mut whole));
    all.map(|_| whole).map_err(|error| error.to_string())
}

#[test]
fn what_is_packed_does_not_depend_on_the_number_of_workers_or_on_the_pieces() {
    let bytes = noise(10 << 20);
    let packed = |workers: u32, piece: usize| {
        let mut encoder = Compressor::with_workers(Vec::new(), Effort::Usual, workers).expect("an encoder");
        for part in bytes.chunks(piece) {
            encoder.write_all(part).expect("pack");
            encoder.flush().expect("flush");
        }
        encoder.finish().expect("pack")
    };
    let first = packed(1, bytes.len());
    for (workers, piece) in [(0, 4096), (2, 1 << 20), (5, 12_345), (8, bytes.len())] {
        assert!(packed(workers, piece) == first, "{workers} workers, pieces of {piece}");
    }
    assert!(unpacked_once(&first).as_ref() == Ok(&bytes));
}

#[test]
fn a_pipe_gives_what_its_source_gives_and_the_source_back() {
    let bytes = noise(3 << 20);
    std::thread::scope(|scope| {
        let source = Sips(Cursor::new(bytes.clone()), 1000);
        let mut pipe = Pipe::new(scope, source).expect("a thread");
        let mut read = Vec::new();
        pipe.read_to_end(&mut read).expect("read");
        assert!(read == bytes);
        assert_eq!(pipe.finish().0.position(), bytes.len() as u64);
    });
}

#[test]
fn an_error_of_the_source_comes_behind_the_bytes_before_it() {
    struct Fails(usize);
    impl Read for Fails {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.0.min(out.len());
            self.0 -= count;
            if count == 0 { Err(io::Error::other("no more")) } else { Ok(count) }
        }
    }
    std::thread::scope(|scope| {
        let mut pipe = Pipe::new(scope, Fails(300_000)).expect("a thread");
        let mut read = Vec::new();
        assert_eq!(pipe.read_to_end(&mut read).expect_err("it fails").to_string(), "no more");
        assert_eq!(read.len(), 300_000);
        assert_eq!(pipe.read(&mut [0; 8]).expect("nothing more"), 0);
    });
}

#[test]
fn a_pipe_that_is_dropped_ends_its_thread() {
    std::thread::scope(|scope| {
        let mut pipe = Pipe::new(scope, io::repeat(7)).expect("a thread");
        pipe.read_exact(&mut [0; 10]).expect("read");
        drop(pipe);
        let pipe = Pipe::new(scope, io::repeat(7)).expect("a thread");
        pipe.finish();
    });
}
