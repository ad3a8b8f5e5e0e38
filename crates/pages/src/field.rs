//! The fields of forms: each with its label, its hint, what was typed, and what is wrong with that.

use bitting_http::{call::Call, problem::Problem};
use bitting_keys::app::{
    error::{Error, Mistake},
    sessions::SignedIn,
};
use maud::{Markup, Render, html};

use crate::{layout::capitalized, session::note_refusal};

/// The place of what is wrong with the only form of a page as a whole.
pub(crate) const FORM: &str = "";

/// The mistakes in a form: the field or the form of each, and a sentence.
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
    pub(crate) fn read<T>(&mut self, field: &'static str, value: Result<T, impl AsRef<str>>) -> Option<T> {
        value.map_err(|message| self.add(field, message.as_ref())).ok()
    }

    /// Converts an error of a use case into a mistake beside the field that the error's code or field names, or else
    /// beside the
    /// form. An error that no form is to blame for is returned as it is.
    ///
    /// # Errors
    /// Returns the error if it has nothing to do with the form.
    pub(crate) fn of(
        call: &Call<'_>,
        session: &SignedIn,
        error: Error,
        form: &'static str,
        fields: &[(&str, &'static str)],
    ) -> Result<Self, Problem> {
        let problem = Problem::from(error);
        let refused @ (400 | 403 | 409, code) = problem.status_and_code() else { return Err(problem) };
        if matches!(problem, Problem::App(Error::Refused(_))) {
            return Err(problem);
        }
        note_refusal(call, session, &problem);
        let place = |named: &str| fields.iter().find(|(known, _)| *known == named).map_or(form, |(_, field)| *field);
        let told = match &problem {
            Problem::App(Error::Invalid(mistakes)) => {
                let tell = |Mistake { field, message }: &Mistake| {
                    // One of several is told with where it stands: `scopes[1]`.
                    let named = field.as_deref().unwrap_or_default().split('[').next().unwrap_or_default();
                    (place(named), sentence(message))
                };
                mistakes.iter().map(tell).collect()
            }
            problem => vec![(place(code), sentence(&problem.detail()))],
        };
        Ok(Self { refused: Some(refused), told })
    }

    /// Returns true if a use case refused the form with this code.
    pub(crate) fn refused_with(&self, code: &str) -> bool {
        self.refused.is_some_and(|(_, refused)| refused == code)
    }

    /// The same, said otherwise.
    pub(crate) fn saying(self, message: &str) -> Self {
        let place = self.told.first().map_or(FORM, |(place, _)| *place);
        Self { told: vec![(place, message.to_owned())], ..self }
    }

    /// Returns true if there are no mistakes.
    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The status of the page that tells them.
    pub(crate) fn status(&self) -> u16 {
        if self.is_empty() { 200 } else { self.refused.map_or(400, |(status, _)| status) }
    }

    /// Returns the mistake at a field or a form.
    pub(crate) fn at(&self, place: &str) -> Option<&str> {
        self.told.iter().find(|(told, _)| *told == place).map(|(_, message)| message.as_str())
    }

    /// Renders the mistake of a form as a whole, above its fields.
    pub(crate) fn above(&self, form: &str) -> Markup {
        html! {
            @if let Some(message) = self.at(form) { p.notice.bad role="alert" tabindex="-1" autofocus { (message) } }
        }
    }
}

/// A message as a person reads it, who knows nothing of code.
fn sentence(message: &str) -> String {
    let stop = if message.ends_with('.') { "" } else { "." };
    format!("{}{stop}", capitalized(&message.replace('`', "")))
}

/// A field.
pub(crate) struct Field<'a> {
    name: &'static str,
    label: &'a str,
    hint: Option<Markup>,
    mistakes: &'a Mistakes,
}

impl<'a> Field<'a> {
    /// A field with this name, which is its id on the page, too, and what people call it.
    pub(crate) fn new(name: &'static str, label: &'a str, mistakes: &'a Mistakes) -> Self {
        Self { name, label, hint: None, mistakes }
    }

    /// Adds a hint.
    pub(crate) fn hint(self, hint: impl Render) -> Self {
        Self { hint: Some(hint.render()), ..self }
    }

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

    /// Several boxes or buttons to choose from. The first of them takes the focus, if this is wrong first.
    pub(crate) fn group(&self, choices: &Markup) -> Markup {
        html! {
            fieldset id=(self.name) aria-describedby=[self.described_by()] {
                legend { (self.label) }
                (self.told())
                (choices)
            }
        }
    }

    fn around(&self, control: &Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                (self.told())
                (control)
            }
        }
    }

    fn told(&self) -> Markup {
        html! {
            @if let Some(hint) = &self.hint { p.hint id={ (self.name) "-hint" } { (hint) } }
            @if let Some(error) = self.mistakes.at(self.name) { p.error id={ (self.name) "-error" } { (error) } }
        }
    }

    /// Returns the value of `aria-invalid`.
    pub(crate) fn invalid(&self) -> Option<&'static str> {
        self.mistakes.at(self.name).map(|_| "true")
    }

    /// Returns true if the field is the first one that is wrong.
    pub(crate) fn is_first(&self) -> bool {
        self.mistakes.told.first().is_some_and(|(field, _)| *field == self.name)
    }

    fn described_by(&self) -> Option<String> {
        let error = self.mistakes.at(self.name).map(|_| format!("{}-error", self.name));
        let hint = self.hint.as_ref().map(|_| format!("{}-hint", self.name));
        let ids: Vec<String> = error.into_iter().chain(hint).collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}
