//! Progress of a long task on standard error: a bar on a terminal, one line elsewhere.

use crate::trees::progress::{Progress, Task};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// Where size and end are known.
const BAR: &str = "{msg:30!} {bar:24} {bytes:>10} / {total_bytes:<10} {bytes_per_sec:>12} {eta:>4}";
/// Where they are not.
const SPINNER: &str = "{msg:30!} {spinner} {bytes:>10} {bytes_per_sec:>12}";

/// On a terminal.
pub struct Bars(MultiProgress);

/// Anywhere else.
pub struct Lines;

/// What suits standard error.
pub fn followed() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8))))
    } else {
        Box::new(Lines)
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, bytes: Option<u64>) -> Box<dyn Task> {
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), BAR),
            None => (ProgressBar::new_spinner(), SPINNER),
        };
        // The templates are ours and right; a wrong one would cost the bar its form only.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        let bar = self.0.add(bar);
        bar.set_message(super::render::plain(what, false).into_owned());
        bar.enable_steady_tick(Duration::from_millis(125));
        Box::new(Bar(bar))
    }

    fn note(&self, line: &str) {
        // A terminal that is gone has nobody who reads it.
        let _ = self.0.println(super::render::plain(line, false));
    }
}

struct Bar(ProgressBar);

impl Task for Bar {
    fn advance(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Lines {
    fn begin(&self, what: &str, bytes: Option<u64>) -> Box<dyn Task> {
        match bytes {
            Some(bytes) => super::render::bare(&format!("{what} ({})", crate::verbs::text::size(bytes))),
            None => super::render::bare(what),
        }
        Box::new(Silent)
    }

    fn note(&self, line: &str) {
        super::render::bare(line);
    }
}

struct Silent;

impl Task for Silent {
    fn advance(&mut self, _: u64) {}
}
