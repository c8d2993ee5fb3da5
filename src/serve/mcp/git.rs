//! Git inside, in one tool: a model knows git, and its own verbs are the arguments here.

use super::{Told, Tools, invalid};
use crate::error::Error;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::JsonSchema;
use rmcp::{schemars, tool, tool_router};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What to do with a repository.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Git {
    /// What to do
    operation: Operation,
    /// The repository's directory; of clone, where it goes
    path: Option<String>,
    /// What the operation takes besides: clone url, branch, commit, depth; init branch, bare; add files, force; commit message, author, email,
    /// all, amend; log from, limit, skip; branch name, from, delete, rename; checkout name, create, from; diff from, to, staged, summary,
    /// files; show commit, summary; fetch remote, branch, prune, tags; pull remote, branch, merge, rebase; push remote, branch, set_upstream,
    /// force, tags; reset mode, target, files; restore files, source, staged; stash deed, message; remote deed, name, to; config key, value
    #[serde(default)]
    arguments: Map<String, Value>,
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

/// A verb of git's.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Clone,
    Init,
    Status,
    Add,
    Commit,
    Log,
    Branch,
    Checkout,
    Diff,
    Show,
    Fetch,
    Pull,
    Push,
    Reset,
    Restore,
    Stash,
    Remote,
    Config,
}

impl Operation {
    fn method(self) -> &'static str {
        match self {
            Operation::Clone => "git.clone",
            Operation::Init => "git.init",
            Operation::Status => "git.status",
            Operation::Add => "git.add",
            Operation::Commit => "git.commit",
            Operation::Log => "git.log",
            Operation::Branch => "git.branch",
            Operation::Checkout => "git.checkout",
            Operation::Diff => "git.diff",
            Operation::Show => "git.show",
            Operation::Fetch => "git.fetch",
            Operation::Pull => "git.pull",
            Operation::Push => "git.push",
            Operation::Reset => "git.reset",
            Operation::Restore => "git.restore",
            Operation::Stash => "git.stash",
            Operation::Remote => "git.remote",
            Operation::Config => "git.config",
        }
    }
}

/// What would take credentials from the host, or tell whom to believe, is nothing for a model.
fn is_the_hosts(key: &str) -> bool {
    key.starts_with("password") || matches!(key, "username" | "ssh_agent" | "known_hosts" | "insecure_tls")
}

/// The parameters of a method.
fn parameters(asked: Git, id: String) -> Result<Value, Error> {
    let mut all = asked.arguments;
    if let Some(key) = all.keys().find(|key| is_the_hosts(key)) {
        return Err(invalid(format!("arguments: `{}` is not to be had here", key.escape_debug()))
            .hint("whoever runs the server can use `belljar git` with it"));
    }
    for key in ["sandbox", "path", "stream", "input"] {
        if all.contains_key(key) {
            return Err(invalid(format!("arguments: `{key}` is none of them; `path` and `sandbox` stand beside them")));
        }
    }
    all.insert("sandbox".to_owned(), Value::String(id));
    if let Some(path) = asked.path {
        all.insert("path".to_owned(), Value::String(path));
    }
    Ok(Value::Object(all))
}

#[tool_router(router = git_tools, vis = "pub(super)")]
impl Tools {
    /// Work with a git repository in the sandbox. Answers JSON. It reaches other machines as far as the sandbox does.
    #[tool(annotations(open_world_hint = true))]
    async fn git(&self, Parameters(asked): Parameters<Git>) -> Told {
        let told = async {
            let (method, id) = (asked.operation.method(), self.boxes.find(asked.sandbox.as_deref()).await?);
            self.boxes.ask(method, parameters(asked, id)?).await
        };
        Told::json(told.await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_of_the_host_are_out_of_reach() {
        for key in ["password_env", "password_fd", "password", "ssh_agent", "known_hosts", "insecure_tls", "sandbox"] {
            let asked = json!({ "operation": "clone", "arguments": { key: "x" } });
            let asked: Git = serde_json::from_value(asked).unwrap();
            let told = parameters(asked, "id".to_owned()).unwrap_err().to_string();
            assert!(told.contains(key), "{told}");
        }
        let asked: Git =
            serde_json::from_value(json!({ "operation": "log", "path": "p", "arguments": { "limit": 1 } })).unwrap();
        assert_eq!(parameters(asked, "id".to_owned()).unwrap(), json!({ "sandbox": "id", "path": "p", "limit": 1 }));
    }
}
