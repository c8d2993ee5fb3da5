//! What can be told from the files of the repository alone: the rules of the house, and the examples of the documents.

#[path = "../common/mod.rs"]
mod common;

mod house;
mod parameters;
mod readme;
mod source;
