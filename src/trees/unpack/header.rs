//! The header of a member: one block of fields, read as strictly as their many writers allow.

use super::refusal::Refusal;
use tar::Header;

/// What everything in an archive is counted in.
pub const BLOCK: usize = 512;

/// The sum of all bytes, the sum's own taken as blanks; some old archivers took bytes for signed.
pub fn check(header: &Header, block: &[u8; BLOCK]) -> Result<(), Refusal> {
    let own = 148..156;
    let byte = |(at, byte): (usize, &u8)| if own.contains(&at) { b' ' } else { *byte };
    let unsigned: i64 = block.iter().enumerate().map(byte).map(i64::from).sum();
    let signed: i64 = block.iter().enumerate().map(byte).map(|byte| i64::from(byte as i8)).sum();
    let claimed = number(&header.as_old().cksum);
    if claimed != Some(unsigned) && claimed != Some(signed) {
        return Err(Refusal::new("the archive has a header with a wrong checksum: it is damaged, or no tar archive")
            .hint("a layer is a tar archive, plain or packed with gzip, zstd or xz"));
    }
    let magic = &block[257..265];
    if magic.starts_with(b"ustar") && magic != b"ustar\x0000" && magic != b"ustar  \0" {
        return Err(Refusal::new("has a header of a version that is not known here").about(&name_of(header)));
    }
    Ok(())
}

pub fn size_of(header: &Header) -> Result<u64, Refusal> {
    let size = number(&header.as_old().size).and_then(|size| u64::try_from(size).ok());
    size.ok_or_else(|| Refusal::new("has a size that is no number"))
}

/// The name in the header itself.
pub fn name_of(header: &Header) -> Vec<u8> {
    let name = cut(&header.as_old().name);
    match header.as_ustar().map(|ustar| cut(&ustar.prefix)) {
        Some(prefix) if !prefix.is_empty() => [&prefix[..], b"/", &name].concat(),
        _ => name,
    }
}

/// Up to the first NUL.
pub fn cut(field: &[u8]) -> Vec<u8> {
    field.iter().copied().take_while(|byte| *byte != 0).collect()
}

/// A long name of GNU tar, whose length counts a NUL at its end.
pub fn terminated(mut name: Vec<u8>) -> Vec<u8> {
    name.pop_if(|last| *last == 0);
    name
}

/// A number of a header: octal digits between blanks, or in binary where the first bit is set. Nothing is 0.
pub fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        // The bit that marks it aside, two's complement, the first byte first.
        let sign = if first & 0x40 != 0 { -1i128 } else { 0 };
        let top = sign << 6 | i128::from(first & 0x3f);
        let all = field[1..].iter().fold(top, |all, byte| all << 8 | i128::from(*byte));
        return i64::try_from(all).ok();
    }
    let text = field.trim_ascii_start();
    let digits = text.iter().take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    if text[digits..].iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return None;
    }
    let add = |sum: i64, digit: &u8| sum.checked_mul(8)?.checked_add(i64::from(digit - b'0'));
    text[..digits].iter().try_fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::escaped;

    #[test]
    fn numbers_are_octal_or_binary() {
        let table: [(&[u8], Option<i64>); 16] = [
            (b"0000644\0", Some(0o644)),
            (b"    644 ", Some(0o644)),
            (b"644\0\0\0\0\0", Some(0o644)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"+644    ", None),
            (b"-644    ", None),
            (b"0x644   ", None),
            (b"648     ", None),
            (b"64 4    ", None),
            (b"\x80\0\0\0\0\0\0\x01\0\0\0\0", Some(1 << 32)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
        ];
        for (field, expected) in table {
            assert_eq!(number(field), expected, "{}", escaped(field));
        }
    }
}
