//! belljar's own clients, which need no server: their packages as they are installed, with real work behind each call.

#[path = "../common/mod.rs"]
mod common;

mod examples;
mod extras;
mod programs;
mod python;
mod typescript;
mod wheel;
mod word_for_word;
