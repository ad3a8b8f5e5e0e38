//! The common parts of all pages: the frame and the headers.

use bitting_http::{
    call::Call,
    message::{Content, Response},
};
use bitting_keys::app::sessions::SignedIn;
use maud::{DOCTYPE, Markup, html};

use crate::{
    assets,
    form::query,
    needs::{ANY, AUDIT, MEMBERS_READ, Needs, ORGANIZATION_READ, PROJECTS_READ, READ, may},
};

/// The policy that allows nothing from other origins, nothing inline and no frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages that are always at hand: path, name, and what they need.
const NAVIGATION: [(&str, &str, Needs); 7] = [
    ("/settings/keys", "API keys", READ),
    ("/settings/people", "People", MEMBERS_READ),
    ("/settings/teams", "Teams", MEMBERS_READ),
    ("/settings/projects", "Projects", PROJECTS_READ),
    ("/settings/organization", "Organization", ORGANIZATION_READ),
    ("/settings/audit", "Audit log", AUDIT),
    ("/settings/devices", "Devices", ANY),
];

/// A page.
pub(crate) struct Page<'a> {
    /// The title.
    pub(crate) title: &'a str,
    /// The session, and the path of the page.
    pub(crate) session: Option<(&'a SignedIn, &'a str)>,
    /// True if the page holds a secret. For a secret in the address there is [`keep_address`].
    pub(crate) secret: bool,
    /// The content below the title.
    pub(crate) content: Markup,
}

impl<'a> Page<'a> {
    /// Creates a page for a session, without a secret.
    pub(crate) fn of(call: &'a Call<'_>, session: &'a SignedIn, title: &'a str, content: Markup) -> Self {
        Self { title, session: Some((session, call.path)), secret: false, content }
    }

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
                    @if let Some((session, path)) = self.session { (header(session, path)) }
                    main #main .alone[self.session.is_none()] {
                        h1 { (self.title) }
                        (self.content)
                    }
                }
            }
        }
    }
}

fn header(session: &SignedIn, path: &str) -> Markup {
    // The page itself, or the one above it.
    let current = |section: &str| match path.strip_prefix(section)? {
        "" => Some("page"),
        below => below.starts_with('/').then_some("true"),
    };
    html! {
        header {
            p.organization { (session.organization.as_str()) }
            nav aria-label="Settings" {
                @for (section, name, _) in NAVIGATION.iter().filter(|(_, _, needs)| may(session, needs)) {
                    a href=(section) aria-current=[current(section)] { (name) }
                }
            }
            form method="post" action="/sign-out" {
                span.who { (session.name) }
                button.quiet { "Sign out" }
            }
        }
    }
}

/// Keeps the address of an answer out of `Referer`, because it holds a secret.
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

/// Renders a message about success or failure, above everything else on a page.
pub(crate) fn notice(text: &str) -> Markup {
    html! { p.notice role="status" { (text) } }
}

/// Renders the message for the code in the address of the page. The table has the code and the sentence of each.
pub(crate) fn done(call: &Call<'_>, codes: &[(&str, &str)]) -> Markup {
    let code = query(call.request, "done");
    let told = codes.iter().find(|(known, _)| *known == code);
    html! { @if let Some((_, text)) = told { (notice(text)) } }
}

/// The way back to the page above.
pub(crate) fn back(path: &str, name: &str) -> Markup {
    html! { p.back { a href=(path) { "← " (name) } } }
}

/// The way to what comes behind the last item of this page, with whatever else was asked.
pub(crate) fn further(call: &Call<'_>, last: &str, name: &str) -> Markup {
    let asked = form_urlencoded::parse(call.request.query.as_bytes());
    let asked = asked.filter(|(name, value)| !value.is_empty() && name != "after" && name != "done");
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(asked).append_pair("after", last).finish();
    html! { p { a.button.quiet href={ "?" (query) } { (name) } } }
}

/// A text that begins with a capital letter.
pub(crate) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().into_iter().flat_map(char::to_uppercase).chain(characters.as_str().chars()).collect()
}

/// A name of the API's as people read it: `Key created`, for `key.created`.
pub(crate) fn words(name: &str) -> String {
    capitalized(&name.replace(['.', '_', '-'], " "))
}

/// A word that stands out; `manner` is `good`, `warning` or `bad`.
pub(crate) fn tag(manner: &str, text: &str) -> Markup {
    html! { span class={ "badge " (manner) } { (text) } }
}
