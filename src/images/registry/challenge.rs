//! What a registry wants to see before it answers: the `WWW-Authenticate` header (RFC 9110, 11.6.1).
//!
//! The header comes from whoever answers. What does not read as a challenge is passed over, never an error: whoever
//! asks for nothing that we know gets nothing.

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// In small letters: `bearer`, `basic`.
    pub scheme: String,
    /// Names in small letters, and values.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter, the first if there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of one header, in order.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    for element in elements(header) {
        // A comma stands between challenges and between the parameters of one, so the form of each element decides.
        if let Some(parameter) = parameter(element) {
            if let Some(last) = found.last_mut() {
                last.parameters.push(parameter);
            }
            continue;
        }
        let (scheme, rest) = element.split_once([' ', '\t']).unwrap_or((element, ""));
        if is_token(scheme) {
            let parameters = parameter(rest.trim()).into_iter().collect();
            found.push(Challenge { scheme: scheme.to_ascii_lowercase(), parameters });
        }
    }
    found
}

/// What stands between commas that are not quoted, without the blanks around it.
fn elements(header: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let comma = move |letter: char| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        letter == ',' && !quoted
    };
    header.split(comma).map(str::trim).filter(|element| !element.is_empty())
}

/// `name = value`, the value a token or quoted.
fn parameter(element: &str) -> Option<(String, String)> {
    let (name, value) = element.split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim_start());
    let value = match value.strip_prefix('"') {
        Some(rest) => unquote(rest)?,
        None => is_token(value).then(|| value.to_owned())?,
    };
    is_token(name).then(|| (name.to_ascii_lowercase(), value))
}

/// What stands before the closing quote, which has to be the end.
fn unquote(rest: &str) -> Option<String> {
    let mut value = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next()? {
            '"' => return letters.next().is_none().then_some(value),
            '\\' => value.push(letters.next()?),
            letter => value.push(letter),
        }
    }
}

fn is_token(word: &str) -> bool {
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.bytes().all(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Challenge { scheme: scheme.to_owned(), parameters: parameters.iter().map(owned).collect() }
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let of_hub = challenge(
            "bearer",
            &[
                ("realm", "https://auth.docker.io/token"),
                ("service", "registry.docker.io"),
                ("scope", "repository:a/b:pull,push"),
            ],
        );
        for (header, challenges) in [
            (hub, vec![of_hub.clone()]),
            (r#"Basic realm="Registry Realm""#, vec![challenge("basic", &[("realm", "Registry Realm")])]),
            ("BASIC", vec![challenge("basic", &[])]),
            ("Basic Realm = x , charset=UTF-8", vec![challenge("basic", &[("realm", "x"), ("charset", "UTF-8")])]),
            (r#"Basic realm="a\"b\\c, d""#, vec![challenge("basic", &[("realm", r#"a"b\c, d"#)])]),
            (
                r#"Negotiate, Negotiate abc==, Basic realm="x", Bearer realm=y"#,
                vec![
                    challenge("negotiate", &[]),
                    challenge("negotiate", &[]),
                    challenge("basic", &[("realm", "x")]),
                    challenge("bearer", &[("realm", "y")]),
                ],
            ),
        ] {
            assert_eq!(parse(header), challenges, "{header}");
        }
        assert_eq!((of_hub.get("service"), of_hub.get("error")), (Some("registry.docker.io"), None));
    }

    #[test]
    fn what_is_no_challenge_is_passed_over() {
        for header in ["", ",, ,", "realm=x", r#""""#, "ä realm=x", "=,=", r#"a"b c"#, "Basic =x"] {
            assert_eq!(parse(header), [], "{header}");
        }
        for header in
            [r#"Basic realm="x"#, r#"Basic realm="x"y"#, r#"Basic realm="x\"#, "Basic realm=", "Basic realm=a b"]
        {
            assert_eq!(parse(header), [challenge("basic", &[])], "{header}");
        }
    }
}
