//! `git config --list -z --show-scope`.

use super::{nonsense, parts, text};
use crate::error::Error;
use crate::name::Name;
use serde::Serialize;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "GitSetting"))]
pub struct Setting {
    /// As git writes it: `user.name`.
    pub key: Name,
    /// Null where the key stands alone, which means yes.
    pub value: Option<Name>,
    /// Whose it is: `system`, `global`, `local` or `worktree`.
    pub scope: String,
}

/// Reads them; what a call of ours sets for itself is left out.
///
/// # Errors
///
/// It is nothing that git writes.
pub fn settings(bytes: &[u8]) -> Result<Vec<Setting>, Error> {
    let fields: Vec<&[u8]> = parts(bytes).collect();
    let setting = |fields: &[&[u8]]| {
        let [scope, entry] = fields else { return Err(nonsense("its settings")) };
        let (key, value) = match entry.iter().position(|byte| *byte == b'\n') {
            Some(at) => (&entry[..at], Some(Name(entry[at + 1..].to_vec()))),
            None => (*entry, None),
        };
        Ok(Setting { key: Name(key.to_vec()), value, scope: text(scope) })
    };
    let all: Result<Vec<Setting>, Error> = fields.chunks(2).map(setting).collect();
    Ok(all?.into_iter().filter(|setting| setting.scope != "command").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_a_scope_and_may_have_a_value_of_several_lines() {
        let read =
            settings(b"global\0user.name\nA B\0local\0x.flag\0local\0x.long\none\ntwo\0command\0color.ui\nfalse\0")
                .unwrap();
        let one = |scope: &str, key: &str, value: Option<&str>| Setting {
            key: key.into(),
            value: value.map(Name::from),
            scope: scope.to_owned(),
        };
        assert_eq!(
            read,
            [
                one("global", "user.name", Some("A B")),
                one("local", "x.flag", None),
                one("local", "x.long", Some("one\ntwo")),
            ]
        );
        assert!(settings(b"local\0").is_err() && settings(b"").unwrap().is_empty());
    }
}
