//! False keepers: whoever is inside may take the place of one, and says what he likes to who asks for his session.

use crate::common::sandboxes::Sandboxes;
use crate::common::{Run, installed};
use std::process::Command;

/// Takes the place of the session `sh`, and answers everybody with the frames that `flood` makes, for ever.
const FALSE: &str = r#"
import os, socket, struct, sys, threading
place = f'/tmp/.belljar-{os.getuid()}/sh'
os.makedirs(place, exist_ok=True)
if os.path.exists(place + '/socket'):
    os.unlink(place + '/socket')
listener = socket.socket(socket.AF_UNIX)
listener.bind(place + '/socket')
listener.listen()
print('listens', flush=True)
frames = b''.join(struct.pack('<IB', len(text), ord('i')) + text for text in [eval(sys.argv[1]).encode()])
frames *= max(1, 65536 // len(frames))
def answer(caller):
    try:
        caller.recv(65536)
        while True:
            caller.sendall(frames)
    except OSError:
        pass
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
"#;

/// Says at its end how much memory its command and those below had at most, kilobytes.
const MEASURE: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], timeout=200, stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

#[test]
fn who_floods_his_caller_takes_no_memory_from_him() {
    if !installed("python3") {
        return;
    }
    let sandboxes = Sandboxes::new("flooded");
    sandboxes.create("box", &[]);
    let job = r#"{"job":1,"text":"","end":null}"#;
    let session = |jobs: &str| format!(r#"'{{"id":"a","kind":"shell","ended":null,"jobs":[' + {jobs} + ']}}'"#);
    let (few, many) = (session("''"), session(&format!("','.join(['{job}'] * 30000)")));
    let wide = session(&format!("'{}'", job.replace("\"\"", &format!("\"{}\"", "x".repeat(60000)))));
    let result =
        |data: &str| format!(r#"'{{"result":{{"media_type":"text/plain","data":"' + {data} + '","more":false}}}}'"#);
    let (ls, exec) = (["session", "ls", "box"], ["session", "exec", "box", "sh", "true"]);
    for (words, flood) in [
        (&ls[..], &few),
        (&ls, &many),
        (&ls, &wide),
        (&exec, &result("''")),
        (&exec, &result("'x' * 60000")),
        (&exec, &r"'{\x22stdout\x22:\x22' + (chr(92) + 'u0000') * 9000 + '\x22}'".to_owned()),
        (&["session", "rm", "box", "other"], &few),
    ] {
        sandboxes.shell("box", "pkill -f [m]akedirs; rm -rf /tmp/.belljar-*; true");
        let mut inside = sandboxes.command(&["exec", "box", "--", "python3", "-c", FALSE, flood]);
        let mut keeper = crate::common::Started::new(&mut inside);
        assert_eq!(keeper.first_line(), "listens");
        let caller = sandboxes.command(&[words, &["--json"]].concat());
        let mut measured = Command::new("python3");
        measured.args(["-c", MEASURE]).arg(caller.get_program()).args(caller.get_args());
        measured.envs(caller.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = Run::from(measured.output().expect("start python3"));
        let numbers: Vec<i64> = run.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let short = flood.get(..60).unwrap_or(flood);
        // On a slow machine a session is listed as one that does not answer before its first frame is whole.
        let refused = |code| code == 1 || code == 0 && words == ls;
        assert!(matches!(numbers[..], [code, peak] if refused(code) && peak < 100 << 10), "{words:?} {short}: {run:?}");
        keeper.signal(nix::sys::signal::Signal::SIGTERM);
        keeper.finish();
    }
}
