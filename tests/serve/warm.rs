//! Code that a warm template's interpreter runs: belljar's own addition to what clients ask for.

use crate::common::installed;
use crate::server::Server;
use serde_json::{Value, json};

#[test]
fn code_by_a_template_has_a_sandbox_of_its_own_and_this_ones_variables() {
    if !installed("python3") {
        return;
    }
    let server = Server::new("warm");
    let box_ = json!({ "name": "box", "networkBlockAll": true, "env": { "OF": "the sandbox" } });
    assert_eq!(server.asked("POST", "/api/sandbox", &box_.to_string()).0, 200);
    let words = ["warm", "create", "--image", "host", "--preload", "import decimal", "numbers"];
    let missing = crate::common::allowed_to_be_missing();
    server.sandboxes.done(&[&words[..2], missing, &words[2..]].concat());
    let asks = |wish: Value| -> (u16, Value) {
        let (status, body) = server.asked("POST", "/toolbox/box/process/code-run", &wish.to_string());
        (status, serde_json::from_str(&body).expect("an object"))
    };
    let code = "import os, sys; print(sys.argv[1:], 'decimal' in sys.modules, os.environ['OF'], os.environ['A'], flush=True)\n\
        open('/tmp/mine', 'x'); print('wrong', file=sys.stderr); sys.exit(3)";
    let wish = json!({ "code": code, "argv": ["x"], "envs": { "A": "1" }, "warm": "numbers" });
    for _ in 0..2 {
        let (status, told) = asks(wish.clone());
        assert_eq!((status, &told["exitCode"]), (200, &json!(3)), "{told}");
        assert_eq!(told["result"], "['x'] True the sandbox 1\nwrong\n");
        assert!(["parked", "forked"].contains(&told["warm"]["how"].as_str().expect("text")), "{told}");
    }
    let (status, told) = asks(json!({ "code": "while True: pass", "warm": "numbers", "timeout": 1 }));
    assert_eq!((status, &told["code"]), (408, &json!("PROCESS_EXECUTION_TIMEOUT")), "{told}");
    let (status, told) = asks(json!({ "code": "1", "warm": "nosuch" }));
    assert!(status == 404 && told["message"].as_str().is_some_and(|message| message.contains("nosuch")), "{told}");
    let (status, told) = asks(json!({ "code": "1", "language": "javascript", "warm": "numbers" }));
    assert!(status == 400 && told["message"].as_str().is_some_and(|message| message.contains("lang")), "{told}");
    let (status, told) = asks(json!({ "code": "1", "language": "typescript", "warm": "numbers" }));
    assert!(status == 400 && told["message"].as_str().is_some_and(|message| message.contains("warm")), "{told}");
    let (status, told) = asks(json!({ "code": "import os; print(os.path.exists('/tmp/mine'))" }));
    assert_eq!((status, told), (200, json!({ "exitCode": 0, "result": "False\n" })));
}
