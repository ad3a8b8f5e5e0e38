//! `GET /errors`: the codes of all errors. The `type` of every problem links to its code there.

use bitting_http::{call::Call, message::Response, operation::Operation, problem::Problem, typed::Output};

/// The chapter on errors of the book, as HTML.
const PAGE: &str = include_str!(concat!(env!("OUT_DIR"), "/errors.html"));

/// The page as a response.
pub(crate) struct ErrorsPage;

impl Output for ErrorsPage {
    fn response(self) -> Response {
        let mut response = Response::text("text/html; charset=utf-8", PAGE);
        response
            .headers
            .push(("Content-Security-Policy".into(), "default-src 'none'; frame-ancestors 'none'".to_owned()));
        response
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.answer::<String>(200, "text/html");
    }
}

/// Returns a page for people with the code of every error, and what to do about it.
pub(crate) async fn get(_: &Call<'_>, (): ()) -> Result<ErrorsPage, Problem> {
    Ok(ErrorsPage)
}
