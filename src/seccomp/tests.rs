//! Tests of the seccomp layer.

mod policy;
