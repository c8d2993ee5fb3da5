//! Lists of any length: printed as they come, or collected for a result in little more memory than their text.

use super::client;
use crate::error::{Error, Kind};
use crate::tools::{MOST_BYTES, Most, Request};
use crate::verbs::Site;
use crate::verbs::text::plain;
use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::marker::PhantomData;

/// Items of a result, kept as JSON: each is read again when it is written.
#[derive(Debug)]
pub struct Listed<T> {
    text: Vec<u8>,
    of: PhantomData<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Listed<T> {
        Listed { text: Vec::new(), of: PhantomData }
    }
}

impl<T: Serialize> Listed<T> {
    /// One more.
    ///
    /// # Errors
    ///
    /// There are more than one object may have.
    pub fn push(&mut self, item: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.text, item)?;
        self.text.push(b'\n');
        if self.text.len() > MOST_BYTES {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "more than 32 MiB are too much for one object"));
        }
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for item in serde_json::Deserializer::from_slice(&self.text).into_iter::<T>() {
            list.serialize_element(&item.map_err(S::Error::custom)?)?;
        }
        list.end()
    }
}

/// Lines for people, as they come.
pub struct Lines {
    out: BufWriter<Box<dyn Write + Send>>,
    /// Whether somebody watches.
    watched: bool,
    /// What stands before the first.
    head: String,
}

impl Lines {
    /// None yet; `head` stands before them.
    pub fn new(out: Box<dyn Write + Send>, head: String) -> Lines {
        Lines { out: BufWriter::new(out), watched: io::stdout().is_terminal(), head }
    }

    /// Shows one.
    ///
    /// # Errors
    ///
    /// Nobody takes it.
    pub fn show(&mut self, line: &str) -> io::Result<()> {
        let head = std::mem::take(&mut self.head);
        for text in [head.as_str(), line] {
            self.out.write_all(plain(text, true).as_bytes())?;
        }
        if self.watched { self.out.flush() } else { Ok(()) }
    }

    /// All that there is has come, or what kept it from coming.
    ///
    /// # Errors
    ///
    /// What kept it from coming, or nobody takes it.
    pub fn end(mut self, came: Result<(), Error>) -> Result<(), Error> {
        // Where there was no line, the head is yet to come.
        let headed = if came.is_ok() { self.show("") } else { Ok(()) };
        let flushed = headed.and_then(|()| self.out.flush());
        // What cannot be written any more is not tried again.
        let _ = self.out.into_parts();
        came.and(flushed.map_err(|error| Error::of_io(&error)))
    }
}

/// The cure for what is too much for one object.
pub fn too_many(error: Error) -> Error {
    if error.kind != Kind::TooLarge || error.hint.is_some() {
        return error;
    }
    error.hint("begin further down, or go without `--json` (in `rpc`: with `stream`), where lines come one by one")
}

/// Asks for items: each is a line where what is printed is wanted as it comes, and all are kept otherwise.
///
/// # Errors
///
/// As [`Client::ask`](crate::tools::Client::ask), and there are more than one object may have.
pub fn list<T: DeserializeOwned, S: From<T> + Serialize + Send>(
    site: &Site<'_>,
    sandbox: &str,
    request: &Request,
    head: String,
    line: impl Fn(&T) -> String + Sync,
) -> Result<Option<Listed<S>>, Error> {
    let mut client = client(site, sandbox)?;
    let Some(live) = site.live else {
        let mut listed = Listed::default();
        client.list(request, Most::Many, &mut |item: T| listed.push(&S::from(item))).map_err(too_many)?;
        return Ok(Some(listed));
    };
    let mut lines = Lines::new(live(), head);
    let came = client.follow(request, &mut |item: T| lines.show(&line(&item)));
    lines.end(came).map(|()| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_out_as_it_went_in_and_has_an_end() {
        let mut listed = Listed::default();
        assert_eq!(serde_json::to_string(&listed).unwrap(), "[]");
        let items = [Some("a\n".to_owned()), None];
        items.iter().for_each(|item| listed.push(item).unwrap());
        assert_eq!(serde_json::to_string(&listed).unwrap(), r#"["a\n",null]"#);
        assert_eq!(serde_json::to_value(&listed).unwrap(), serde_json::json!(items));
        let item = Some("x".repeat(1 << 20));
        assert!((0..31).all(|_| listed.push(&item).is_ok()));
        assert!((0..2).any(|_| listed.push(&item).is_err()));
    }

    #[test]
    fn a_head_stands_before_the_first_line_and_where_there_is_none() {
        let shown = |lines: &[&str], came: Result<(), Error>| {
            let path = std::env::temp_dir().join(format!("belljar-lines-{}-{}", std::process::id(), lines.len()));
            let mut all = Lines::new(Box::new(std::fs::File::create(&path).unwrap()), "head\n".to_owned());
            lines.iter().for_each(|line| all.show(line).unwrap());
            assert_eq!(all.end(came.clone()), came);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            text
        };
        assert_eq!(shown(&[], Ok(())), "head\n");
        assert_eq!(shown(&["a\u{1b}[2J\n", "b\n"], Ok(())), "head\na\\u{1b}[2J\nb\n");
        assert_eq!(shown(&["a\n"], Err(Error::new(Kind::Ended, "cut off"))), "head\na\n");
    }

    #[test]
    fn what_nobody_takes_is_an_error() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let lines = Lines::new(Box::new(full), "head\n".to_owned());
        assert_eq!(lines.end(Ok(())).unwrap_err().kind, Kind::NoSpace);
    }
}
