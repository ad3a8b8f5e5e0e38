//! What all pages have in common: the frame, the headers, and the page of what went wrong.

use maud::{DOCTYPE, Markup, html};

use crate::{
    app::{error::Error, sessions::SignedIn},
    domain::{decision::Refusal, scope::Scope},
    http::{
        message::{Content, Request, Response},
        problem::Problem,
        routes::Call,
    },
    pages::{assets, form::query, routes::is_for},
};

/// Nothing from elsewhere, nothing inline, nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages that are always at hand: path, name.
const NAVIGATION: [(&str, &str); 7] = [
    ("/settings/keys", "API keys"),
    ("/settings/people", "People"),
    ("/settings/teams", "Teams"),
    ("/settings/projects", "Projects"),
    ("/settings/organization", "Organization"),
    ("/settings/audit", "Audit log"),
    ("/settings/devices", "Devices"),
];

/// A page.
pub(crate) struct Page<'a> {
    /// What it is called.
    pub(crate) title: &'a str,
    /// Who is signed in.
    pub(crate) who: Option<&'a SignedIn>,
    /// Whether a secret stands in it. If one stands in its address, [`keep_address`] is for that.
    pub(crate) secret: bool,
    /// What is in it, below its title.
    pub(crate) content: Markup,
}

impl Page<'_> {
    /// The page as an answer.
    pub(crate) fn response(self, status: u16) -> Response {
        let referrer = if self.secret { "no-referrer" } else { "same-origin" };
        let headers = vec![
            ("Content-Type".into(), "text/html; charset=utf-8".to_owned()),
            ("Cache-Control".into(), "no-store".to_owned()),
            ("Content-Security-Policy".into(), CONTENT_SECURITY_POLICY.to_owned()),
            ("Cross-Origin-Opener-Policy".into(), "same-origin".to_owned()),
            ("Referrer-Policy".into(), referrer.to_owned()),
            ("X-Content-Type-Options".into(), "nosniff".to_owned()),
        ];
        Response { status, headers, body: Content::Bytes(self.document().into_string().into_bytes()) }
    }

    fn document(self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Bitting" }
                    link rel="icon" type="image/svg+xml" href=(assets::path("favicon.svg"));
                    link rel="stylesheet" href=(assets::path("style.css"));
                    script src=(assets::path("app.js")) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    @if let Some(who) = self.who { (header(who, self.title)) }
                    main #main .alone[self.who.is_none()] {
                        h1 { (self.title) }
                        (self.content)
                    }
                }
            }
        }
    }
}

fn header(who: &SignedIn, title: &str) -> Markup {
    html! {
        header {
            p.organization { (who.organization.as_str()) }
            nav aria-label="Settings" {
                @for (path, name) in NAVIGATION.into_iter().filter(|(path, _)| is_for(who, "GET", path)) {
                    a href=(path) aria-current=[(name == title).then_some("page")] { (name) }
                }
            }
            form method="post" action="/sign-out" {
                span.who { (who.name) }
                button.quiet { "Sign out" }
            }
        }
    }
}

/// Lets an answer tell nobody from which address it came: there is a secret in it.
pub(crate) fn keep_address(response: &mut Response) {
    response.headers.retain(|(name, _)| name != "Referrer-Policy");
    response.headers.push(("Referrer-Policy".into(), "no-referrer".to_owned()));
}

/// A redirect after which the browser asks with GET.
pub(crate) fn see_other(to: &str) -> Response {
    let mut response = Response::empty(303);
    response.headers.push(("Location".into(), to.to_owned()));
    response
}

/// What went well, or did not, above everything else on a page.
pub(crate) fn notice(text: &str) -> Markup {
    html! { p.notice role="status" { (text) } }
}

/// What was done before this page was asked for, as its address says by one of these codes: code, sentence.
pub(crate) fn done(call: &Call<'_>, codes: &[(&str, &str)]) -> Markup {
    let code = query(call.request, "done");
    let told = codes.iter().find(|(known, _)| *known == code);
    html! { @if let Some((_, text)) = told { (notice(text)) } }
}

/// The way back to the page above.
pub(crate) fn back(path: &str, name: &str) -> Markup {
    html! { p { a href=(path) { "← " (name) } } }
}

/// The way to what comes behind the last item of this page, with whatever else was asked.
pub(crate) fn further(call: &Call<'_>, last: &str, name: &str) -> Markup {
    let asked = form_urlencoded::parse(call.request.query.as_bytes());
    let asked = asked.filter(|(name, value)| !value.is_empty() && name != "after" && name != "done");
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(asked).append_pair("after", last).finish();
    html! { p { a.button.quiet href={ "?" (query) } { (name) } } }
}

/// A word that stands out; `manner` is `good`, `warning` or `bad`.
pub(crate) fn tag(manner: &str, text: &str) -> Markup {
    html! { span class={ "badge " (manner) } { (text) } }
}

/// The page of what went wrong.
pub(crate) fn problem_page(who: Option<&SignedIn>, problem: &Problem) -> Response {
    let (status, _) = problem.status_and_code();
    let (title, text) = match problem {
        Problem::NoSuchPath | Problem::App(Error::NotFound) => {
            ("Not found", "There is nothing here, or nothing that you may see.".to_owned())
        }
        Problem::MethodNotAllowed(_) => ("Not possible", "This address does not do what was asked of it.".to_owned()),
        Problem::App(Error::Refused(Refusal::MissingScopes(scopes))) => {
            let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
            let text = "You are signed in with a key that does not hold what this needs";
            ("Not allowed", format!("{text}: {}. Sign in with another key, or by a link.", scopes.join(", ")))
        }
        problem if status == 403 => ("Not allowed", problem.detail()),
        problem if status == 429 => ("Too many attempts", problem.detail()),
        problem if status == 503 => ("Not available", problem.detail()),
        problem => ("Something is wrong", problem.detail()),
    };
    let back = if who.is_some() { ("/settings/keys", "Go to the API keys") } else { ("/sign-in", "Sign in") };
    let content = html! { p { (text) } p { a href=(back.0) { (back.1) } } };
    let mut response = Page { title, who, secret: false, content }.response(status);
    match problem {
        Problem::MethodNotAllowed(allowed) => response.headers.push(("Allow".into(), allowed.clone())),
        _ if status == 429 => response.headers.push(("Retry-After".into(), "60".to_owned())),
        _ if status == 503 => response.headers.push(("Retry-After".into(), "2".to_owned())),
        _ => {}
    }
    response
}

/// The answer to a form that was not sent by one of these pages.
pub(crate) fn foreign_form() -> Response {
    let content = html! {
        p { "This form was not sent by a page of this address, so nothing was done." }
        p { a href="/settings/keys" { "Go to the API keys" } }
    };
    Page { title: "Not allowed", who: None, secret: false, content }.response(403)
}

/// The answer where the cookie that signs somebody in would not be kept, and what he sends could be read.
pub(crate) fn needs_tls(request: &Request) -> Response {
    let host = request.origin.trim_start_matches("http://");
    let content = html! {
        p {
            "This address begins with " code { "http://" } ". What is sent over it can be read on the way, so nobody can \
             sign in here."
        }
        p { a.button href={ "https://" (host) (request.path) } { "Go on with https" } }
        p.hint {
            "If nothing answers there, whoever runs this service has to give it a certificate. On one's own machine \
             it works without, as " code { "http://localhost" } "."
        }
    };
    Page { title: "This needs https", who: None, secret: false, content }.response(403)
}

pub(crate) async fn no_such_page(_: &Call<'_>) -> Result<Response, Problem> {
    Err(Problem::NoSuchPath)
}
