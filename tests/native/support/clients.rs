//! The generated parts of the client libraries, written from the `OpenAPI` document: tables of operations, and types.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::reference::{closure, names, object, resolve, schema, variants};

/// The groups of operations that manage something. The others are the evaluation platform's, or for browsers and proxies.
const GROUPS: [&str; 10] = [
    "audit",
    "bootstrap",
    "device_links",
    "invitations",
    "keys",
    "leaks",
    "members",
    "organizations",
    "teams",
    "tokens",
];
const WRITTEN: &str =
    "Written by `UPDATE=1 cargo test --test native openapi` from the OpenAPI document. Do not edit it by hand.";
/// The names that Python keeps for itself.
const RESERVED: [&str; 4] = ["from", "import", "is", "in"];

/// A parameter of an operation: of its path, of its query, or a field of its body.
struct Parameter {
    name: String,
    is_required: bool,
    schema: Value,
    description: String,
}

/// An operation that a client can call.
struct Operation {
    group: String,
    name: String,
    summary: String,
    method: String,
    path: String,
    query: Vec<String>,
    has_body: bool,
    /// Those that must be sent come first.
    parameters: Vec<Parameter>,
    /// The headers with which it can be repeated, or made to depend on a version.
    is_repeatable: bool,
    is_conditional: bool,
    result: Option<Value>,
}

/// The files of the libraries, by their names.
pub(crate) fn client_files(document: &Value) -> [(&'static str, String); 4] {
    let operations = operations(document);
    [
        ("clients/typescript/operations.js", javascript(&operations)),
        ("clients/typescript/client.d.ts", typescript(document, &operations)),
        ("clients/python/bitting/operations.py", python(&operations)),
        ("clients/python/bitting/client.pyi", python_types(document, &operations)),
    ]
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, methods) in object(document.get("paths")) {
        for (method, operation) in object(Some(methods)) {
            let id = text(operation, "operationId");
            let Some(group) = GROUPS.into_iter().find(|group| operation.pointer("/tags/0") == Some(&json!(group)))
            else {
                continue;
            };
            let name = id.strip_prefix(&format!("{group}_")).unwrap().to_owned();
            let listed: Vec<&Value> =
                operation.get("parameters").and_then(Value::as_array).into_iter().flatten().collect();
            let header = |name: &str| listed.iter().any(|it| it["in"] == "header" && it["name"] == name);
            let body = operation.pointer("/requestBody/content/application~1json/schema");
            let body = body.map(|body| resolve(document, body)).unwrap_or_default();
            let required: BTreeSet<&str> =
                body["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let mut parameters: Vec<Parameter> = listed
                .iter()
                .filter(|it| it["in"] != "header")
                .map(|it| Parameter {
                    name: text(it, "name"),
                    // Without it, the organization of the key is meant.
                    is_required: it["required"] == true && it["name"] != "organization_id",
                    schema: it["schema"].clone(),
                    description: text(it, "description"),
                })
                .chain(object(body.get("properties")).map(|(name, schema)| Parameter {
                    name: name.clone(),
                    is_required: required.contains(name.as_str()),
                    schema: schema.clone(),
                    description: text(schema, "description"),
                }))
                .collect();
            parameters.sort_by_key(|parameter| !parameter.is_required);
            let unique: BTreeSet<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            assert_eq!(unique.len(), parameters.len(), "{id} has two parameters of one name");
            let mut answers = object(operation.get("responses")).filter(|(status, _)| status.starts_with('2'));
            found.push(Operation {
                group: group.to_owned(),
                name,
                summary: text(operation, "summary"),
                method: method.to_uppercase(),
                path: path.clone(),
                query: listed.iter().filter(|it| it["in"] == "query").map(|it| text(it, "name")).collect(),
                has_body: !body.is_null(),
                parameters,
                is_repeatable: header("Idempotency-Key"),
                is_conditional: header("If-Match"),
                result: answers.find_map(|(_, answer)| answer.pointer("/content/application~1json/schema")).cloned(),
            });
        }
    }
    found
}

fn by_group(operations: &[Operation]) -> BTreeMap<&str, Vec<&Operation>> {
    let mut groups: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        groups.entry(&operation.group).or_default().push(operation);
    }
    groups
}

