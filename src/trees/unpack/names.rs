//! Names of entries: what they may be, and what they ask for.
//!
//! A name that has passed here has no `..`, does not begin at the root, and fits the kernel. It may still lead through a
//! symbolic link of the same archive: that is for the kernel to refuse, which sees what is really there.

/// The longest name of a single file.
const LONGEST_COMPONENT: usize = 255;
/// The longest path that a system call takes, without its NUL.
pub const LONGEST_PATH: usize = 4095;

/// What marks an entry that hides something of lower layers.
const WHITEOUT: &[u8] = b".wh.";
/// What aufs keeps for itself.
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry's name asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// A file of that name.
    Itself,
    /// This path of lower layers is not to be seen.
    Hides(Vec<u8>),
    /// Nothing that lower layers have in this directory is to be seen.
    HidesAllIn(Vec<u8>),
    /// Book-keeping of aufs, which means nothing here.
    Bookkeeping,
}

/// The name relative to the root of the layer, without `.` and doubled slashes; empty for the root itself.
pub fn normalised(name: &[u8], longest: usize) -> Result<Vec<u8>, String> {
    if name.is_empty() {
        return Err("has no name".to_owned());
    }
    if name.contains(&0) {
        return Err("has a NUL in its name".to_owned());
    }
    // Slashes alone are the root (umoci 0.4 has it so).
    if name.starts_with(b"/") && name.iter().any(|byte| *byte != b'/') {
        return Err("begins at the root of the file system".to_owned());
    }
    let mut path = Vec::with_capacity(name.len());
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err("leads upwards with `..`".to_owned()),
            _ if component.len() > LONGEST_COMPONENT => {
                return Err(format!("has a name of more than {LONGEST_COMPONENT} bytes"));
            }
            _ => {}
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    let longest = longest.min(LONGEST_PATH);
    if path.len() > longest {
        return Err(format!("has a path of more than {longest} bytes"));
    }
    Ok(path)
}

/// The directory of a normalised path, and the name in it. The root's name is empty.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// What a normalised path asks for.
pub fn role(path: &[u8]) -> Result<Role, String> {
    let (directory, name) = split(path);
    if name == OPAQUE && !directory.split(|byte| *byte == b'/').any(|component| component.starts_with(WHITEOUT)) {
        return Ok(Role::HidesAllIn(directory.to_vec()));
    }
    if path.split(|byte| *byte == b'/').any(|component| component.starts_with(META)) {
        return Ok(Role::Bookkeeping);
    }
    if directory.split(|byte| *byte == b'/').any(|component| component.starts_with(WHITEOUT)) {
        return Err("lies below a whiteout".to_owned());
    }
    match name.strip_prefix(WHITEOUT) {
        None => Ok(Role::Itself),
        Some(b"" | b"." | b"..") => Err("is a whiteout of nothing".to_owned()),
        Some(hidden) if directory.is_empty() => Ok(Role::Hides(hidden.to_vec())),
        Some(hidden) => Ok(Role::Hides([directory, b"/", hidden].concat())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: impl AsRef<[u8]>) -> Result<Vec<u8>, String> {
        normalised(name.as_ref(), LONGEST_PATH)
    }

    #[test]
    fn one_file_has_one_name() {
        for same in ["a/b", "./a/b", "a//b", "a/./b", "./././/a///b/", "a/b/."] {
            assert_eq!(name(same), Ok(b"a/b".to_vec()), "{same}");
        }
        for root in [".", "./", "././/", "/", "//"] {
            assert_eq!(name(root), Ok(Vec::new()), "{root}");
        }
        for odd in ["...", "..a", "a..", "-rf", "a\nb", " "] {
            assert_eq!(name(odd), Ok(odd.as_bytes().to_vec()));
        }
        assert_eq!(name(b"\xff\xfe"), Ok(b"\xff\xfe".to_vec()));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for up in ["..", "../a", "a/..", "a/../b", "./..", "a/b/../../../c", "..//"] {
            assert_eq!(name(up), Err("leads upwards with `..`".to_owned()), "{up}");
        }
        for root in ["/.", "/a", "//a", "/../a"] {
            assert_eq!(name(root), Err("begins at the root of the file system".to_owned()), "{root}");
        }
        assert_eq!(name(""), Err("has no name".to_owned()));
        assert_eq!(name("a\0b"), Err("has a NUL in its name".to_owned()));
    }

    #[test]
    fn a_name_is_as_long_as_the_kernel_takes_and_no_longer() {
        assert!(name([b'a'; 255]).is_ok());
        assert_eq!(name([b'a'; 256]), Err("has a name of more than 255 bytes".to_owned()));
        let long = [[b'a'; 254].as_slice(), b"/"].concat().repeat(17);
        assert!(name(&long[..4095]).is_ok());
        assert_eq!(name(&long[..4096 + 1]), Err("has a path of more than 4095 bytes".to_owned()));
        assert_eq!(normalised(b"abc/def", 6), Err("has a path of more than 6 bytes".to_owned()));
    }

    #[test]
    fn whiteouts_are_told_by_their_names() {
        let hides = |path: &str| Ok(Role::Hides(path.as_bytes().to_vec()));
        let all = |path: &str| Ok(Role::HidesAllIn(path.as_bytes().to_vec()));
        let table = [
            ("a/b", Ok(Role::Itself)),
            ("a.wh.b", Ok(Role::Itself)),
            (".wh", Ok(Role::Itself)),
            (".wh.a", hides("a")),
            ("a/b/.wh.c", hides("a/b/c")),
            (".wh..hidden", hides(".hidden")),
            (".wh....", hides("...")),
            (".wh..wh..opq", all("")),
            ("a/b/.wh..wh..opq", all("a/b")),
            (".wh..wh.aufs", Ok(Role::Bookkeeping)),
            (".wh..wh.plnk/12.34", Ok(Role::Bookkeeping)),
            (".wh..wh.orph/.wh..wh..opq", Ok(Role::Bookkeeping)),
            (".wh.", Err("is a whiteout of nothing".to_owned())),
            (".wh..", Err("is a whiteout of nothing".to_owned())),
            ("a/.wh...", Err("is a whiteout of nothing".to_owned())),
            (".wh.a/b", Err("lies below a whiteout".to_owned())),
            (".wh.a/.wh.b", Err("lies below a whiteout".to_owned())),
        ];
        for (path, role_of_it) in table {
            assert_eq!(role(path.as_bytes()), role_of_it, "{path}");
        }
    }

    #[test]
    fn a_path_is_split_at_its_last_slash() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(split(b""), (&b""[..], &b""[..]));
    }
}
