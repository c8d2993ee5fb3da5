//! What we read and write of the protocol, and no more: the names are its own.

use super::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A place: line and units of the line, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub line: u32,
    pub character: u32,
}

/// From one place to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    pub start: Position,
    pub end: Position,
}

/// Some text, as servers of all ages write it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Text {
    Plain(String),
    Marked { kind: String, value: String },
    Code { language: String, value: String },
    Many(Vec<Text>),
}

impl Text {
    /// All of it, and whether it is Markdown.
    pub fn read(self) -> (String, bool) {
        match self {
            Text::Plain(text) => (text, false),
            Text::Marked { kind, value } => (value, kind == "markdown"),
            Text::Code { language, value } => (format!("```{language}\n{value}\n```"), true),
            Text::Many(all) => {
                let read: Vec<_> = all.into_iter().map(Text::read).filter(|(text, _)| !text.is_empty()).collect();
                let markdown = read.iter().any(|(_, markdown)| *markdown);
                (read.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join("\n\n"), markdown)
            }
        }
    }
}

/// A list of completions, with or without what is common to them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Completions {
    List {
        #[serde(rename = "isIncomplete", default)]
        incomplete: bool,
        items: Vec<Completion>,
    },
    Items(Vec<Completion>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    pub label: String,
    pub kind: Option<u32>,
    pub detail: Option<String>,
    pub documentation: Option<Text>,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default)]
    pub tags: Vec<u32>,
    pub sort_text: Option<String>,
    pub filter_text: Option<String>,
    pub insert_text: Option<String>,
    pub text_edit: Option<CompletionEdit>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompletionEdit {
    pub new_text: String,
    pub range: Option<Range>,
    pub insert: Option<Range>,
}

