//! Which sandboxes a program has, and what they may reach.
//!
//! On standard input and output they are those that it made, and those that whoever started it has named: a set in memory, each with
//! a lease on its sandbox, which ends with this process however that ends. Over HTTP nothing is remembered between two requests:
//! they are the sandboxes with our label, and each ends when it was not used for [`IDLE`].

use super::{Told, Tools, invalid};
use crate::error::{Error, Kind};
use crate::serve::backend::Backend;
use crate::spec::network::{Rule, parse_rule};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::JsonSchema;
use rmcp::{schemars, tool, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// What sandboxes over HTTP have as a label.
const LABEL: &str = "belljar.mcp";
/// How long one lasts that nobody holds yet: this process may be killed before it does.
const UNHELD: &str = "1m";
/// Between two looks whether it is held.
const GLANCE: Duration = Duration::from_millis(20);
/// How long one over HTTP may be without a call.
const IDLE: &str = "30m";
/// Sandboxes of one program.
const MOST: usize = 32;
/// Refusals that are told, the latest first.
const LATEST: usize = 20;

/// What sandboxes are made with; whoever starts the server says it, and no tool goes beyond it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The image, where a tool names none.
    pub image: Option<String>,
    /// `none`, `only` the rules, or `open`; nothing: `none`, or `only` where there are rules.
    pub net: String,
    /// What may be reached.
    pub allow: Vec<String>,
    /// The limit of memory.
    pub memory: Option<String>,
    /// The limit of CPUs.
    pub cpus: Option<String>,
    /// The limit of the disk.
    pub disk: Option<String>,
}

/// The sandboxes of one program.
pub struct Boxes {
    pub(super) backend: Backend,
    terms: Terms,
    known: Known,
}

enum Known {
    Process(Mutex<Own>),
    Labelled,
}

#[derive(Default)]
struct Own {
    ids: Vec<String>,
    /// The one that tools mean which name none.
    default: Option<String>,
}

impl Boxes {
    /// Those of a process, and these that are there.
    pub(super) async fn of_process(backend: Backend, terms: Terms, named: Vec<String>) -> Result<Boxes, Error> {
        // What is wrong with the terms is said to whoever has set them, and not to a model.
        let tried = terms.parameters(terms.image.clone(), json!({ "dry_run": true, "command": "true" }));
        backend.call("run", tried).await?;
        let mut own = Own::default();
        for name in named {
            let known = backend.call("inspect", json!({ "name": name })).await?;
            own.ids.push(known["id"].as_str().unwrap_or_default().to_owned());
        }
        own.default = own.ids.first().cloned();
        Ok(Boxes { backend, terms, known: Known::Process(Mutex::new(own)) })
    }

    /// Those that are labelled.
    pub(super) fn labelled(backend: Backend, terms: Terms) -> Boxes {
        Boxes { backend, terms, known: Known::Labelled }
    }

    /// Asks for a verb, for a model: what is to be typed into a shell of the host is no cure for it.
    pub(super) async fn ask(&self, method: &str, parameters: Value) -> Result<Value, Error> {
        self.backend.call(method, parameters).await.map_err(|mut error| {
            error.hint = match error.kind {
                Kind::Ended => Some("it is gone with its files, and what it was used for begins anew".to_owned()),
                Kind::TooLarge => Some("ask for less: a directory further below, or a rarer text".to_owned()),
                _ => error.hint.filter(|hint| !hint.contains("belljar") && !hint.contains("`--")),
            };
            error
        })
    }

    /// The id of a sandbox by its id or its name, or of the one that is meant where none is named.
    pub(super) async fn find(&self, sandbox: Option<&str>) -> Result<String, Error> {
        let Some(name) = sandbox else { return self.default_one().await };
        if name.is_empty() {
            return Err(invalid("sandbox: is empty; leave it out, or give what create_sandbox answered"));
        }
        let unknown = || {
            Error::new(Kind::NotFound, format!("sandbox: there is no `{}`", name.escape_debug()))
                .hint("list_sandboxes shows those that there are, create_sandbox makes one")
        };
        let found = self.backend.call("inspect", json!({ "name": name })).await;
        let found = found.map_err(|error| if error.kind == Kind::NotFound { unknown() } else { error })?;
        let id = found["id"].as_str().unwrap_or_default();
        let ours = match &self.known {
            Known::Process(own) => own.lock().await.ids.iter().any(|ours| ours == id),
            Known::Labelled => found["labels"].get(LABEL).is_some(),
        };
        // Others of this user are nothing that a model should know of.
        if ours { Ok(id.to_owned()) } else { Err(unknown()) }
    }

