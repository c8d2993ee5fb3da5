//! What can be told from the files of the repository alone: the rules of the house, whether the documents say what the
//! code is, and the examples of the documents.

#[path = "../common/mod.rs"]
mod common;

mod documents;
mod house;
mod parameters;
mod readme;
mod source;