/// The schemas that parameters and results consist of.
fn schemas(document: &Value, operations: &[Operation]) -> BTreeSet<String> {
    let parts = operations.iter().flat_map(|operation| {
        operation.parameters.iter().map(|parameter| &parameter.schema).chain(operation.result.as_ref())
    });
    closure(document, parts.flat_map(names).collect())
}

/// A row of the table of operations.
fn table_row(operation: &Operation) -> (&str, &str, &[String], bool) {
    (&operation.method, &operation.path, &operation.query, operation.has_body)
}

fn javascript(operations: &[Operation]) -> String {
    let mut out = format!(
        "// {WRITTEN}\n// Each row: the method, the path, the parameters of the query, and whether there is a body.\n"
    );
    out.push_str("export const OPERATIONS = {\n");
    for (group, operations) in by_group(operations) {
        let _ = writeln!(out, "  {}: {{", camel(group));
        for operation in operations {
            let (method, path, query, has_body) = table_row(operation);
            let name = camel(&operation.name);
            let _ = writeln!(out, "    {name}: [{method:?}, {path:?}, {query:?}, {has_body}],");
        }
        out.push_str("  },\n");
    }
    out + "};\n"
}

fn typescript(document: &Value, operations: &[Operation]) -> String {
    let mut out = format!("// {WRITTEN}\n\n");
    out.push_str(TYPESCRIPT_CLIENT);
    let groups = by_group(operations);
    for group in groups.keys() {
        let _ = writeln!(out, "  readonly {}: {}Operations;", camel(group), pascal(group));
    }
    out.push_str("}\n");
    for (group, operations) in groups {
        let _ = write!(out, "\nexport interface {}Operations {{\n", pascal(group));
        for operation in operations {
            let _ = writeln!(out, "  /** {}. */", operation.summary);
            let mut fields = String::new();
            for parameter in &operation.parameters {
                fields.push_str(&typescript_field("    ", parameter));
            }
            let optional = if operation.parameters.iter().any(|it| it.is_required) { "" } else { "?" };
            let params = if fields.is_empty() {
                "params?: {}".to_owned()
            } else {
                format!("params{optional}: {{\n{fields}  }}")
            };
            let result = operation.result.as_ref().map_or_else(|| "void".to_owned(), |it| typescript_type(it, ""));
            let _ = writeln!(
                out,
                "  {}({params}, options?: {}): Promise<{result}>;",
                camel(&operation.name),
                options(operation)
            );
        }
        out.push_str("}\n");
    }
    for name in schemas(document, operations) {
        let schema = schema(document, &name);
        let description = text(&schema, "description");
        out.push('\n');
        if !description.is_empty() {
            let _ = writeln!(out, "/** {description} */");
        }
        let _ = writeln!(out, "export type {name} = {};", typescript_type(&schema, ""));
    }
    out
}

fn options(operation: &Operation) -> &'static str {
    match (operation.is_repeatable, operation.is_conditional) {
        (true, _) => "RepeatableOptions",
        (_, true) => "ConditionalOptions",
        _ => "CallOptions",
    }
}

fn typescript_field(indent: &str, parameter: &Parameter) -> String {
    let description = match &*parameter.description {
        "" => String::new(),
        description => format!("{indent}/** {description} */\n"),
    };
    let optional = if parameter.is_required { "" } else { "?" };
    format!("{description}{indent}{}{optional}: {};\n", parameter.name, typescript_type(&parameter.schema, indent))
}

/// The fields of an object's schema.
fn fields(schema: &Value) -> Vec<Parameter> {
    let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
    let field = |(name, schema): (&String, &Value)| Parameter {
        name: name.clone(),
        is_required: required.contains(&&json!(name)),
        schema: schema.clone(),
        description: text(schema, "description"),
    };
    object(schema.get("properties")).map(field).collect()
}

