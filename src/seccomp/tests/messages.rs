//! A profile that cannot be used is refused with the place, the field and the cure.

use crate::seccomp::compile;

fn refused(json: &str, expected: &str) {
    match compile(json.as_bytes()) {
        Ok(program) => panic!("compiled to {} instructions: {json}", program.len()),
        Err(problem) => assert_eq!(problem.to_string(), expected, "{json}"),
    }
}

/// One filter `f` with these rules.
fn filter(rules: &str) -> String {
    format!("{{ \"f\": {{ \"mismatch_action\": \"allow\", \"match_action\": \"log\", \"filter\": [\n{rules}\n] }} }}")
}

fn condition(text: &str) -> String {
    filter(&format!("{{ \"syscall\": \"ioctl\", \"args\": [{{ {text} }}] }}"))
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    refused("{\n  \"f\": ]", "filter `f`: expected value at line 2 column 8");
    refused("", "EOF while parsing a value at line 1 column 0");
    refused("[]", "invalid type: sequence, expected an object of named filters at line 1 column 0");
}

#[test]
fn an_unknown_field_is_named_with_its_filter_and_rule() {
    refused(
        &filter("{ \"syscall\": \"read\" },\n{ \"sycall\": \"write\" }"),
        "filter `f`: rule 2: unknown field `sycall`, expected one of `syscall`, `args`, `comment` at line 3 column 10",
    );
}

#[test]
fn an_unknown_call_is_named_with_its_place() {
    refused(
        &filter("{ \"syscall\": \"read\" },\n{ \"syscall\": \"wrte\" }"),
        "filter `f`: rule 2: `syscall`: `wrte` is no system call of x86_64; correct the name, or move the rule to a filter `NAME@ARCH` at line 3 column 14",
    );
}

#[test]
fn names_and_keys_stand_once() {
    let body = "{ \"mismatch_action\": \"allow\", \"match_action\": \"log\", \"filter\": [{ \"syscall\": \"read\" }] }";
    refused(
        &format!("{{ \"f\": {body},\n\"f\": {body} }}"),
        "filter `f`: the name is used twice; give each filter its own at line 2 column 3",
    );
    refused(
        &filter("{ \"syscall\": \"read\", \"syscall\": \"write\" }"),
        "filter `f`: rule 1: duplicate field `syscall` at line 2 column 30",
    );
    refused(
        &body.replace('[', "{ ").replace(']', "}").replacen('{', "{\"f@mips\": {", 1),
        "filter `f@mips`: `mips` is no architecture; write @x86_64, @aarch64 or @riscv64 at line 1 column 9",
    );
}

#[test]
fn a_filter_that_decides_nothing_is_refused() {
    refused("{}", "the profile has no filter for this architecture; add one");
    refused(
        "{ \"f\": { \"mismatch_action\": \"allow\", \"match_action\": \"allow\", \"filter\": [] } }",
        "filter `f`: `match_action` and `mismatch_action` are the same, so its rules mean nothing at line 1 column 78",
    );
    let empty = "{ \"mismatch_action\": \"allow\", \"match_action\": \"log\", \"filter\": [] }";
    refused(
        &format!("{{ \"f\": {empty}, \"g\": {empty} }}"),
        "filter `f`: `filter` is empty and the filter is not the last, so it decides nothing; remove it",
    );
}

#[test]
fn a_rule_behind_one_that_always_decides_is_refused() {
    refused(
        &filter("{ \"syscall\": \"read\" },\n{ \"syscall\": \"read\" }"),
        "filter `f`: rule 2: `read` is decided by rule 1 of filter `f` already; remove one of them",
    );
    // seccompiler would forget the rule without arguments here.
    let conditional =
        "{ \"syscall\": \"read\", \"args\": [{ \"index\": 0, \"type\": \"dword\", \"op\": \"eq\", \"val\": 1 }] }";
    refused(
        &filter(&format!("{conditional},\n{{ \"syscall\": \"read\" }}")),
        "filter `f`: rule 2: `read` is decided by rule 1 of filter `f` already; remove one of them",
    );
}

#[test]
fn a_condition_that_cannot_mean_what_it_says_is_refused() {
    let cases = [
        (
            "\"index\": 6, \"type\": \"dword\", \"op\": \"eq\", \"val\": 1",
            "`index`: a call has arguments 0 to 5, not 6",
        ),
        (
            "\"index\": 1, \"type\": \"dword\", \"op\": \"eq\", \"val\": 4294967296",
            "`val`: 4294967296 does not fit a dword; compare as `qword`",
        ),
        (
            "\"index\": 1, \"type\": \"dword\", \"op\": {\"masked_eq\": 4294967296}, \"val\": 0",
            "`op`: the mask 4294967296 does not fit a dword; compare as `qword`",
        ),
        (
            "\"index\": 1, \"type\": \"dword\", \"op\": {\"masked_eq\": 15}, \"val\": 16",
            "the condition on argument 1 never holds; correct `op` or `val`",
        ),
        (
            "\"index\": 1, \"type\": \"qword\", \"op\": \"ge\", \"val\": 0",
            "the condition on argument 1 always holds; correct `op` or `val`",
        ),
        (
            "\"index\": 1, \"type\": \"dword\", \"op\": \"gt\", \"val\": 4294967295",
            "the condition on argument 1 never holds; correct `op` or `val`",
        ),
    ];
    for (text, problem) in cases {
        let message = compile(condition(text).as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("filter `f`: rule 1: {problem} at line 2 column ")), "{message}");
    }
}

#[test]
fn an_argument_with_two_values_at_once_is_refused() {
    let equal = |value| format!("{{ \"index\": 0, \"type\": \"dword\", \"op\": \"eq\", \"val\": {value} }}");
    let message = |args: String| {
        let json = filter(&format!("{{ \"syscall\": \"read\", \"args\": [{args}] }}"));
        compile(json.as_bytes()).unwrap_err().to_string()
    };
    assert!(
        message(format!("{}, {}", equal(1), equal(2)))
            .contains("argument 0 cannot be 1 and 2 at once; write two rules")
    );
    assert!(message(format!("{}, {}", equal(1), equal(1))).contains("the same condition on argument 0 twice"));
    assert!(message(String::new()).contains("`args` is empty; leave it out to match whatever the arguments"));
}

#[test]
fn an_errno_that_the_kernel_would_change_is_refused() {
    let json = filter("").replace("\"log\"", "{ \"errno\": 5000 }");
    assert!(compile(json.as_bytes()).unwrap_err().to_string().contains("errno 5000 is above 4095"));
}

#[test]
fn a_file_above_the_limit_is_refused_unread() {
    refused(
        &" ".repeat(256 * 1024 + 1),
        "the profile has 262145 bytes, more than the 262144 that are read; shorten it",
    );
}

#[test]
fn a_program_that_the_kernel_would_not_take_is_refused() {
    let rule = |i| {
        format!(
            "{{ \"syscall\": \"read\", \"args\": [{{ \"index\": {}, \"type\": \"qword\", \"op\": \"eq\", \"val\": {i} }}] }}",
            i % 6
        )
    };
    let rules: Vec<String> = (1..1500).map(rule).collect();
    let message = compile(filter(&rules.join(",\n")).as_bytes()).unwrap_err().to_string();
    assert!(message.ends_with("instructions, more than the kernel's 4096; use fewer rules"), "{message}");
}
