//! A verb of the front door, done and told on a terminal: lines for people, or one object for `--json`.

use super::render;
use crate::error::Error;
use crate::verbs::faults::Env;
use crate::verbs::wish::home;
use crate::verbs::{Object, Ready, Reported, Site, Teller, Told, Verb};
use clap::Args;
use std::io::Write;

/// The command line's way.
pub struct Terminal;

/// The caller's environment.
pub const ENV: Env<'static> = &|name| std::env::var_os(name);

/// Does something where the environment says, for a program, that reads the result too; `live`: what is printed goes to our standard
/// streams as it comes.
pub fn site<T>(live: bool, act: impl FnOnce(&Site<'_>) -> T) -> T {
    site_for(live, true, Ready::default(), act)
}

/// The same for people, who see what is printed and no more.
pub fn site_of_people<T>(live: bool, act: impl FnOnce(&Site<'_>) -> T) -> T {
    site_for(live, false, Ready::default(), act)
}

/// As [`site`], with what waits to be taken.
pub fn site_with<T>(live: bool, ready: Ready<'_>, act: impl FnOnce(&Site<'_>) -> T) -> T {
    site_for(live, true, ready, act)
}

fn site_for<T>(live: bool, is_read: bool, ready: Ready<'_>, act: impl FnOnce(&Site<'_>) -> T) -> T {
    let env = ENV;
    let out = || Box::new(render::out()) as Box<dyn Write + Send>;
    let error = || Box::new(std::io::stderr()) as Box<dyn Write + Send>;
    act(&Site {
        home: home(env),
        env,
        live: live.then_some(&out),
        live_error: &error,
        is_read,
        say: &render::say,
        complain: &render::failure,
        progress: &super::progress::followed,
        ready,
    })
}

impl Teller for Terminal {
    fn tell<V: Verb + Args>(&self, Reported { verb, json }: Reported<V>) -> i32 {
        match site_of_people(!json, |site| verb.perform(site)) {
            Ok(told) if json || V::Told::IS_OBJECT => render::serialised(&Object::of(&told), told.code()),
            Ok(told) => match told.coloured().filter(|_| render::has_colour()) {
                Some(text) => render::print(&text, told.code()),
                None => render::people(&told.people(), told.code()),
            },
            Err(error) => complain(&error, V::exit_code(&error), json),
        }
    }
}

/// Tells what went wrong; the exit code, `code` where that could be told.
pub fn complain(error: &Error, code: i32, json: bool) -> i32 {
    if render::is_refused() {
        return render::FAILED;
    }
    render::failure(error);
    if json { render::error_object(error, code) } else { code }
}
