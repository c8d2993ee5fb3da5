//! Builds a recipe into a directory, as `belljar image build` does before it puts the image into its store:
//! `build RECIPE WORK [CACHE]`. What is done goes to standard error, a line each; the outcome to standard output.

use belljar::build::{Draft, NETWORK_VARIABLES, Options, build};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let [_, recipe, work, cache @ ..] = words.as_slice() else {
        eprintln!("usage: build RECIPE WORK [CACHE]");
        return ExitCode::from(2);
    };
    let environment = NETWORK_VARIABLES.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let options = Options {
        cache: cache.first().map(Into::into),
        environment: environment.collect(),
        epoch: std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()),
    };
    let began = Instant::now();
    let told = move |line: &str| eprintln!("{:6.1}  {line}", began.elapsed().as_secs_f64());
    let built =
        Draft::read(Path::new(recipe)).and_then(|draft| build(&draft, &options, Path::new(work), Box::new(told)));
    match built {
        Ok(built) => {
            println!("{built:#?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", error.kind());
            error.hints().iter().for_each(|hint| eprintln!("hint: {hint}"));
            ExitCode::FAILURE
        }
    }
}