fn typescript_type(schema: &Value, indent: &str) -> String {
    let union = |parts: Vec<String>| {
        let unique: Vec<&String> =
            parts.iter().enumerate().filter(|(at, it)| !parts[..*at].contains(it)).map(|(_, it)| it).collect();
        unique.into_iter().cloned().collect::<Vec<_>>().join(" | ")
    };
    if let Some(name) = reference_name(schema) {
        return name;
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(Value::to_string).collect());
    }
    let alternatives = variants(schema);
    if !alternatives.is_empty() {
        return union(alternatives.into_iter().map(|it| typescript_type(it, indent)).collect());
    }
    let one = |kind: &str| match kind {
        "integer" | "number" => "number".to_owned(),
        "array" => match schema["prefixItems"].as_array() {
            Some(items) => {
                format!("[{}]", items.iter().map(|it| typescript_type(it, indent)).collect::<Vec<_>>().join(", "))
            }
            None => format!(
                "Array<{}>",
                schema.get("items").map_or_else(|| "unknown".to_owned(), |it| typescript_type(it, indent))
            ),
        },
        "object" => {
            let inner = format!("{indent}  ");
            let fields: String = fields(schema).iter().map(|field| typescript_field(&inner, field)).collect();
            if fields.is_empty() { "Record<string, unknown>".to_owned() } else { format!("{{\n{fields}{indent}}}") }
        }
        kind => kind.to_owned(),
    };
    match kinds(schema) {
        kinds if kinds.is_empty() => "unknown".to_owned(),
        kinds => union(kinds.into_iter().map(one).collect()),
    }
}

const TYPESCRIPT_CLIENT: &str = "\
export interface ClientOptions {
  /** The address of Bitting. */
  url: string | URL;
  /** The key that acts, or the operator's secret for the operator's routes. */
  key?: string;
  /** The time that Bitting has for an answer: 10,000. */
  timeoutMs?: number;
  /** Asks Bitting in place of `fetch`, such as the `fetch` of a service binding. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface RepeatableOptions extends CallOptions {
  /** Sent again with the same value, the request gets the first result. */
  idempotencyKey?: string;
}

export interface ConditionalOptions extends CallOptions {
  /** The `ETag` that the resource must still have. */
  ifMatch?: string;
}

/** A refusal by Bitting. */
export class BittingError extends Error {
  readonly status: number;
  /** A stable name for programs, such as `insufficient_scope`. */
  readonly code: string;
  readonly requestId?: string;
  /** The time to wait, for 429 and 503. */
  readonly retryAfterSeconds?: number;
  /** The whole answer. */
  readonly problem: Record<string, unknown>;
}

/** All items of a list, which is read page by page. */
export function all<Item, Params>(
  list: (params: Params) => Promise<{ items: Item[]; has_more: boolean; next_cursor: string | null }>,
  params?: Params,
): AsyncGenerator<Item, void>;

/** Calls the routes that manage keys, organizations and people. `organization_id` is the key's own if it is left out. */
export class Client {
  constructor(options: ClientOptions);
  /** Sends a request with the key, and returns the response, also if it is not JSON. Throws `BittingError` for a refusal. */
  request(method: string, path: string, init?: RequestInit): Promise<Response>;
";

fn python(operations: &[Operation]) -> String {
    let mut out = format!(
        "# {WRITTEN}\n\"\"\"The operations: the method, the path, the parameters of the query, and whether there is a body.\"\"\"\n\n"
    );
    out.push_str("OPERATIONS: dict[str, dict[str, tuple[str, str, list[str], bool]]] = {\n");
    for (group, operations) in by_group(operations) {
        let _ = writeln!(out, "    \"{group}\": {{");
        for operation in operations {
            let (method, path, query, has_body) = table_row(operation);
            let has_body = if has_body { "True" } else { "False" };
            let _ = writeln!(out, "        {:?}: ({method:?}, {path:?}, {query:?}, {has_body}),", operation.name);
        }
        out.push_str("    },\n");
    }
    out + "}\n"
}

fn python_types(document: &Value, operations: &[Operation]) -> String {
    let mut out = format!("# {WRITTEN}\n");
    out.push_str(PYTHON_CLIENT);
    let groups = by_group(operations);
    for (prefix, class, close) in [
        ("", "Client", "def close(self) -> None: ..."),
        ("Async", "AsyncClient", "async def aclose(self) -> None: ..."),
    ] {
        let _ = write!(
            out,
            "\nclass {class}:\n    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 10) -> None: ...\n    {close}\n"
        );
        for group in groups.keys() {
            let _ = writeln!(out, "    {group}: {prefix}{}Operations", pascal(group));
        }
    }
    for (prefix, define) in [("", "def"), ("Async", "async def")] {
        for (group, operations) in &groups {
            let _ = write!(out, "\nclass {prefix}{}Operations:\n", pascal(group));
            for operation in operations {
                let mut parameters: Vec<String> = Vec::new();
                for parameter in &operation.parameters {
                    let default = if parameter.is_required { "" } else { " = ..." };
                    parameters.push(format!("{}: {}{default}", parameter.name, python_type(&parameter.schema)));
                }
                if operation.is_repeatable {
                    parameters.push("idempotency_key: str = ...".to_owned());
                }
                if operation.is_conditional {
                    parameters.push("if_match: str = ...".to_owned());
                }
                let parameters =
                    if parameters.is_empty() { String::new() } else { format!(", *, {}", parameters.join(", ")) };
                let result = operation.result.as_ref().map_or_else(|| "None".to_owned(), python_type);
                let _ = writeln!(
                    out,
                    "    {define} {}(self{parameters}) -> {result}:\n        \"\"\"{}.\"\"\"",
                    operation.name, operation.summary
                );
            }
        }
    }
    for name in schemas(document, operations) {
        let schema = schema(document, &name);
        let fields = fields(&schema);
        if fields.is_empty() {
            let _ = write!(out, "\n{name}: TypeAlias = {:?}\n", python_type(&schema));
            continue;
        }
        let mark = |field: &Parameter| {
            let kind = python_type(&field.schema);
            if field.is_required { kind } else { format!("NotRequired[{kind}]") }
        };
        if fields.iter().any(|field| RESERVED.contains(&field.name.as_str())) {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("\"{}\": {:?}", field.name, mark(field))).collect();
            let _ = write!(out, "\n{name} = TypedDict(\"{name}\", {{{}}})\n", fields.join(", "));
            continue;
        }
        let _ = write!(out, "\nclass {name}(TypedDict):\n");
        for field in fields {
            let _ = writeln!(out, "    {}: {}", field.name, mark(&field));
        }
    }
    out
}

