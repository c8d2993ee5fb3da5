//! The example of Daytona's that people see first, word for word. Daytona's own client refuses it.

use crate::common::available;
use crate::common::sandboxes::Sandboxes;
use crate::programs::{done, packages, python, root};
use std::path::Path;
use std::process::Command;

/// With any callable as `llm`, and what a test looks at.
const EXAMPLE: &str = r#"
def llm(prompt):
    return "total = sum(range(10))\nprint('the sum is', total)"

# --- word for word
from daytona_sdk import Daytona

daytona = Daytona()

# Create a sandbox
sandbox = daytona.create(language="python")

# Run code that a model has written
code = llm("Write Python code that adds numbers")
result = sandbox.process.code_run(code)
if result.exit_code == 0:
    print(result.result)

# Another language
result = sandbox.process.code_run('console.log(process.version)', language='javascript')
print(result.result)

# Shell commands
files = sandbox.process.exec('ls -la /app')
install = sandbox.process.exec('pip install requests')
# --- the end

print(files.exit_code, files.result)
print(install.exit_code, install.result)
print(sandbox.process.code_run("import requests; print(requests.__version__)").result)
"#;

/// Makes the image `python` of this machine's files, with a settings file by which pip asks this machine for packages.
const IMAGE: &str = r#"
import sys
from belljar import Daytona, Image
with Daytona() as daytona:
    lines = f"[global]\\nindex-url = http://host.belljar.internal:{sys.argv[1]}/\\ntrusted-host = host.belljar.internal\\n"
    image = Image.base("host").run_commands("mkdir -p ~/.config/pip", f"printf '{lines}' > ~/.config/pip/pip.conf")
    with daytona.create(image=image) as sandbox:
        sandbox.create_snapshot("python")
"#;

/// Serves a package `requests` as an index does, at a port that it says first.
const INDEX: &str = r#"
import http.server, os, zipfile
os.makedirs("requests")
with zipfile.ZipFile("requests/requests-9.9.9-py3-none-any.whl", "w") as wheel:
    about = "requests-9.9.9.dist-info"
    files = {"requests/__init__.py": "__version__ = '9.9.9'\n", f"{about}/METADATA": "Metadata-Version: 2.1\nName: requests\nVersion: 9.9.9\n",
             f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    for name, text in files.items():
        wheel.writestr(name, text)
    wheel.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"]))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

fn runs(sandboxes: &Sandboxes, begin: &mut Command) {
    let (mut index, port) = served(&sandboxes.0.0);
    done(python(sandboxes).args(["-c", IMAGE, &port]));
    let said = done(begin.env("BELLJAR_NET", format!("host:{port}")));
    index.kill().expect("end the index");
    index.wait().expect("its end");
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("the sum is 45"), "{said}");
    assert!(said.contains("\nv") && said.contains("\n2 ls: cannot access '/app'"), "{said}");
    assert!(said.contains("Successfully installed requests-9.9.9") && said.ends_with("9.9.9\n\n"), "{said}");
    assert_eq!(sandboxes.states(), []);
}

fn served(directory: &Path) -> (std::process::Child, String) {
    use std::io::{BufRead as _, BufReader};
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", INDEX]).current_dir(directory).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("start Python");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("read its output");
    (child, line.trim().to_owned())
}

#[test]
fn the_example_runs_as_a_script_that_nobody_has_changed() {
    let sandboxes = Sandboxes::new("sdk-script");
    let script = sandboxes.0.file("script.py", EXAMPLE);
    let mut command = python(&sandboxes);
    runs(&sandboxes, command.env("BELLJAR_AS_DAYTONA", "1").args(["-m", "belljar"]).arg(script));
}

#[test]
fn the_example_runs_with_one_import_changed() {
    let sandboxes = Sandboxes::new("sdk-import");
    let script = sandboxes.0.file("script.py", EXAMPLE.replace("from daytona_sdk", "from belljar.daytona_sdk"));
    runs(&sandboxes, python(&sandboxes).arg(script));
}

#[test]
fn a_module_of_daytonas_that_is_installed_stands_back_and_what_is_missing_is_said() {
    let sandboxes = Sandboxes::new("sdk-modules");
    let installed = packages("daytona");
    if !available("the official clients: `tests/clients` installs them", installed.exists()) {
        return;
    }
    let script = sandboxes.0.file(
        "script.py",
        "import sys, daytona, daytona_sdk, belljar\nfrom daytona.common.process import CodeRunParams\n\
         assert daytona.Daytona is daytona_sdk.Daytona is belljar.Daytona and CodeRunParams is belljar.CodeRunParams\n\
         try: from daytona import ComputerUse\nexcept ImportError as error: print(error)\n\
         import beside\nprint(sys.argv[1:], __name__, beside.VALUE)",
    );
    sandboxes.0.file("beside.py", "VALUE = 5");
    let path = std::env::join_paths([root().join("sdk/python"), installed]).expect("paths");
    let mut command = python(&sandboxes);
    command.env("PYTHONPATH", path).env("BELLJAR_AS_DAYTONA", "1").args(["-m", "belljar"]).arg(script).args(["a", "b"]);
    let said = done(&mut command);
    assert!(said.starts_with("cannot import name 'ComputerUse' from 'daytona'"), "{said}");
    assert!(said.ends_with("['a', 'b'] __main__ 5\n"), "{said}");
}

#[test]
fn python_with_the_package_is_the_command_line_too() {
    let sandboxes = Sandboxes::new("sdk-line");
    assert_eq!(done(python(&sandboxes).args(["-m", "belljar", "--version"])), sandboxes.done(&["--version"]));
}
