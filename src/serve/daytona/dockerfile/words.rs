//! Words of a Dockerfile's line: quotes, backslashes, and names of variables that are replaced.

/// Knows variables by their names.
type Know<'k> = &'k dyn Fn(&str) -> Option<String>;

/// The words of a line; `None`, where a quote has no end.
pub fn split(text: &str, know: Know<'_>) -> Option<Vec<String>> {
    let letters: Vec<char> = text.chars().collect();
    let (mut words, mut word, mut begun, mut quote, mut at) = (Vec::new(), String::new(), false, None, 0);
    while let Some(letter) = letters.get(at).copied() {
        at += 1;
        match (letter, quote) {
            ('\\', Some('"') | None) => {
                // Within quotes it stands for itself before anything that needs none.
                if let Some(next) = letters.get(at) {
                    if quote == Some('"') && !matches!(next, '"' | '\\' | '$') {
                        word.push('\\');
                    }
                    word.push(*next);
                    at += 1;
                }
                begun = true;
            }
            (letter, Some(end)) if letter == end => quote = None,
            ('\'' | '"', None) => (quote, begun) = (Some(letter), true),
            ('$', Some('"') | None) => {
                let (value, next) = variable(&letters, at, know);
                word.push_str(&value);
                (at, begun) = (next, true);
            }
            (letter, None) if letter.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            (letter, _) => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if quote.is_some() {
        return None;
    }
    words.extend(begun.then_some(word));
    Some(words)
}

/// The text with names replaced, and nothing else changed.
pub fn expanded(text: &str, know: Know<'_>) -> String {
    let letters: Vec<char> = text.chars().collect();
    let (mut whole, mut at) = (String::new(), 0);
    while let Some(letter) = letters.get(at).copied() {
        at += 1;
        match letter {
            '\\' if letters.get(at) == Some(&'$') => {
                whole.push('$');
                at += 1;
            }
            '$' => {
                let (value, next) = variable(&letters, at, know);
                whole.push_str(&value);
                at = next;
            }
            letter => whole.push(letter),
        }
    }
    whole
}

/// What stands behind a `$` at `at`, and where it goes on.
fn variable(letters: &[char], at: usize, know: Know<'_>) -> (String, usize) {
    let is_name = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
    if letters.get(at) == Some(&'{')
        && let Some(length) = letters[at..].iter().position(|letter| *letter == '}')
    {
        let inner: String = letters[at + 1..at + length].iter().collect();
        let name: String = inner.chars().take_while(is_name).collect();
        let known = know(&name).filter(|value| !value.is_empty());
        let value = match &inner[name.len()..] {
            "" => known.unwrap_or_default(),
            rest if rest.starts_with(":-") => known.unwrap_or_else(|| expanded(&rest[2..], know)),
            rest if rest.starts_with(":+") => known.map(|_| expanded(&rest[2..], know)).unwrap_or_default(),
            _ => format!("${{{inner}}}"),
        };
        return (value, at + length + 1);
    }
    let name: String = letters[at..].iter().copied().take_while(|letter| is_name(letter)).collect();
    if name.is_empty() {
        return ("$".to_owned(), at);
    }
    (know(&name).unwrap_or_default(), at + name.len())
}