const PYTHON_CLIENT: &str = "
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, List, Literal, NotRequired, TypeAlias, TypedDict

class BittingError(Exception):
    status: int
    code: str
    request_id: str | None
    retry_after_seconds: float | None
    problem: dict[str, Any]

def all_items(list_page: Callable[..., Any], /, **params: Any) -> Iterator[Any]: ...
def all_items_async(list_page: Callable[..., Awaitable[Any]], /, **params: Any) -> AsyncIterator[Any]: ...
";

fn python_type(schema: &Value) -> String {
    let union = |parts: Vec<String>| {
        let unique: BTreeSet<String> = parts.into_iter().collect();
        // `None` comes last by habit.
        let (none, others): (Vec<String>, Vec<String>) = unique.into_iter().partition(|it| it == "None");
        others.into_iter().chain(none).collect::<Vec<_>>().join(" | ")
    };
    let literal = |value: &Value| match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "Literal[True]".to_owned(),
        Value::Bool(false) => "Literal[False]".to_owned(),
        value => format!("Literal[{value}]"),
    };
    if let Some(name) = reference_name(schema) {
        return name;
    }
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    if let Some(values) = schema["enum"].as_array() {
        return union(values.iter().map(literal).collect());
    }
    let alternatives = variants(schema);
    if !alternatives.is_empty() {
        return union(alternatives.into_iter().map(python_type).collect());
    }
    let one = |kind: &str| match kind {
        "integer" => "int".to_owned(),
        "number" => "float".to_owned(),
        "boolean" => "bool".to_owned(),
        "string" => "str".to_owned(),
        "null" => "None".to_owned(),
        "array" => match schema["prefixItems"].as_array() {
            Some(items) => format!("tuple[{}]", items.iter().map(python_type).collect::<Vec<_>>().join(", ")),
            None => format!("List[{}]", schema.get("items").map_or_else(|| "Any".to_owned(), python_type)),
        },
        _ => "dict[str, Any]".to_owned(),
    };
    match kinds(schema) {
        kinds if kinds.is_empty() => "Any".to_owned(),
        kinds => union(kinds.into_iter().map(one).collect()),
    }
}

fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn reference_name(schema: &Value) -> Option<String> {
    schema["$ref"].as_str()?.rsplit('/').next().map(str::to_owned)
}

/// A text of the document in one line.
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

fn camel(name: &str) -> String {
    let pascal = pascal(name);
    pascal[..1].to_lowercase() + &pascal[1..]
}
