//! What a copy of a warm interpreter is told to run, as JSON that goes into a memfd. Nothing in it decides what the code may do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// The name of code that came as text, as the interpreter says it.
pub const TEXT: &str = "<string>";
/// The name of code that came through standard input.
pub const INPUT: &str = "<stdin>";

/// One run. Descriptors for 0, 1 and 2 go along with it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The source.
    pub code: &'a [u8],
    /// [`TEXT`], [`INPUT`], or the path that the code's file has inside.
    pub name: &'a OsStr,
    /// The arguments behind the code.
    pub arguments: &'a [&'a OsStr],
    /// The whole environment, as names and values.
    pub environment: &'a [(&'a OsStr, &'a OsStr)],
    /// The working directory.
    pub directory: &'a OsStr,
    /// Random bytes of the supervisor's.
    pub seed: [u8; 32],
}

impl Request<'_> {
    /// As JSON. Bytes that are not UTF-8 are escaped as Python's `surrogateescape` reads them.
    pub fn encode(&self) -> String {
        let first = match self.name.to_str() {
            Some(TEXT) => "-c".as_ref(),
            Some(INPUT) => "-".as_ref(),
            _ => self.name,
        };
        let argv: Vec<String> =
            std::iter::once(&first).chain(self.arguments).map(|word| quoted(word.as_bytes())).collect();
        let variable =
            |(name, value): &(&OsStr, &OsStr)| format!("{}:{}", quoted(name.as_bytes()), quoted(value.as_bytes()));
        let environment: Vec<String> = self.environment.iter().map(variable).collect();
        let seed: String = self.seed.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{{\"code\":{},\"name\":{},\"argv\":[{}],\"env\":{{{}}},\"cwd\":{},\"seed\":\"{seed}\"}}",
            quoted(self.code),
            quoted(self.name.as_bytes()),
            argv.join(","),
            environment.join(","),
            quoted(self.directory.as_bytes()),
        )
    }
}

/// A JSON string. A byte that is no UTF-8 becomes the lone surrogate U+DC80 to U+DCFF, which no text has.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                c if c < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\udc{byte:02x}"));
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_json_that_keeps_every_byte() {
        let request = Request {
            code: b"print('\xc3\xa9\n\"\\')",
            name: OsStr::new(TEXT),
            arguments: &[OsStr::from_bytes(b"a\xff")],
            environment: &[(OsStr::new("A"), OsStr::new("b"))],
            directory: OsStr::new("/tmp"),
            seed: [0xab; 32],
        };
        let seed = "ab".repeat(32);
        assert_eq!(
            request.encode(),
            format!(
                "{{\"code\":\"print('\u{e9}\\u000a\\\"\\\\')\",\"name\":\"<string>\",\"argv\":[\"-c\",\"a\\udcff\"],\
                 \"env\":{{\"A\":\"b\"}},\"cwd\":\"/tmp\",\"seed\":\"{seed}\"}}"
            )
        );
    }

    #[test]
    fn code_of_a_file_has_its_path_for_an_argument() {
        let of = |name: &str| {
            let name = OsStr::new(name);
            let request = Request {
                code: b"",
                name,
                arguments: &[],
                environment: &[],
                directory: OsStr::new("/"),
                seed: [0; 32],
            };
            let value: serde_json::Value = serde_json::from_str(&request.encode()).expect("JSON");
            value["argv"].clone()
        };
        assert_eq!(of("/run/code/a.py"), serde_json::json!(["/run/code/a.py"]));
        assert_eq!(of(INPUT), serde_json::json!(["-"]));
    }
}
