//! What imported images are called: as the caller says, as the source says, or as the file is called.

use super::super::reference::Reference;
use super::super::store::may_name;
use super::wrong;
use crate::error::{Error, Problem};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

/// What of a file's name says only how it is packed.
const ENDINGS: &[&str] = &[".tar", ".tgz", ".txz", ".tzst", ".gz", ".xz", ".zst", ".oci"];
const CURE: &str = "give it a name with `--name`";

/// What the caller wants an image to be called.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// As asked for.
    pub name: Option<&'a Reference>,
    /// As the file is called, without its endings.
    pub stem: Option<&'a str>,
}

/// A file's or directory's name without its endings.
pub fn stem(path: &Path) -> Option<String> {
    // `.` has a name only when it is looked up; where that cannot be done, there is none.
    let whole = if path.file_name().is_none() { path.canonicalize().ok()? } else { path.to_owned() };
    let mut name = whole.file_name()?.to_str()?;
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = shorter;
    }
    (!name.is_empty()).then(|| name.to_owned())
}

/// The name that an index gives an image: a whole one, or only a tag, which belongs to the file's name, as
/// `oci:FILE:TAG` has it elsewhere.
pub fn annotated(whole: Option<&str>, short: Option<&str>, wish: &Wish<'_>) -> Result<Option<Reference>, Error> {
    let word = match (whole, short) {
        (Some(whole), _) => whole.to_owned(),
        (None, Some(short)) if short.contains(['/', ':']) => short.to_owned(),
        (None, Some(tag)) => match wish.stem {
            Some(stem) => format!("{stem}:{tag}"),
            None => return Err(cured(format!("the image has the tag `{}` and no name", tag.escape_debug()))),
        },
        (None, None) => return Ok(None),
    };
    parse(&word).map(Some)
}

/// A name that a source has for an image.
pub fn parse(word: &str) -> Result<Reference, Error> {
    Reference::parse(word).map_err(|why| cured(format!("the image's name is none: {why}")))
}

/// Names for every image: `own` are those that they come with. Checked before anything is kept: each is one image's.
pub fn decide(own: Vec<Vec<Reference>>, wish: &Wish<'_>) -> Result<Vec<Vec<Reference>>, Error> {
    let count = own.len();
    let names: Vec<Vec<Reference>> = match (wish.name, own.as_slice()) {
        (Some(name), [_]) => vec![vec![name.clone()]],
        (Some(_), _) => {
            let problem = Problem::new("name", format!("one name for {count} images"));
            return Err(Error::invalid(vec![
                problem.hint("leave `--name` out, and give other names with `belljar image tag`"),
            ]));
        }
        (None, [names]) if names.is_empty() => vec![vec![by_file(wish)?]],
        (None, all) if all.iter().any(Vec::is_empty) => {
            return Err(wrong(format!("of {count} images not every one has a name")));
        }
        (None, _) => own,
    };
    let mut owners = BTreeMap::new();
    for (image, name) in names.iter().enumerate().flat_map(|(image, names)| names.iter().map(move |name| (image, name)))
    {
        may_name(name)?;
        match owners.entry(name.name()) {
            Entry::Occupied(other) if *other.get() != image => {
                return Err(wrong(format!("two images are called `{name}`")));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => drop(free.insert(image)),
        }
    }
    Ok(names)
}

/// The name of an image that comes without one.
pub fn by_file(wish: &Wish<'_>) -> Result<Reference, Error> {
    match wish.stem {
        Some(stem) => {
            Reference::parse(stem).map_err(|why| cured(format!("it has no name, and its file's cannot be one: {why}")))
        }
        None => Err(cured("the image has no name".to_owned())),
    }
}

fn cured(why: String) -> Error {
    Error::invalid(vec![Problem::new("name", why).hint(CURE)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_name_loses_its_endings_and_nothing_else() {
        for (path, name) in [
            ("/a/debian.tar.gz", Some("debian")),
            ("python-3.12.tar.zst", Some("python-3.12")),
            ("x.tgz", Some("x")),
            ("layout", Some("layout")),
            ("a.b", Some("a.b")),
            (".tar", None),
            ("/", None),
        ] {
            assert_eq!(stem(Path::new(path)).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn an_index_gives_whole_names_or_tags_of_the_file() {
        let wish = Wish { name: None, stem: Some("python") };
        for (whole, short, name) in [
            (Some("docker.io/library/a:1"), Some("1"), Some("docker.io/library/a:1")),
            (None, Some("3.12"), Some("python:3.12")),
            (None, Some("localhost/a:b"), Some("localhost/a:b")),
            (None, None, None),
        ] {
            let found = annotated(whole, short, &wish).unwrap().map(|reference| reference.name());
            assert_eq!(found.as_deref(), name, "{whole:?} {short:?}");
        }
        assert!(annotated(None, Some("3.12"), &Wish { name: None, stem: None }).is_err());
        assert!(annotated(Some("No Name"), None, &wish).is_err());
    }
}