#[derive(Debug, Deserialize)]
pub struct Hover {
    pub contents: Text,
    pub range: Option<Range>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignatureHelp {
    pub signatures: Vec<Signature>,
    pub active_signature: Option<u32>,
    pub active_parameter: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    pub label: String,
    pub documentation: Option<Text>,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    pub active_parameter: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub struct Parameter {
    pub label: ParameterLabel,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum ParameterLabel {
    Text(String),
    Units(u32, u32),
}

/// One place, several, or several with where they are asked from.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Locations {
    One(Location),
    Many(Vec<Location>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Location {
    Plain {
        uri: String,
        range: Range,
    },
    #[serde(rename_all = "camelCase")]
    Link {
        target_uri: String,
        target_selection_range: Range,
    },
}

/// Symbols, as a tree of one file or as a list of places.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Symbol {
    pub name: String,
    pub kind: u32,
    pub detail: Option<String>,
    pub container_name: Option<String>,
    pub location: Option<SymbolLocation>,
    pub range: Option<Range>,
    pub selection_range: Option<Range>,
    #[serde(default)]
    pub children: Vec<Symbol>,
}

#[derive(Debug, Deserialize)]
pub struct SymbolLocation {
    pub uri: String,
    pub range: Option<Range>,
}

#[derive(Debug, Deserialize)]
pub struct Published {
    pub uri: String,
    pub version: Option<i64>,
    pub diagnostics: Box<serde_json::value::RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Pulled {
    #[serde(default)]
    pub items: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Diagnostic {
    pub range: Range,
    pub severity: Option<u32>,
    pub code: Option<Value>,
    pub source: Option<String>,
    pub message: String,
}

impl Diagnostic {
    pub fn severity(&self) -> Severity {
        match self.severity {
            Some(2) => Severity::Warning,
            Some(3) => Severity::Information,
            Some(4) => Severity::Hint,
            // The protocol leaves it to us where nothing is said.
            _ => Severity::Error,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextEdit {
    pub range: Range,
    pub new_text: String,
}

/// Edits of several files.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceEdit {
    #[serde(default)]
    pub changes: Option<std::collections::BTreeMap<String, Vec<TextEdit>>>,
    #[serde(default)]
    pub document_changes: Option<Vec<DocumentChange>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum DocumentChange {
    #[serde(rename_all = "camelCase")]
    Edits {
        text_document: DocumentName,
        edits: Vec<TextEdit>,
    },
    Other {
        kind: String,
    },
}

#[derive(Debug, Deserialize)]
pub struct DocumentName {
    pub uri: String,
}

/// Something that could be done: a command, or an action that may have one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Action {
    Command(Command),
    Action {
        title: String,
        kind: Option<String>,
        #[serde(rename = "isPreferred", default)]
        preferred: bool,
        disabled: Option<Disabled>,
        edit: Option<WorkspaceEdit>,
        command: Option<Command>,
        data: Option<Value>,
    },
}

#[derive(Debug, Deserialize)]
pub struct Disabled {
    pub reason: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Command {
    pub title: String,
    pub command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub struct Initialized {
    #[serde(default)]
    pub capabilities: Value,
}

/// What we can do, so that a server does not count on more.
pub fn capabilities() -> Value {
    let texts = json!(["markdown", "plaintext"]);
    let kinds: Vec<u32> = (1..=25).collect();
    let symbols: Vec<u32> = (1..=26).collect();
    let actions = [
        "quickfix",
        "refactor",
        "refactor.extract",
        "refactor.inline",
        "refactor.rewrite",
        "source",
        "source.organizeImports",
    ];
    json!({
        "general": { "positionEncodings": ["utf-8", "utf-16", "utf-32"] },
        "workspace": {
            "applyEdit": true,
            "configuration": true,
            "workspaceFolders": true,
            "didChangeConfiguration": { "dynamicRegistration": true },
            "didChangeWatchedFiles": { "dynamicRegistration": true, "relativePatternSupport": true },
            "workspaceEdit": { "documentChanges": true, "resourceOperations": [], "failureHandling": "abort" },
            "symbol": { "symbolKind": { "valueSet": symbols } },
            "executeCommand": {},
        },
        "window": { "workDoneProgress": true },
        "textDocument": {
            "synchronization": { "didSave": false },
            "completion": {
                "completionItem": { "snippetSupport": false, "documentationFormat": texts, "deprecatedSupport": true,
                    "insertReplaceSupport": false, "labelDetailsSupport": false, "tagSupport": { "valueSet": [1] } },
                "completionItemKind": { "valueSet": kinds },
                "contextSupport": true,
            },
            "hover": { "contentFormat": texts },
            "signatureHelp": { "signatureInformation": { "documentationFormat": texts,
                "parameterInformation": { "labelOffsetSupport": true }, "activeParameterSupport": true } },
            "definition": { "linkSupport": true },
            "references": {},
            "documentSymbol": { "hierarchicalDocumentSymbolSupport": true, "symbolKind": { "valueSet": symbols } },
            "formatting": {},
            "rename": { "prepareSupport": false },
            "codeAction": { "codeActionLiteralSupport": { "codeActionKind": { "valueSet": actions } },
                "isPreferredSupport": true, "disabledSupport": true, "dataSupport": true, "resolveSupport": { "properties": ["edit"] } },
            "publishDiagnostics": { "versionSupport": true },
            "diagnostic": {},
        },
    })
}

const COMPLETION_KINDS: [&str; 25] = [
    "text",
    "method",
    "function",
    "constructor",
    "field",
    "variable",
    "class",
    "interface",
    "module",
    "property",
    "unit",
    "value",
    "enum",
    "keyword",
    "snippet",
    "color",
    "file",
    "reference",
    "folder",
    "enum_member",
    "constant",
    "struct",
    "event",
    "operator",
    "type_parameter",
];
const SYMBOL_KINDS: [&str; 26] = [
    "file",
    "module",
    "namespace",
    "package",
    "class",
    "method",
    "property",
    "field",
    "constructor",
    "enum",
    "interface",
    "function",
    "variable",
    "constant",
    "string",
    "number",
    "boolean",
    "array",
    "object",
    "key",
    "null",
    "enum_member",
    "struct",
    "event",
    "operator",
    "type_parameter",
];

fn named(kinds: &[&str], number: u32) -> Option<String> {
    kinds.get((number as usize).checked_sub(1)?).map(|kind| (*kind).to_owned())
}

/// The word for the kind of a completion.
pub fn completion_kind(number: u32) -> Option<String> {
    named(&COMPLETION_KINDS, number)
}

/// The word for the kind of a symbol.
pub fn symbol_kind(number: u32) -> String {
    named(&SYMBOL_KINDS, number).unwrap_or_else(|| "unknown".to_owned())
}

/// The URI of a file.
pub fn uri_of(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// The file of a URI, if it is that of a file.
pub fn path_of(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // With or without the name of this machine.
    let rest = rest.strip_prefix("localhost").filter(|rest| rest.starts_with('/')).unwrap_or(rest);
    let mut bytes = Vec::with_capacity(rest.len());
    let mut left = rest.bytes();
    while let Some(byte) = left.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [left.next()?, left.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_into_a_uri_and_comes_back() {
        for bytes in [&b"/a/b.py"[..], b"/a b/\xc3\xa4#?%.py", b"/\xff\n"] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(path_of(&uri_of(&path)), Some(path));
        }
        assert_eq!(uri_of(Path::new("/a b")), "file:///a%20b");
        assert_eq!(path_of("file://localhost/x"), Some("/x".into()));
        assert_eq!(path_of("file:///c%3a"), Some("/c:".into()));
        assert_eq!([path_of("untitled:x"), path_of("file:///%"), path_of("file:///%zz")], [None, None, None]);
    }

    #[test]
    fn texts_are_read_as_servers_of_all_ages_write_them() {
        let read = |value: Value| serde_json::from_value::<Text>(value).unwrap().read();
        assert_eq!(read(json!("a")), ("a".to_owned(), false));
        assert_eq!(read(json!({ "kind": "markdown", "value": "*a*" })), ("*a*".to_owned(), true));
        assert_eq!(read(json!(["", { "language": "py", "value": "a" }, "b"])), ("```py\na\n```\n\nb".to_owned(), true));
    }
}
