//! The one page that shows a secret: the answer to the form that made it.

use bitting_http::{call::Call, message::Response};
use bitting_keys::{app::sessions::SignedIn, domain::key::Created};
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::layout::Page;

/// A sample of code that uses a key, ready to be copied.
struct Snippet {
    title: &'static str,
    hint: &'static str,
    text: String,
}

/// The page of a secret. It is kept nowhere, and loading it again shows [`gone`].
pub(crate) fn page(call: &Call<'_>, session: &SignedIn, created: &Created, title: &str) -> Response {
    let (key, text) = (&created.key, created.text.expose());
    let origin = &call.request.origin;
    let content = html! {
        (once(key.name.as_str(), text, "Copy the key", &format!("/settings/keys/{}", key.id)))
        section.snippets aria-labelledby="use" {
            h2 #use { "Use it" }
            p.hint { "Ready to run: this server's address and the key are filled in." }
            @for (index, snippet) in calls(origin, text).iter().enumerate() { (details("call", index, snippet)) }
        }
        section.snippets aria-labelledby="mcp" {
            h2 #mcp { "Connect an MCP client" }
            p.hint { "The client gets the tools that the scopes of this key allow, and no others." }
            @for (index, snippet) in clients(origin, text).iter().enumerate() { (details("client", index, snippet)) }
        }
    };
    Page { secret: true, ..Page::of(call, session, title, content) }.response(200)
}

/// A secret that is shown this once, in a field from which it can be copied, and the way on.
pub(crate) fn once(label: &str, secret: &str, copy: &str, on: &str) -> Markup {
    html! {
        div.card.wide data-unsaved {
            p { strong { "It is shown only now." } " It can't be shown again, so store it now, in a \
                 password manager or with the secrets of the program that uses it." }
            label for="key" { (label) }
            div.copy {
                input.mono #key value=(secret) readonly autocomplete="off" spellcheck="false" autofocus;
                (copy_button("key", copy, None))
            }
            p { a.button.quiet href=(on) data-saved { "I have stored it" } }
        }
    }
}

/// Renders the answer to a form that was submitted before: its secret was shown then. `advice` helps a person who has
/// not stored it; `on` and `label` lead to the place where the person can follow it.
pub(crate) fn gone(call: &Call<'_>, session: &SignedIn, advice: &str, on: &str, label: &str) -> Response {
    let content = html! {
        p { "This form was already submitted. The secret was shown once and can't be shown again." }
        p { "If you have not stored it, " (advice) }
        p { a.button href=(on) { (label) } }
    };
    Page::of(call, session, "It was shown once", content).response(409)
}

/// The same of a key.
pub(crate) fn key_gone(call: &Call<'_>, session: &SignedIn, id: &str) -> Response {
    let advice = "rotate the key: it gets another secret, and keeps its name and its scopes.";
    gone(call, session, advice, &format!("/settings/keys/{id}"), "Go to the key")
}

/// Renders a button that copies. Without scripts it stays hidden, and the text can be selected.
fn copy_button(what: &str, label: &str, class: Option<&str>) -> Markup {
    html! {
        button class=[class] type="button" data-copy=(what) hidden { (label) }
        span.hint role="status" {}
    }
}

fn details(group: &str, index: usize, snippet: &Snippet) -> Markup {
    let id = format!("{group}-{index}");
    html! {
        details.card name=(group) open[index == 0] {
            summary { (snippet.title) }
            @if !snippet.hint.is_empty() { p.hint { (snippet.hint) } }
            pre { code id=(id) { (snippet.text) } }
            div.actions { (copy_button(&id, "Copy", Some("quiet"))) }
        }
    }
}

/// Calls that every key may make, whatever its scopes.
fn calls(origin: &str, key: &str) -> [Snippet; 3] {
    [
        Snippet {
            title: "curl",
            hint: "",
            text: format!("curl {origin}/v1/keys/self \\\n  -H \"Authorization: Bearer {key}\"\n"),
        },
        Snippet {
            title: "Python",
            hint: "Standard library only.",
            text: format!(
                "import json\nfrom urllib.request import Request, urlopen\n\n\
                 request = Request(\n    \"{origin}/v1/keys/self\",\n    \
                 headers={{\"Authorization\": \"Bearer {key}\"}},\n)\n\
                 with urlopen(request) as response:\n    print(json.load(response))\n"
            ),
        },
        Snippet {
            title: "JavaScript",
            hint: "As a module, in Node.js 18 or later, Deno or Bun.",
            text: format!(
                "const response = await fetch(\"{origin}/v1/keys/self\", {{\n  \
                 headers: {{ Authorization: \"Bearer {key}\" }},\n}});\nconsole.log(await response.json());\n"
            ),
        },
    ]
}

/// Returns the configurations of MCP clients.
fn clients(origin: &str, key: &str) -> [Snippet; 4] {
    let (url, bearer) = (format!("{origin}/mcp"), format!("Bearer {key}"));
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default();
    [
        Snippet {
            title: "Claude Code",
            hint: "Run this once.",
            text: format!("claude mcp add --transport http bitting {url} \\\n  --header \"Authorization: {bearer}\"\n"),
        },
        Snippet {
            title: "Claude Desktop",
            hint: "Settings → Developer → Edit Config; it needs Node.js.",
            // It takes no headers itself, and on Windows mcp-remote takes none with a blank among its arguments.
            text: pretty(&json!({ "mcpServers": { "bitting": {
                "command": "npx",
                "args": ["-y", "mcp-remote", url, "--header", "Authorization:${AUTHORIZATION}"],
                "env": { "AUTHORIZATION": bearer },
            } } })),
        },
        Snippet {
            title: "Cursor",
            hint: "In ~/.cursor/mcp.json.",
            text: pretty(
                &json!({ "mcpServers": { "bitting": { "url": url, "headers": { "Authorization": bearer } } } }),
            ),
        },
        Snippet {
            title: "VS Code",
            hint: "In .vscode/mcp.json. Do not commit it.",
            text: pretty(&json!({ "servers": { "bitting": {
                "type": "http", "url": url, "headers": { "Authorization": bearer },
            } } })),
        },
    ]
}
