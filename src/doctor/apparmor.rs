//! An AppArmor profile that grants belljar its user namespace and nothing else, in the form that Ubuntu 24.04 uses.

use std::path::Path;

/// The profile for the program at `path`, with how to load it.
///
/// # Errors
///
/// A path that AppArmor cannot name: not UTF-8, or with a control character or a quotation mark.
pub fn profile(path: &Path) -> Result<String, String> {
    let refused = || format!("`{}` cannot be named in an AppArmor profile: choose another place", path.display());
    let text = path.to_str().ok_or_else(refused)?;
    if text.chars().any(|letter| letter.is_control() || letter == '"') {
        return Err(refused());
    }
    let name = attachment(text);
    Ok(format!(
        "# Lets belljar create user namespaces where AppArmor restricts them (Ubuntu 23.10 and newer). It confines nothing.
#
# Load it, as root:
#   belljar doctor --apparmor-profile > /etc/apparmor.d/belljar
#   apparmor_parser -r /etc/apparmor.d/belljar
# Remove it:
#   apparmor_parser -R /etc/apparmor.d/belljar && rm /etc/apparmor.d/belljar
#
# It goes by the path below, so whoever can write that file can use what it grants: install belljar where only root
# writes, as in /usr/local/bin, before you load this.
abi <abi/4.0>,
include <tunables/global>

profile belljar {name} flags=(unconfined) {{
  userns,

  # Site-specific additions and overrides. See local/README for details.
  include if exists <local/belljar>
}}
"
    ))
}

/// A path as AppArmor takes it: what would be a pattern or a variable is escaped, blanks ask for quotation marks
/// (apparmor.d(5)).
fn attachment(path: &str) -> String {
    let mut name = String::new();
    for letter in path.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '{' | '}' | '^' | '@' | '\\') {
            name.push('\\');
        }
        name.push(letter);
    }
    let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-+".contains(letter));
    if plain { name } else { format!("\"{name}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_for_the_path_that_it_is_asked_for() {
        let text = profile(Path::new("/usr/local/bin/belljar")).unwrap();
        let rules: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let expected = [
            "abi <abi/4.0>,",
            "include <tunables/global>",
            "",
            "profile belljar /usr/local/bin/belljar flags=(unconfined) {",
            "  userns,",
            "",
            "  include if exists <local/belljar>",
            "}",
        ];
        assert_eq!(rules, expected);
    }

    #[test]
    fn a_path_is_never_a_pattern() {
        assert_eq!(attachment("/opt/my tools/b[1]*"), "\"/opt/my tools/b\\[1\\]\\*\"");
        assert_eq!(attachment("/opt/@{HOME}/b"), "\"/opt/\\@\\{HOME\\}/b\"");
        assert!(profile(Path::new("/opt/a\nb")).is_err() && profile(Path::new("/opt/a\"b")).is_err());
    }
}
