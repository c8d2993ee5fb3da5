//! Archives made by hand: what no archiver would write is the point.

use tar::Header;

/// When everything was changed.
pub const TIME: u64 = 1_600_000_000;

#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    pub fn new() -> Tar {
        Tar::default()
    }

    /// A member with a header as `tweak` leaves it.
    pub fn member(mut self, kind: u8, name: &[u8], content: &[u8], tweak: impl FnOnce(&mut Header)) -> Tar {
        if name.len() > 100 {
            self = self.raw(b'L', b"././@LongLink", &[name, b"\0"].concat(), |_| ());
        }
        self.raw(kind, &name[..name.len().min(100)], content, tweak)
    }

    fn raw(mut self, kind: u8, name: &[u8], content: &[u8], tweak: impl FnOnce(&mut Header)) -> Tar {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(12_345);
        header.set_gid(12_345);
        header.set_mtime(TIME);
        header.set_size(content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkflag = [kind];
        tweak(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.content(content)
    }

    /// Content, and the zeros behind it.
    pub fn content(mut self, content: &[u8]) -> Tar {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Tar {
        self.member(b'0', name.as_ref(), content.as_ref(), |_| ())
    }

    pub fn file_of_mode(self, name: &str, mode: u32) -> Tar {
        self.member(b'0', name.as_bytes(), b"", |header| header.set_mode(mode))
    }

    pub fn directory(self, name: impl AsRef<[u8]>, mode: u32) -> Tar {
        self.member(b'5', name.as_ref(), b"", |header| header.set_mode(mode))
    }

    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Tar {
        self.linked(b'2', name.as_ref(), target.as_ref())
    }

    pub fn link(self, name: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> Tar {
        self.linked(b'1', name.as_ref(), other.as_ref())
    }

    fn linked(mut self, kind: u8, name: &[u8], target: &[u8]) -> Tar {
        if target.len() > 100 {
            self = self.raw(b'K', b"././@LongLink", &[target, b"\0"].concat(), |_| ());
        }
        let short = &target[..target.len().min(100)];
        self.member(kind, name, b"", |header| header.as_old_mut().linkname[..short.len()].copy_from_slice(short))
    }

    /// An extended header for the next member.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        self.extended(b'x', records)
    }

    pub fn extended(self, kind: u8, records: &[(&str, &[u8])]) -> Tar {
        let content: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.raw(kind, b"PaxHeaders/x", &content, |_| ())
    }

    /// With the mark of its end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A record, whose length counts itself.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let length = (1..8).map(|digits| body + digits).find(|all| all.to_string().len() + body == *all);
    let length = length.expect("a length that counts itself").to_string();
    [length.as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}
