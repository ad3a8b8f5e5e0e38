//! The page of `GET /errors`: the chapter on errors of the book, as HTML.

use pulldown_cmark::{CowStr, Event, Parser, Tag, TagEnd, html};

/// Renders the chapter. Each heading has its text as its id, and links to other chapters are plain text.
pub(crate) fn page(chapter: &str) -> String {
    let mut events: Vec<Event<'_>> = Vec::new();
    let mut heading = None;
    let mut is_link_kept = true;
    for event in Parser::new(chapter) {
        match event {
            // Comments are for the tests of the book.
            Event::Html(_) | Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => continue,
            Event::Start(Tag::Heading { .. }) => heading = Some(events.len()),
            Event::Start(Tag::Link { ref dest_url, .. }) if !dest_url.starts_with("https://") => {
                is_link_kept = false;
                continue;
            }
            Event::End(TagEnd::Link) if !is_link_kept => {
                is_link_kept = true;
                continue;
            }
            Event::Text(ref text) | Event::Code(ref text) => {
                if let Some(Event::Start(Tag::Heading { id, .. })) = heading.take().and_then(|at| events.get_mut(at)) {
                    *id = Some(CowStr::from(text.to_lowercase().replace(' ', "-")));
                }
            }
            _ => {}
        }
        events.push(event);
    }
    let mut page = "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Errors - Bitting</title>\
        <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">"
        .to_owned();
    html::push_html(&mut page, events.into_iter());
    page
}
