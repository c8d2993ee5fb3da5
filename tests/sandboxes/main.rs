//! Sandboxes that last: made once, entered many times, and gone without a trace.

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod captured;
mod carried;
mod exec;
mod files;
mod kept;
mod killed;
mod life;
mod rpc;
mod sessions;
mod terminals;
mod volumes;

use common::Run;

/// Exit code, standard output and standard error.
fn said(run: &Run) -> (Option<i32>, &str, &str) {
    (run.code, &run.stdout, &run.stderr)
}
