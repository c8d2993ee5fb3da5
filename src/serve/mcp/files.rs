//! Files inside.

use super::{Told, Tools, invalid};
use crate::error::{Error, Kind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::ContentBlock;
use rmcp::schemars::JsonSchema;
use rmcp::{schemars, tool, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};

/// The most of a text that is read at once. Bytes.
const TEXT: usize = 256 << 10;
/// The largest picture that is read, and the largest file that is edited. Bytes.
const LARGEST: usize = 4 << 20;
/// Lines and entries of one answer.
const MOST: usize = 500;

/// A file to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// The file
    path: String,
    /// The first line, from 1
    #[serde(default = "one")]
    first_line: usize,
    /// How many lines; without it all, up to 256 KiB
    lines: Option<usize>,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

fn one() -> usize {
    1
}

/// A file to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Write {
    /// The file; directories on the way are made
    path: String,
    /// All that is in it then
    content: String,
    /// Whether `content` is base64 of bytes that are no text
    #[serde(default)]
    base64: bool,
    /// Whether it goes to the end of what is there
    #[serde(default)]
    append: bool,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

/// A file to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// The file
    path: String,
    /// The text that is there now, exactly, with enough around it that it is there once
    old: String,
    /// The text that takes its place
    new: String,
    /// Whether it is replaced wherever it is
    #[serde(default)]
    all: bool,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

/// A directory to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// The directory
    #[serde(default = "here")]
    path: String,
    /// How deep
    #[serde(default = "one")]
    depth: usize,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

fn here() -> String {
    ".".to_owned()
}

/// Files to search.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// Text that a line has in it; without it names alone are searched
    text: Option<String>,
    /// A pattern of names, as `*.py`
    name: Option<String>,
    /// The directory
    #[serde(default = "here")]
    path: String,
    /// Whether large and small letters are the same
    #[serde(default)]
    ignore_case: bool,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

/// The type of a picture that models can look at, by its first bytes.
fn picture(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Lines of a text, as they are found in pieces of it.
struct Lines {
    /// The first that is wanted, from 1, and the last.
    first: usize,
    last: usize,
    /// Ends of lines before what comes next.
    passed: usize,
    /// What is told.
    told: Vec<u8>,
    /// Whether there is more of what was wanted, or beyond it.
    is_more: bool,
}

impl Lines {
    fn new(first: usize, count: Option<usize>) -> Lines {
        let first = first.max(1);
        let last = count.map_or(usize::MAX, |count| first.saturating_add(count.saturating_sub(1)));
        Lines { first, last, passed: 0, told: Vec::new(), is_more: false }
    }

    /// Takes a piece; whether another is wanted.
    fn take(&mut self, piece: &[u8]) -> bool {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            let number = self.passed + 1;
            if number > self.last || (number >= self.first && self.told.len() + line.len() > TEXT) {
                let room = TEXT.saturating_sub(self.told.len());
                if number <= self.last && self.told.is_empty() {
                    // One line alone that is too long.
                    self.told.extend_from_slice(line.get(..room).unwrap_or(line));
                }
                self.is_more = true;
                return false;
            }
            if number >= self.first {
                self.told.extend_from_slice(line);
            }
            self.passed += usize::from(line.ends_with(b"\n"));
        }
        true
    }

    /// The text, and what there is beyond it.
    fn text(mut self) -> Result<String, Error> {
        let all = self.passed + usize::from(!self.told.is_empty() && !self.told.ends_with(b"\n"));
        if self.told.is_empty() && !self.is_more && self.first > 1 {
            return Err(invalid(format!("first_line: {} is beyond the last line, which is {all}", self.first)));
        }
        if self.is_more {
            // A letter that was cut in two is left out.
            let whole = self.told.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
            if whole + 4 > self.told.len() {
                self.told.truncate(whole);
            }
        }
        let text = String::from_utf8(self.told).ok().filter(|text| !text.contains('\0'));
        let no_text = || invalid("it is no text and no picture").hint("use run_command, as `file`, `xxd` or `base64`");
        let mut text = text.ok_or_else(no_text)?;
        if self.is_more {
            let shown = text.lines().count();
            text.push_str(&format!("\n[lines {} to {}; there is more]", self.first, self.first + shown.max(1) - 1));
        }
        Ok(text)
    }
}

impl Tools {
    /// The bytes of a file, and whether there are more.
    async fn content(&self, id: &str, path: &str, offset: usize, most: usize) -> Result<(Vec<u8>, bool), Error> {
        let parameters = json!({ "sandbox": id, "path": path, "offset": offset, "length": most + 1 });
        let told = self.boxes.ask("fs.cat", parameters).await?;
        let content = told["content"].as_str().unwrap_or_default();
        let mut bytes = if told["encoding"] == "base64" {
            STANDARD.decode(content).map_err(|error| Error::new(Kind::Failed, format!("read the file: {error}")))?
        } else {
            content.as_bytes().to_vec()
        };
        let is_more = bytes.len() > most;
        bytes.truncate(most);
        Ok((bytes, is_more))
    }

    async fn read(&self, asked: Read) -> Result<Vec<ContentBlock>, Error> {
        let id = self.boxes.find(asked.sandbox.as_deref()).await?;
        if asked.lines == Some(0) {
            return Err(invalid("lines: must be at least 1"));
        }
        let (mut bytes, mut is_more) = self.content(&id, &asked.path, 0, LARGEST).await?;
        if let Some(kind) = picture(&bytes) {
            if is_more {
                return Err(invalid(format!("path: the picture has more than {} MiB", LARGEST >> 20))
                    .hint("use run_command to make it smaller"));
            }
            return Ok(vec![ContentBlock::image(STANDARD.encode(&bytes), kind)]);
        }
        let (mut lines, mut offset) = (Lines::new(asked.first_line, asked.lines), 0);
        while lines.take(&bytes) && is_more {
            offset += bytes.len();
            (bytes, is_more) = self.content(&id, &asked.path, offset, LARGEST).await?;
        }
        let text = lines.text()?;
        Ok(vec![ContentBlock::text(if text.is_empty() { "[the file is empty]".to_owned() } else { text })])
    }

    async fn edit(&self, asked: Edit) -> Result<Value, Error> {
        if asked.old.is_empty() {
            return Err(invalid("old: is empty; write_file writes a new file"));
        }
        if asked.old == asked.new {
            return Err(invalid("new: is the same as `old`"));
        }
        let id = self.boxes.find(asked.sandbox.as_deref()).await?;
        let (bytes, is_more) = self.content(&id, &asked.path, 0, LARGEST).await?;
        if is_more {
            return Err(invalid(format!("path: the file has more than {} MiB", LARGEST >> 20))
                .hint("use run_command, as `sed -i`"));
        }
        let text = String::from_utf8(bytes).map_err(|_| invalid("path: the file is no text"))?;
        let count = text.matches(&asked.old).count();
        match count {
            0 => {
                Err(invalid("old: it is not in the file")
                    .hint("read_file shows what is; spaces and ends of lines count"))
            }
            2.. if !asked.all => {
                Err(invalid(format!("old: it is there {count} times")).hint("give more of what is around it, or `all`"))
            }
            _ => {
                // One text, written whole: nobody inside reads half of it.
                let parameters =
                    json!({ "sandbox": id, "path": asked.path, "input": text.replace(&asked.old, &asked.new) });
                self.boxes.ask("fs.write", parameters).await?;
                Ok(json!({ "path": asked.path, "replaced": count }))
            }
        }
    }

    async fn search(&self, asked: Search) -> Result<Value, Error> {
        let id = self.boxes.find(asked.sandbox.as_deref()).await?;
        let (method, mut parameters) = match (&asked.text, &asked.name) {
            (Some(text), _) if text.is_empty() => return Err(invalid("text: is empty")),
            (Some(text), _) => ("fs.grep", json!({ "text": text, "ignore_case": asked.ignore_case })),
            (None, Some(_)) => ("fs.find", json!({})),
            (None, None) => return Err(invalid("text: is missing, and so is `name`: one of them must be there")),
        };
        parameters["sandbox"] = Value::String(id);
        parameters["path"] = Value::String(asked.path);
        if let Some(name) = asked.name {
            parameters["name"] = Value::String(name);
        }
        let mut told = self.boxes.ask(method, parameters).await?;
        Ok(some(told[if method == "fs.grep" { "lines" } else { "entries" }].take()))
    }
}

/// The first of a list, and how many there are.
fn some(list: Value) -> Value {
    let Value::Array(mut all) = list else { return list };
    let count = all.len();
    all.truncate(MOST);
    if count > MOST { json!({ "found": all, "left_out": count - MOST }) } else { Value::Array(all) }
}

#[tool_router(router = file_tools, vis = "pub(super)")]
impl Tools {
    /// Read a file: text, by lines, or a picture.
    #[tool(annotations(read_only_hint = true))]
    async fn read_file(&self, Parameters(asked): Parameters<Read>) -> Told {
        Told::of(self.read(asked).await)
    }

    /// Write a file, in the place of what is there.
    #[tool(annotations(destructive_hint = true))]
    async fn write_file(&self, Parameters(asked): Parameters<Write>) -> Told {
        let told = async {
            let input = if asked.base64 { json!({ "base64": asked.content }) } else { json!(asked.content) };
            let id = self.boxes.find(asked.sandbox.as_deref()).await?;
            let parameters =
                json!({ "sandbox": id, "path": asked.path, "parents": true, "append": asked.append, "input": input });
            self.boxes.ask("fs.write", parameters).await
        };
        Told::json(told.await)
    }

    /// Replace a text in a file by another.
    #[tool(annotations(destructive_hint = true))]
    async fn edit_file(&self, Parameters(asked): Parameters<Edit>) -> Told {
        Told::json(self.edit(asked).await)
    }

    /// List a directory.
    #[tool(annotations(read_only_hint = true))]
    async fn list_files(&self, Parameters(asked): Parameters<List>) -> Told {
        let told = async {
            let id = self.boxes.find(asked.sandbox.as_deref()).await?;
            let parameters = json!({ "sandbox": id, "path": asked.path, "depth": asked.depth });
            let mut told = self.boxes.ask("fs.ls", parameters).await?;
            Ok(some(told["entries"].take()))
        };
        Told::json(told.await)
    }

    /// Search files for a text, or by their names.
    #[tool(annotations(read_only_hint = true))]
    async fn search_files(&self, Parameters(asked): Parameters<Search>) -> Told {
        Told::json(self.search(asked).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&str], first: usize, count: Option<usize>) -> Result<String, Error> {
        let mut lines = Lines::new(first, count);
        let _ = pieces.iter().all(|piece| lines.take(piece.as_bytes()));
        lines.text()
    }

    #[test]
    fn lines_are_counted_from_one_and_what_is_left_out_is_said() {
        let text = ["a\nb", "b\nc\n"];
        assert_eq!(lines_of(&text, 1, None).unwrap(), "a\nbb\nc\n");
        assert_eq!(lines_of(&text, 2, Some(1)).unwrap(), "bb\n\n[lines 2 to 2; there is more]");
        assert_eq!(lines_of(&text, 3, Some(9)).unwrap(), "c\n");
        assert_eq!(lines_of(&[""], 1, None).unwrap(), "");
        assert!(lines_of(&text, 4, None).unwrap_err().to_string().contains("beyond the last line, which is 3"));
        assert_eq!(lines_of(&["no end"], 1, None).unwrap(), "no end");
        assert!(lines_of(&["a\0b"], 1, None).is_err());
    }

    #[test]
    fn a_line_far_beyond_what_is_read_at_once_is_found() {
        let piece = "0123456\n".repeat(TEXT / 4);
        let told = lines_of(&[&piece, &piece, "last\n"], TEXT / 2 + 1, Some(1)).unwrap();
        assert_eq!(told, "last\n");
        let told = lines_of(&[&piece], 1, None).unwrap();
        assert!(
            told.len() < TEXT + 60 && told.ends_with(&format!("[lines 1 to {}; there is more]", TEXT / 8)),
            "{}",
            told.len()
        );
        let long = "ä".repeat(TEXT);
        let told = lines_of(&[&long], 1, None).unwrap();
        assert!(told.ends_with("ä\n[lines 1 to 1; there is more]"), "{}", told.len());
    }

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        assert_eq!(picture(b"\x89PNG\r\n"), Some("image/png"));
        assert_eq!(picture(b"RIFF1234WEBPVP8 "), Some("image/webp"));
        assert_eq!(picture(b"GIF87a"), Some("image/gif"));
        assert_eq!(picture(b"no picture"), None);
    }
}
