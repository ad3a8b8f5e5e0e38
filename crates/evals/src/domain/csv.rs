//! Fields of CSV that no spreadsheet takes for a formula.
//!
//! Spreadsheets calculate what begins like a formula, also in a file that strangers filled. A `'` before it makes it a
//! text. A text that has such a `'` already gets another one, so that reading takes away what writing has added, and
//! nothing else.

use std::borrow::Cow;

/// The first characters of formulas.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Returns a text as a field.
pub fn written(text: &str) -> Cow<'_, str> {
    if is_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Returns the text of a field.
pub fn read(mut field: String) -> String {
    if field.strip_prefix('\'').is_some_and(is_formula) {
        field.remove(0);
    }
    field
}

/// True if a spreadsheet would calculate a text, apart from `'` before it. Numbers stay numbers. Some spreadsheets drop
/// what cannot be seen, or begin a new field there.
fn is_formula(text: &str) -> bool {
    let text = text.trim_start_matches(|first: char| first == '\'' || first == '\u{feff}' || first.is_whitespace());
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite) && text.ends_with(|last: char| last.is_ascii_digit());
    text.starts_with(FORMULA) && !is_number
}

#[cfg(test)]
mod tests {
    use super::{read, written};

    #[test]
    fn formula_is_written_as_a_text_and_read_as_it_was() {
        for (text, field) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("@SUM(1)", "'@SUM(1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-1+1", "'-1+1"),
            ("- a list", "'- a list"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            (" '=1", "' '=1"),
            ("' =1", "'' =1"),
            ("\ttext", "\ttext"),
            (" -5", " -5"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("''=1", "'''=1"),
            ("-inf", "'-inf"),
            ("-1.", "'-1."),
            ("-5", "-5"),
            ("+3.25", "+3.25"),
            ("-1e5", "-1e5"),
            ("'-5", "'-5"),
            ("'quoted'", "'quoted'"),
            ("'", "'"),
            ("", ""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(written(text), field, "{text:?}");
            assert_eq!(read(field.to_owned()), text, "{field:?}");
        }
    }
}
