//! The methods in the form of OpenRPC 1.3 (<https://spec.open-rpc.org>), from the types: `docs/rpc.json`, which `belljar schema rpc`
//! prints. Each parameter and each result has its schema; what several have in common stands once, under `components`.

use super::Told;
use super::parameters::Take;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The schemas of methods, as they are added.
pub struct Schemas {
    parameters: SchemaGenerator,
    results: SchemaGenerator,
    methods: Vec<Value>,
}

impl Schemas {
    fn new() -> Schemas {
        let settings = || {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings
        };
        Schemas {
            parameters: settings().into_generator(),
            results: settings().for_serialize().into_generator(),
            methods: Vec::new(),
        }
    }

    /// That of a verb.
    pub fn add<V: Take + JsonSchema, T: Told + JsonSchema>(&mut self, name: &str, about: &str) {
        let schema = Value::from(V::json_schema(&mut self.parameters));
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let mut params: Vec<Value> = V::names()
            .iter()
            .map(|name| {
                let mut schema = properties.get(*name).cloned().unwrap_or_else(|| panic!("{name} has no schema"));
                let about = schema.as_object_mut().and_then(|schema| schema.remove("description")).unwrap_or_default();
                json!({ "name": name, "summary": about, "required": required.contains(name), "schema": schema })
            })
            .collect();
        assert_eq!(params.len(), properties.len(), "{name}: parameters that cannot be given");
        params.sort_by_key(|parameter| parameter["required"] != json!(true));
        params.extend(of_every_method());
        let mut result = Value::from(self.results.subschema_for::<T>());
        // Every result says the version of its shape.
        if !T::HAS_VERSION {
            result = json!({ "allOf": [result, { "type": "object", "properties": { "version": { "const": 1 } }, "required": ["version"] }] });
        }
        let about = about.trim().lines().next().unwrap_or_default().trim();
        self.methods.push(method(name, about, Value::Array(params), result));
    }

    fn finish(mut self) -> Value {
        self.methods.extend(of_rpc());
        let mut schemas: Map<String, Value> = self.parameters.take_definitions(true);
        let error = Value::from(crate::error::Error::json_schema(&mut self.results));
        let results = self.results.take_definitions(true);
        for (name, schema) in results {
            let twice = schemas.insert(name.clone(), schema.clone()).filter(|other| *other != schema);
            assert_eq!(twice, None, "two schemas are called {name}");
        }
        schemas.insert("RpcError".to_owned(), of_rpc_error(error));
        let data = json!({ "$ref": "#/components/schemas/RpcError" });
        let error = |(name, code, message): &(&str, i32, &str)| {
            ((*name).to_owned(), json!({ "code": code, "message": message, "data": data }))
        };
        let errors: Map<String, Value> = ERRORS.iter().map(error).collect();
        json!({
            "openrpc": "1.3.2",
            "info": { "title": "belljar rpc", "version": env!("CARGO_PKG_VERSION"), "description": "JSON-RPC 2.0 over standard input \
                and output, one object a line. docs/rpc.md tells the protocol." },
            "methods": self.methods,
            "components": { "schemas": schemas, "errors": errors },
        })
    }
}

/// The errors that any method may answer.
const ERRORS: [(&str, i32, &str); 6] = [
    ("Request", -32600, "No request"),
    ("Method", -32601, "No such method"),
    ("Parameters", -32602, "A parameter is wrong"),
    ("Internal", -32603, "A worker was lost, or could not be started"),
    ("Failed", -32000, "The verb failed"),
    ("Cancelled", -32800, "Cancelled before it had a result"),
];

/// The `data` of every error: the error object, and the exit code of the command line.
fn of_rpc_error(mut error: Value) -> Value {
    error["description"] =
        json!("The one error object of belljar, with the exit code that the command line would have.");
    error["properties"]["exit_code"] =
        json!({ "description": "What the command line would exit with.", "type": "integer" });
    let keys: Vec<String> = error["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect();
    error["required"] = json!(keys);
    error
}

fn method(name: &str, about: &str, params: Value, result: Value) -> Value {
    let errors: Vec<Value> =
        ERRORS.iter().map(|(name, ..)| json!({ "$ref": format!("#/components/errors/{name}") })).collect();
    json!({ "name": name, "summary": about, "paramStructure": "by-name", "params": params,
        "result": { "name": "result", "schema": result }, "errors": errors })
}

/// What every verb takes besides.
fn of_every_method() -> [Value; 2] {
    let bytes = json!({ "$ref": "#/components/schemas/Word" });
    [
        json!({ "name": "stream", "summary": "Tell what it prints as it comes", "required": false, "schema": { "type": "boolean" } }),
        json!({ "name": "input", "summary": "Standard input: all of it, or true for what `input` gives", "required": false,
            "schema": { "anyOf": [bytes, { "type": "boolean" }] } }),
    ]
}

/// The methods that are rpc's own.
fn of_rpc() -> [Value; 3] {
    let id = json!({ "name": "id", "summary": "The id of the request", "required": true, "schema": { "type": ["string", "number"] } });
    let nothing = json!({ "type": "object", "additionalProperties": false });
    let data = json!({ "name": "data", "required": false, "schema": { "$ref": "#/components/schemas/Word" } });
    let end = json!({ "name": "end", "summary": "Nothing comes after it", "required": false, "schema": { "type": "boolean" } });
    let version =
        json!({ "type": "object", "properties": { "version": { "type": "string" } }, "required": ["version"] });
    [
        method("cancel", "End a request that is in flight, as Ctrl-C does", json!([id]), nothing.clone()),
        method(
            "input",
            "Give standard input to a request that has `input` true; answered when it has taken all",
            json!([id, data, end]),
            nothing,
        ),
        method("version", "The version of belljar", json!([]), version),
    ]
}

/// All methods.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    schemas.add::<super::run::Run, super::run::Ran>("run", super::RUN);
    schemas.add::<super::code::Code, super::code::Coded>("code", super::CODE);
    schemas.add::<super::exec::Exec, super::exec::Executed>("exec", super::EXEC);
    schemas.add::<super::preview::Preview, super::preview::Previewed>("preview", super::PREVIEW);
    super::sandbox::described(&mut schemas);
    super::sandbox::snapshots_described(&mut schemas);
    super::volume::described(&mut schemas);
    super::warm::described(&mut schemas);
    super::files::described(&mut schemas);
    super::session::described(&mut schemas);
    super::git::described(&mut schemas);
    super::pty::described(&mut schemas);
    super::lsp::described(&mut schemas);
    super::port::described(&mut schemas);
    super::image::described(&mut schemas);
    super::net::described(&mut schemas);
    super::host::described(&mut schemas);
    super::files::copies_described(&mut schemas);
    schemas.parameters.subschema_for::<super::words::Word>();
    schemas.finish()
}

#[test]
fn every_method_has_a_schema_for_each_parameter_and_a_result_with_properties() {
    let document = document();
    let names: Vec<&str> =
        document["methods"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    for method in super::methods() {
        assert!(names.contains(&method.name), "{} is not described", method.name);
    }
}
