//! belljar below programs of others, each with its real package: Inspect AI, Deep Agents and Jupyter.

use crate::common::available;
use crate::common::sandboxes::Sandboxes;
use crate::programs::{done, packages, program, python, root};

/// Runs a script with a package, and ours as it is installed: what others find us by comes with that.
fn runs(name: &str, packages_of: &str) {
    let theirs = packages(packages_of);
    if !available("the packages of others: `tests/clients` installs them", theirs.exists()) {
        return;
    }
    let sandboxes = Sandboxes::new(&format!("sdk-{name}"));
    let place = &sandboxes.0.0;
    // pip builds beside the sources, which others read.
    done(program(&sandboxes, "cp").arg("-R").arg(root().join("sdk/python")).arg("sources"));
    let pip =
        ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", "ours"];
    done(program(&sandboxes, "/usr/bin/python3").args(pip).arg("./sources").env("HOME", place));
    let path = std::env::join_paths([place.join("ours"), theirs.clone()]).expect("paths");
    let mut command = python(&sandboxes);
    command.env("PYTHONPATH", path).arg(root().join(format!("tests/sdk/extra_{name}.py"))).arg(theirs);
    let said = done(&mut command);
    assert!(said.ends_with("ok\n"), "{said}");
    assert_eq!(sandboxes.states(), []);
}

#[test]
fn inspect_evaluates_a_model_in_sandboxes_and_its_own_checks_hold() {
    runs("inspect", "inspect");
}

#[test]
fn a_deep_agent_works_in_a_sandbox() {
    runs("deepagents", "deepagents");
}

#[test]
fn a_kernel_of_jupyter_runs_is_interrupted_and_restarted_in_sandboxes() {
    runs("jupyter", "jupyter");
}