    /// The one for whoever names none, made at the first call.
    async fn default_one(&self) -> Result<String, Error> {
        let Known::Process(own) = &self.known else {
            return Err(invalid("sandbox: is missing").hint("create_sandbox makes one"));
        };
        // Two calls at once get the same one.
        let mut own = own.lock().await;
        if let Some(id) = &own.default {
            match self.backend.call("inspect", json!({ "name": id })).await {
                Ok(_) => return Ok(id.clone()),
                Err(error) if error.kind == Kind::NotFound => {
                    let gone = id.clone();
                    own.ids.retain(|id| *id != gone);
                    own.default = None;
                    // Said once, so that nobody takes an empty sandbox for the one with his files.
                    return Err(Error::new(
                        Kind::Ended,
                        "the sandbox of this connection has ended, and its files are gone",
                    )
                    .hint("call again: another one is made, and is empty"));
                }
                Err(error) => return Err(error),
            }
        }
        let made = self.create(&mut own, Wanted::default()).await?;
        own.default = Some(made.clone());
        Ok(made)
    }

    async fn create(&self, own: &mut Own, wanted: Wanted) -> Result<String, Error> {
        if own.ids.len() >= MOST {
            // Some may have ended by themselves.
            let told = self.backend.call("ls", json!({})).await?;
            let there: Vec<&str> =
                told["sandboxes"].as_array().into_iter().flatten().filter_map(|known| known["id"].as_str()).collect();
            own.ids.retain(|id| there.contains(&id.as_str()));
        }
        if own.ids.len() >= MOST {
            return Err(
                Error::new(Kind::Busy, format!("there are {MOST} sandboxes")).hint("remove_sandbox removes one")
            );
        }
        let id = self.made(wanted, json!({ "ttl": UNHELD })).await?;
        // It goes with our `belljar rpc`, and that with us. Its end is nothing that anybody waits for.
        let (backend, leased) = (self.backend.clone(), json!({ "name": id, "lease": true }));
        tokio::spawn(async move { backend.call("wait", leased).await });
        tokio::spawn(lasts_while_held(self.backend.clone(), id.clone()));
        own.ids.push(id.clone());
        Ok(id)
    }

    async fn made(&self, wanted: Wanted, more: Value) -> Result<String, Error> {
        let image = match wanted.image.or_else(|| self.terms.image.clone()) {
            Some(image) => Some(image),
            None => self.usual_image().await?,
        };
        let mut parameters = self.terms.parameters(image, more);
        parameters["env"] = json!(wanted.env);
        let made = self.backend.call("create", parameters).await?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }

    /// The image `python`, where there is one; this machine's own files elsewhere.
    async fn usual_image(&self) -> Result<Option<String>, Error> {
        let images = self.backend.call("image.ls", json!({})).await?;
        let names = images["images"].as_array().into_iter().flatten().filter_map(|image| image["name"].as_str());
        Ok(names.into_iter().find(|name| *name == "python").map(str::to_owned))
    }
}

/// Lets a sandbox last for any time, as soon as somebody holds it who ends with this process.
async fn lasts_while_held(backend: Backend, id: String) {
    loop {
        match backend.call("stats", json!({ "name": id })).await {
            Ok(stats) if stats["leases"].as_u64().is_some_and(|leases| leases > 0) => break,
            Ok(_) => tokio::time::sleep(GLANCE).await,
            // It has ended already.
            Err(_) => return,
        }
    }
    while let Err(error) = backend.call("life", json!({ "name": id, "ttl": "none" })).await {
        if matches!(error.kind, Kind::NotFound | Kind::Ended) {
            return;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

impl Terms {
    /// What a sandbox of them is made with, and more.
    fn parameters(&self, image: Option<String>, more: Value) -> Value {
        let mut all = more;
        all["net"] = json!(self.net());
        all["allow"] = json!(self.allow);
        let limits = [("image", &image), ("memory", &self.memory), ("cpus", &self.cpus), ("disk", &self.disk)];
        for (key, value) in limits {
            if let Some(value) = value {
                all[key] = json!(value);
            }
        }
        all
    }

    fn net(&self) -> &str {
        match (self.net.as_str(), self.allow.is_empty()) {
            ("", true) => "none",
            ("", false) => "only",
            (net, _) => net,
        }
    }

    /// The parameters of a policy that a tool wants, if it is no more than these terms.
    fn within(&self, wanted: &Network) -> Result<Value, Error> {
        let refused = |what: &str| {
            let rules =
                if self.allow.is_empty() { String::new() } else { format!(" and allow {}", self.allow.join(", ")) };
            Error::new(
                Kind::Denied,
                format!("{what} is more than this server allows, which is net {}{rules}", self.net()),
            )
            .hint("whoever starts the server decides that: `belljar mcp --net open`, or `--allow RULE`")
        };
        match wanted.mode {
            Mode::None if wanted.allow.is_empty() => Ok(json!({ "net": "none" })),
            Mode::None => Err(invalid("allow: has no meaning with mode `none`; use mode `only`")),
            Mode::Open if self.net() == "open" => Ok(json!({ "net": "open", "deny": wanted.deny })),
            Mode::Open => Err(refused("mode: open")),
            Mode::Only => {
                let terms: Vec<Rule> = self.allow.iter().flat_map(|rule| parse_rule(rule)).flatten().collect();
                // An open network has every name in it; addresses and this machine's loopback have to be in the terms themselves.
                let open = self.net() == "open";
                let is_in = |rule: &Rule| terms.iter().any(|own| own.includes(rule)) || (open && rule.is_of_names());
                // What is no rule is refused by the verb, in better words.
                let own = |rule: &String| parse_rule(rule).map_or(true, |rules| rules.iter().all(is_in));
                match wanted.allow.iter().find(|rule| !own(rule)) {
                    Some(rule) => Err(refused(&format!("allow: `{}`", rule.escape_debug()))),
                    None => Ok(json!({ "net": "only", "allow": wanted.allow, "deny": wanted.deny })),
                }
            }
        }
    }
}

/// A new sandbox.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The image; without it `python`, or this machine's own programs where there is no such image
    image: Option<String>,
    /// Variables of everything that runs in it
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// A sandbox.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct One {
    /// What create_sandbox answered
    sandbox: String,
}

/// A sandbox, or the one that goes with the connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
}

/// What a sandbox is to reach.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// What create_sandbox answered; without it the one that goes with this connection
    sandbox: Option<String>,
    /// `none`: nothing; `only`: what `allow` names; `open`: everything but this machine and its neighbourhood
    mode: Mode,
    /// Rules as `pypi.org`, `*.example.com:443` or `@python`
    #[serde(default)]
    allow: Vec<String>,
    /// Rules that are taken out again
    #[serde(default)]
    deny: Vec<String>,
}

