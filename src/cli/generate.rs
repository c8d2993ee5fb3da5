//! Generated files: completions and man pages; its tests write the schemas.

use super::args;
use super::render;
use crate::error::describe_io;
use clap::Command;
use clap_complete::Shell;
use std::io;
use std::path::Path;

/// Prints the completions of a shell; the exit code.
pub fn completions(shell: &str) -> i32 {
    let shell = match shell {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::whole(), "belljar", &mut text);
    render::print(&String::from_utf8_lossy(&text), 0)
}

/// Writes the man pages; the exit code.
pub fn man(dir: &Path) -> i32 {
    match pages().and_then(|pages| write(dir, &pages)) {
        Ok(()) => 0,
        Err(error) => {
            render::say(&format!("cannot write the man pages to `{}`: {}", dir.display(), describe_io(&error)));
            1
        }
    }
}

/// The pages, as file name and text: one of the whole, one for each subcommand and each of its own.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut whole = args::whole().disable_help_subcommand(true);
    whole.build();
    let mut pages = Vec::new();
    page(&whole, "belljar", &mut pages)?;
    Ok(pages)
}

fn page(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let page = clap_mangen::Man::new(command.clone().name(name.to_owned()).display_name(name.to_owned()));
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((format!("{name}.1"), text));
    command.get_subcommands().try_for_each(|below| self::page(below, &format!("{name}-{}", below.get_name()), pages))
}

fn write(dir: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    pages.iter().try_for_each(|(name, text)| std::fs::write(dir.join(name), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Report;
    use crate::outcome::Outcome;
    use crate::spec::schema::SpecFile;

    /// `UPDATE_SCHEMA=1 cargo test schema` writes the files anew.
    fn committed(file: &str, schema: &impl serde::Serialize) {
        let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
        let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is"))
            .join("docs")
            .join(file);
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == text,
            "docs/{file} is out of date: run with UPDATE_SCHEMA=1"
        );
    }

    #[test]
    fn the_committed_schema_of_results_is_that_of_the_types() {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        committed("schema.json", &settings.into_generator().into_root_schema_for::<Outcome>());
    }

    #[test]
    fn the_committed_schema_of_rpc_is_that_of_the_types() {
        committed("rpc.json", &crate::verbs::schema::document());
    }

    #[test]
    fn the_committed_schema_of_serve_is_that_of_its_routes() {
        committed("openapi.json", &crate::serve::description());
    }

    #[test]
    fn the_committed_schema_of_doctor_is_that_of_the_types() {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        /// Everything that was found out.
        #[derive(schemars::JsonSchema)]
        #[schemars(rename = "Report")]
        #[allow(dead_code)] // For the schema.
        struct Framed {
            /// Version of this object; 1.
            version: u32,
            #[schemars(flatten)]
            report: Report,
        }
        committed("doctor.schema.json", &settings.into_generator().into_root_schema_for::<Framed>());
    }

    #[test]
    fn the_committed_schema_of_specs_is_that_of_the_types() {
        committed("spec.schema.json", &schemars::schema_for!(SpecFile));
    }

    #[test]
    fn every_subcommand_has_a_man_page() {
        let names: Vec<String> = pages().unwrap().into_iter().map(|(name, _)| name).collect();
        let images = "image image-build image-import image-pull image-save image-load image-ls image-inspect image-tag image-rm \
            image-gc image-verify";
        let lasting = "exec create ls inspect stats logs wait stop start rm resize life rename label fork diff export import snapshot snapshot-create snapshot-ls snapshot-rm volume volume-create volume-ls volume-rm warm warm-create warm-ls warm-inspect warm-rm net net-set net-log cp session session-create session-ls session-exec session-logs session-input session-interrupt session-rm pty pty-create pty-attach pty-resize lsp lsp-start lsp-stop lsp-ls lsp-completions lsp-hover lsp-signature lsp-definition lsp-references lsp-symbols lsp-find lsp-diagnostics lsp-rename lsp-format lsp-actions lsp-open lsp-close lsp-connect preview port port-ls fs fs-ls fs-tree fs-stat fs-cat fs-write fs-mkdir fs-rm fs-mv fs-chmod fs-find fs-grep fs-replace fs-watch git git-clone git-init git-status git-add git-commit git-log git-branch git-checkout git-diff git-show git-fetch git-pull git-push git-reset git-restore git-stash git-remote git-config rpc serve mcp";
        let verbs = ["", "run", "code"].into_iter().chain(lasting.split(' ')).chain(images.split(' ')).chain([
            "doctor",
            "schema",
            "completions",
            "man",
        ]);
        let page = |verb: &str| if verb.is_empty() { "belljar.1".to_owned() } else { format!("belljar-{verb}.1") };
        assert_eq!(names, verbs.map(page).collect::<Vec<_>>());
    }

    #[test]
    fn the_man_page_of_run_names_every_option() {
        let (_, text) = pages().unwrap().into_iter().find(|(name, _)| name == "belljar-run.1").unwrap();
        let text = String::from_utf8(text).unwrap().replace("\\-", "-");
        for option in args::whole().find_subcommand("run").unwrap().get_opts() {
            let long = format!("--{}", option.get_long().unwrap());
            assert!(text.contains(&long), "{long}");
        }
    }

    #[test]
    fn the_reference_names_every_option_and_every_field() {
        // Where the test runs, which is not where it was built when root builds it below its home.
        let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
        let docs = Path::new(&root).join("docs");
        let cli = std::fs::read_to_string(docs.join("cli.md")).unwrap();
        for option in args::whole().find_subcommand("run").unwrap().get_opts() {
            let long = format!("| `--{}` |", option.get_long().unwrap());
            assert!(cli.contains(&long), "{long}");
        }
        let spec = std::fs::read_to_string(docs.join("spec.md")).unwrap();
        let fields = spec.split("## Fields").nth(1).unwrap();
        for key in crate::spec::KEYS {
            assert!(fields.contains(&format!("`{key}`")), "{key}");
        }
    }

    #[test]
    fn each_shell_gets_completions_that_name_the_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut args::whole(), "belljar", &mut text);
            assert!(String::from_utf8(text).unwrap().contains("allow-missing"), "{shell}");
        }
    }
}
