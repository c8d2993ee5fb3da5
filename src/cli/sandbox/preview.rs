//! `preview`: told when the port is open, and there until it is not.

use super::{render, terminal};
use crate::verbs::parameters::name_fields;
use crate::verbs::preview::Preview;
use crate::verbs::{Object, Reported, Told as _, Verb as _};

/// `belljar preview`; the exit code.
pub fn preview(asked: Reported<Preview>) -> i32 {
    let Reported { verb, json } = asked;
    terminal::site_of_people(!json, |site| {
        let failed = |error| {
            let error = name_fields::<Preview>(error);
            terminal::complain(&error, Preview::exit_code(&error), json)
        };
        let opened = match verb.open(site) {
            Ok(opened) => opened,
            Err(error) => return failed(error),
        };
        let written = match json {
            true => render::serialised(&Object::of(&opened.told), 0),
            false => render::people(&opened.told.people(), 0),
        };
        if written != 0 {
            return written;
        }
        match opened.wait(site) {
            Ok(()) => 0,
            Err(error) => failed(error),
        }
    })
}