/// How much of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    None,
    Only,
    Open,
}

#[tool_router(router = box_tools, vis = "pub(super)")]
impl Tools {
    /// Make a sandbox: its own files, processes and network. Answers its id, which the other tools take as `sandbox`.
    #[tool]
    async fn create_sandbox(&self, Parameters(wanted): Parameters<Wanted>) -> Told {
        let made = match &self.boxes.known {
            Known::Process(own) => self.boxes.create(&mut *own.lock().await, wanted).await,
            Known::Labelled => self.boxes.made(wanted, json!({ "label": { LABEL: "" }, "idle_stop": IDLE })).await,
        };
        Told::json(made.map(|id| json!({ "sandbox": id })))
    }

    /// List the sandboxes that there are, with what each was made of and whether it runs.
    #[tool(annotations(read_only_hint = true))]
    async fn list_sandboxes(&self) -> Told {
        let listed = self.boxes.ask("ls", json!({})).await;
        let ours = match &self.boxes.known {
            Known::Process(own) => Some(own.lock().await.ids.clone()),
            Known::Labelled => None,
        };
        Told::json(listed.map(|listed| {
            let is_ours = |known: &&Value| match &ours {
                Some(ids) => ids.iter().any(|id| known["id"] == **id),
                None => known["labels"].get(LABEL).is_some(),
            };
            let shown = listed["sandboxes"].as_array().into_iter().flatten().filter(is_ours);
            let shown =
                shown.map(|known| json!({ "sandbox": known["id"], "image": known["image"], "state": known["state"] }));
            Value::Array(shown.collect())
        }))
    }

    /// Remove a sandbox, with all files and processes in it.
    #[tool(annotations(destructive_hint = true))]
    async fn remove_sandbox(&self, Parameters(one): Parameters<One>) -> Told {
        let removed = async {
            let id = self.boxes.find(Some(&one.sandbox)).await?;
            self.boxes.ask("rm", json!({ "name": id, "force": true })).await?;
            if let Known::Process(own) = &self.boxes.known {
                let mut own = own.lock().await;
                own.ids.retain(|ours| *ours != id);
                own.default.take_if(|default| *default == id);
            }
            Ok(json!({ "removed": id }))
        };
        Told::json(removed.await)
    }

    /// Tell what a sandbox may reach on the network, and what it was refused.
    #[tool(annotations(read_only_hint = true))]
    async fn get_network(&self, Parameters(which): Parameters<Which>) -> Told {
        let told = async {
            let id = self.boxes.find(which.sandbox.as_deref()).await?;
            let known = self.boxes.ask("inspect", json!({ "name": id })).await?;
            let mut told = json!({ "net": known["net"], "allow": known["allow"], "deny": known["deny"] });
            if matches!(known["net"].as_str(), Some("only" | "open")) {
                let log = self.boxes.ask("net.log", json!({ "name": id })).await?;
                let events = log["events"].as_array().into_iter().flatten().rev();
                let refused = events.filter(|event| event["event"] == "refused").take(LATEST);
                told["refused"] = refused.cloned().collect();
            }
            Ok(told)
        };
        Told::json(told.await)
    }

    /// Change what a sandbox may reach on the network, within what whoever started this server allows.
    #[tool]
    async fn set_network(&self, Parameters(wanted): Parameters<Network>) -> Told {
        let told = async {
            let mut parameters = self.boxes.terms.within(&wanted)?;
            let id = self.boxes.find(wanted.sandbox.as_deref()).await?;
            let known = self.boxes.ask("inspect", json!({ "name": id })).await?;
            // One that was made without a network has no policy that could be changed.
            if wanted.mode == Mode::None && known["net"] == "none" {
                return Ok(json!({ "net": "none", "allow": [], "deny": [] }));
            }
            parameters["name"] = Value::String(id);
            self.boxes.ask("net.set", parameters).await
        };
        Told::json(told.await)
    }
}
