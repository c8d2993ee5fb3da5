//! What the values of a recipe may be. Each answers with the value, or with what is wrong and the cure.

use super::Variant;
use super::read::Read;
use std::path::{Component, Path, PathBuf};

fn wrong<T>(message: impl Into<String>, hint: &'static str) -> Read<T> {
    Err((message.into(), Some(hint)))
}

/// A value as messages show it: on one line, and not endless.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    format!("`{}{}`", short.escape_debug(), if short.len() < text.len() { "…" } else { "" })
}

/// A name for an image: what the OCI distribution specification takes for one component of a repository's name.
pub fn name(text: &str) -> Read<String> {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: u8| outer(byte) || matches!(byte, b'.' | b'_' | b'-');
    let ends = text.bytes().next().is_some_and(outer) && text.bytes().last().is_some_and(outer);
    if ends && text.len() <= 128 && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{} is no name for an image", shown(text)),
        "small letters and digits, with `.`, `_` and `-` between them, as in `name = \"my-python\"`",
    )
}

/// Something to read on one line.
pub fn line(text: &str) -> Read<String> {
    match text.trim() {
        "" => wrong("is empty", "say it in a line, or leave it out"),
        line if line.chars().any(char::is_control) => wrong("is not on one line", "say it in one line"),
        line => Ok(line.to_owned()),
    }
}

/// Letters, digits and some marks; never a word that a program would take for an option.
fn is_word(text: &str, marks: &str) -> bool {
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || marks.contains(letter))
}

pub fn suite(text: &str) -> Read<String> {
    if is_word(text, ".-") {
        return Ok(text.to_owned());
    }
    wrong(format!("{} is no code name", shown(text)), "the code name of a release, as in `suite = \"trixie\"`")
}

pub fn component(text: &str) -> Read<String> {
    if is_word(text, ".-/") {
        return Ok(text.to_owned());
    }
    wrong(format!("{} is no part of an archive", shown(text)), "as in `components = [\"main\", \"contrib\"]`")
}

pub fn variant(text: &str) -> Read<Variant> {
    Variant::ALL.into_iter().find(|variant| variant.name() == text).map_or_else(
        || wrong(format!("no variant {}", shown(text)), "the variants are extract, essential, apt, minbase and buildd"),
        Ok,
    )
}

pub fn mirror(text: &str) -> Read<String> {
    let known = ["http://", "https://", "file:/", "copy:/"].iter().any(|scheme| text.starts_with(scheme));
    if known && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"[]\"#".contains(&byte)) {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    wrong(
        format!("{} is no address of an archive", shown(text)),
        "an address as apt has it, as in `mirror = \"http://deb.debian.org/debian\"`",
    )
}

pub fn keyring(text: &str) -> Read<PathBuf> {
    if text.starts_with('/') && normal(Path::new(text)) { Ok(text.into()) } else { source(text) }
}

/// A name as Debian policy 5.6.1 has it, with what apt-get(8) takes after it.
pub fn package(text: &str) -> Read<String> {
    let name = &text[..text.find([':', '=', '/']).unwrap_or(text.len())];
    let marked = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if name.len() >= 2
        && is_word(name, "+-.")
        && name.bytes().all(marked)
        && is_word(text, "+-.:=~/")
        && !name.ends_with('-')
    {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{} is not a valid package name", shown(text)),
        "as in `packages = [\"git\"]`; a version is pinned as in `git=1:2.47.3-0+deb13u1`",
    )
}

pub fn pattern(text: &str) -> Read<String> {
    if text.starts_with('/') && text.len() > 1 && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{} is no pattern of a path", shown(text)),
        "begin at the root; `*` stands for anything, `/` too, as in `/usr/share/man/*`",
    )
}

/// `components` drops `.`, repeated slashes and a final one; what is compared must be what the kernel gets.
fn normal(path: &Path) -> bool {
    !path.components().any(|part| part == Component::ParentDir)
        && path.components().collect::<PathBuf>().as_os_str() == path.as_os_str()
}

pub fn absolute(text: &str) -> Read<PathBuf> {
    let path = Path::new(text);
    if path.is_absolute() && normal(path) && !text.chars().any(char::is_control) {
        return Ok(path.into());
    }
    wrong(
        format!("{} is no path in the image", shown(text)),
        "absolute and in its shortest form: no `.`, no `..`, no `//`, no slash at the end",
    )
}

pub fn file_path(text: &str) -> Read<PathBuf> {
    let path = absolute(text)?;
    if path.parent().is_none() {
        return wrong("`/` is no file", "name a file below it, as in `/etc/motd`");
    }
    match ["/proc", "/dev", "/sys"].iter().find(|top| path.starts_with(top)) {
        Some(top) => {
            wrong(format!("{} lies in `{top}`, which belongs to the sandbox", shown(text)), "put it elsewhere")
        }
        None => Ok(path),
    }
}

pub fn mode(text: &str) -> Read<u32> {
    let digits = text.len() <= 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        _ => wrong(format!("{} is no file mode", shown(text)), "octal digits up to 0777, as in `mode = \"0755\"`"),
    }
}

pub fn source(text: &str) -> Read<PathBuf> {
    let path = Path::new(text);
    if path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return wrong(
            format!("{} leads out of the recipe's directory", shown(text)),
            "keep the file beside the recipe, and name it from there",
        );
    }
    if text.is_empty() || !normal(path) || text.contains('\0') {
        return wrong(format!("{} is not a valid file name", shown(text)), "name a file beside the recipe");
    }
    Ok(path.into())
}

pub fn command(text: &str) -> Read<String> {
    match text.trim() {
        "" => wrong("is empty", "a command for the shell, or nothing"),
        _ if text.contains('\0') => wrong("has a NUL byte in it", "leave it out"),
        command => Ok(command.to_owned()),
    }
}

pub fn word(text: &str) -> Read<String> {
    if text.contains('\0') { wrong("has a NUL byte in it", "leave it out") } else { Ok(text.to_owned()) }
}

pub fn variable(name: &str, value: &str) -> Read<()> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return wrong(
            format!("{} is no variable", shown(name)),
            "a name without `=`, as in `env = { PAGER = \"cat\" }`",
        );
    }
    Ok(())
}

pub fn label(name: &str, value: &str) -> Read<()> {
    if name.is_empty() || name.contains('\0') || value.contains('\0') {
        return wrong(format!("{} is not a valid label name", shown(name)), "give it a name");
    }
    Ok(())
}

pub fn user(text: &str) -> Read<String> {
    let (user, group) = text.split_once(':').unwrap_or((text, "0"));
    if is_word(user, "._-") && is_word(group, "._-") {
        return Ok(text.to_owned());
    }
    wrong(format!("{} is no user", shown(text)), "a name or a number, with or without `:GROUP`")
}
