//! The fields of forms: each with its label, its hint, what was typed, and what is wrong with that.

use maud::{Markup, html};

use crate::{
    app::{error::Error, sessions::SignedIn},
    http::{problem::Problem, routes::Call},
    pages,
};

/// The place of what is wrong with a form as a whole.
pub(crate) const FORM: &str = "";

/// What is wrong with a form that was sent: for which field, and what, as a whole sentence.
#[derive(Default)]
pub(crate) struct Mistakes {
    refused: Option<(u16, &'static str)>,
    told: Vec<(&'static str, String)>,
}

impl Mistakes {
    /// Adds one.
    pub(crate) fn add(&mut self, field: &'static str, message: &str) {
        self.told.push((field, sentence(message)));
    }

    /// The value of a field; `None`, and one more mistake, if it is none.
    pub(crate) fn read<T>(&mut self, field: &'static str, value: Result<T, &str>) -> Option<T> {
        value.map_err(|message| self.add(field, message)).ok()
    }

    /// What a use case has against what was typed, to be told at one of the fields by the code of the refusal,
    /// else above the form. What no form is to blame for is passed on.
    pub(crate) fn of(
        call: &Call<'_>,
        who: &SignedIn,
        error: Error,
        places: &[(&str, &'static str)],
    ) -> Result<Self, Problem> {
        let problem = Problem::from(error);
        let refused @ (400 | 403 | 409, code) = problem.status_and_code() else { return Err(problem) };
        // Whoever does not administer the organization sees no form at which to tell it.
        if matches!(problem, Problem::App(Error::Refused(_))) || who.by.administers().is_err() {
            return Err(problem);
        }
        pages::note_refusal(call, who, &problem);
        let place = places.iter().find(|(known, _)| *known == code).map_or(FORM, |(_, field)| *field);
        Ok(Self { refused: Some(refused), told: vec![(place, sentence(&problem.detail()))] })
    }

    /// Whether a use case refused what was typed with this code.
    pub(crate) fn refused_with(&self, code: &str) -> bool {
        self.refused.is_some_and(|(_, refused)| refused == code)
    }

    /// The same, said otherwise for the form as a whole.
    pub(crate) fn saying(self, message: &str) -> Self {
        Self { told: vec![(FORM, message.to_owned())], ..self }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The status of the page that tells them.
    pub(crate) fn status(&self) -> u16 {
        if self.is_empty() { 200 } else { self.refused.map_or(400, |(status, _)| status) }
    }

    fn at(&self, field: &str) -> Option<&str> {
        self.told.iter().find(|(place, _)| *place == field).map(|(_, message)| message.as_str())
    }

    /// What is wrong with the form as a whole.
    pub(crate) fn above(&self) -> Markup {
        html! { @if let Some(message) = self.at(FORM) { p.error role="alert" { (message) } } }
    }
}

/// A message as a person reads it, who knows nothing of code.
fn sentence(message: &str) -> String {
    let message = message.replace('`', "");
    let mut characters = message.chars();
    let first: String = characters.next().map(char::to_uppercase).into_iter().flatten().collect();
    let stop = if message.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}

/// A field.
pub(crate) struct Field<'a> {
    /// Its name, and its id on the page.
    pub(crate) name: &'static str,
    /// What people call it.
    pub(crate) label: &'a str,
    /// What else to know; may be empty.
    pub(crate) hint: &'a str,
    /// What is wrong with the form.
    pub(crate) mistakes: &'a Mistakes,
}

impl Field<'_> {
    /// A line of text.
    pub(crate) fn text(&self, kind: &str, value: &str, required: bool) -> Markup {
        self.around(&html! {
            input id=(self.name) name=(self.name) type=(kind) value=(value) required[required] autocomplete="off"
                aria-describedby=[self.described_by()] aria-invalid=[self.invalid()] autofocus[self.is_first()];
        })
    }

    /// A whole number from 1 on, or nothing.
    pub(crate) fn number(&self, value: &str, most: i64) -> Markup {
        self.around(&html! {
            input id=(self.name) name=(self.name) type="number" min="1" max=(most) value=(value)
                aria-describedby=[self.described_by()] aria-invalid=[self.invalid()] autofocus[self.is_first()];
        })
    }

    /// One of these: value, name.
    pub(crate) fn select<V: AsRef<str>, N: AsRef<str>>(&self, options: &[(V, N)], chosen: &str) -> Markup {
        self.around(&html! {
            select id=(self.name) name=(self.name)
                aria-describedby=[self.described_by()] aria-invalid=[self.invalid()] autofocus[self.is_first()] {
                @for (value, name) in options {
                    option value=(value.as_ref()) selected[value.as_ref() == chosen] { (name.as_ref()) }
                }
            }
        })
    }

    fn around(&self, control: &Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                @if !self.hint.is_empty() { p.hint id={ (self.name) "-hint" } { (self.hint) } }
                @if let Some(error) = self.mistakes.at(self.name) { p.error id={ (self.name) "-error" } { (error) } }
                (control)
            }
        }
    }

    fn invalid(&self) -> Option<&'static str> {
        self.mistakes.at(self.name).map(|_| "true")
    }

    /// Whether it is the first that is wrong.
    fn is_first(&self) -> bool {
        self.mistakes.told.first().is_some_and(|(field, _)| *field == self.name)
    }

    fn described_by(&self) -> Option<String> {
        let error = self.mistakes.at(self.name).map(|_| format!("{}-error", self.name));
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let ids: Vec<String> = error.into_iter().chain(hint).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}
