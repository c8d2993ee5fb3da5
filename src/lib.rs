//! belljar.
