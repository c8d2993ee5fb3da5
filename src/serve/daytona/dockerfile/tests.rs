//! What is read, and what is refused.

use super::*;

fn plan(text: &str) -> Plan {
    let base = BTreeMap::from([("BASE".to_owned(), "b".to_owned())]);
    read(text).and_then(|text| text.plan(&base)).unwrap_or_else(|failure| panic!("{}", failure.message))
}

fn why(text: &str) -> String {
    read(text).and_then(|text| text.plan(&BTreeMap::new())).unwrap_err().message
}

fn run(words: &[&str]) -> Step {
    Step::Run(words.iter().map(|word| (*word).to_owned()).collect(), BTreeMap::new())
}

fn env(name: &str, value: &str) -> Step {
    Step::Env(name.to_owned(), value.to_owned())
}

fn copy(sources: &[&str], to: &str) -> Step {
    Step::Copy(Copy {
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        to: to.to_owned(),
        ..Copy::default()
    })
}

#[test]
fn what_builders_write_is_read() {
    let text = "# made\nFROM python:3.12.10-slim-bookworm\nRUN apt-get update && \\\n    apt-get install -y gcc\n\
        RUN [\"echo\", \"a b\"]\nENV A='v $w' B=\"x\\\"y\"\nENV C d e\nWORKDIR '/work'\nCOPY [\"home/a b.txt\", \"/x/b.txt\"]\n\
        COPY home/r.txt /.requirements.txt\nENTRYPOINT [\"/bin/a\"]\nCMD [\"-b\"]\n";
    assert_eq!(read(text).unwrap().from, "python:3.12.10-slim-bookworm");
    let plan = plan(text);
    let expected = [
        run(&["/bin/sh", "-c", "apt-get update &&     apt-get install -y gcc"]),
        run(&["echo", "a b"]),
        env("A", "v $w"),
        env("B", "x\"y"),
        env("C", "d e"),
        Step::Workdir("/work".to_owned()),
        copy(&["home/a b.txt"], "/x/b.txt"),
        copy(&["home/r.txt"], "/.requirements.txt"),
    ];
    assert_eq!(plan.steps, expected);
    assert_eq!((plan.entrypoint, plan.workdir.as_deref()), (vec!["/bin/a".to_owned(), "-b".to_owned()], Some("/work")));
}

#[test]
fn names_are_replaced_by_what_was_set_before() {
    let text = "ARG TAG=3.12\nFROM python:${TAG}\nARG TAG\nARG DIR=/opt EXTRA\nENV HERE=$DIR/$BASE PATH=\"$DIR/bin:$PATH\" LATER=${NO:-x}${HERE:+y}\n\
        ENV OLD $HERE z\nWORKDIR $HERE\nWORKDIR below\nCOPY $TAG ./\nCOPY a b sub\nENV ESCAPED=\\$HERE";
    assert_eq!(read(text).unwrap().from, "python:3.12");
    let plan = plan(text);
    // Those of one line do not know of each other's.
    let value = |name: &str| plan.env[name].as_str();
    assert_eq!((value("HERE"), value("LATER"), value("OLD")), ("/opt/b", "x", "/opt/b z"));
    assert_eq!((value("PATH"), value("ESCAPED")), (format!("/opt/bin:{PATH}").as_str(), "$HERE"));
    assert_eq!(plan.workdir.as_deref(), Some("/opt/b/below"));
    assert!(
        plan.steps.contains(&copy(&["3.12"], "/opt/b/below/"))
            && plan.steps.contains(&copy(&["a", "b"], "/opt/b/below/sub/"))
    );
}

#[test]
fn a_run_knows_its_arguments_its_shell_and_lines_of_its_own() {
    let plan = plan(
        "FROM a\nARG V=1\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN --mount=type=cache,target=/c echo $V\nRUN <<EOF\necho 1\necho 2\nEOF\n",
    );
    let with = |text: &str| {
        let words = ["/bin/bash", "-ec", text].map(str::to_owned).to_vec();
        Step::Run(words, BTreeMap::from([("V".to_owned(), "1".to_owned())]))
    };
    assert_eq!(plan.steps, [with("echo $V"), with("echo 1\necho 2\n")]);
}

#[test]
fn what_only_concerns_others_is_passed_over() {
    let plan = plan(
        "FROM a AS only\nLABEL x=y\nEXPOSE 80\nUSER root\nHEALTHCHECK NONE\nVOLUME /v\nSTOPSIGNAL TERM\nMAINTAINER m",
    );
    assert_eq!(plan, Plan::default());
}

#[test]
fn what_cannot_be_built_says_why() {
    for (text, word) in [
        ("RUN true", "FROM: is missing"),
        ("RUN true\nFROM a", "RUN: stands before FROM"),
        ("FROM a\nFROM b", "several stages"),
        ("FROM a\nFLY", "FLY: is not understood"),
        ("FROM a\nENV A='b", "ENV"),
        ("FROM a\nENV A=b C", "ENV: `C` is no NAME=VALUE"),
        ("FROM a\nUSER ada", "USER: `ada`"),
        ("FROM a\nCOPY --from=b x y", "--from is not done here"),
        ("FROM a\nCOPY ../x y", "outside of the context"),
        ("FROM a\nADD https://example.org/x y", "nothing is fetched"),
        ("FROM a\nCOPY x", "names no place"),
        ("FROM a\nCOPY <<EOF /f\nx\nEOF", "use RUN"),
        ("FROM a\nRUN <<EOF\nx", "`EOF` is missing"),
        ("FROM a\nRUN --mount=type=secret,id=x true", "--mount=type=secret"),
        ("FROM a\nRUN a \\", "goes on with nothing"),
        ("FROM ", "names no image"),
    ] {
        assert!(why(text).contains(word), "{text}: {}", why(text));
    }
}
