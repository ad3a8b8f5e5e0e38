//! Regular expressions that people write. Matching takes a time that grows with the text alone, whatever they are;
//! how fast it grows depends on how large they become when they are compiled, and so on that both are bounded
//! together.

use std::fmt::Write as _;

use regex_lite::{Regex, RegexBuilder};

/// The most characters of one.
pub(crate) const MAX_CHARS: usize = 1_000;
/// The most groups and repetitions within each other.
const MAX_NESTING: u32 = 32;
/// Up to how many bytes a compiled one is small. The largest takes eight times that.
const SMALL_BYTES: usize = 4 * 1024;
/// The cost of matching one step with a pattern, by its compiled size in multiples of the smallest.
const WEIGHTS: [usize; 4] = [1, 2, 4, 8];
/// The most work for one text; a small one matches a text of so many bytes.
pub(crate) const MAX_WORK: usize = 64 * 1024;

/// The blanks of ECMAScript, as they stand in a class, and all other characters.
const BLANKS: &str =
    r"\x{9}-\x{d}\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";
const NO_BLANKS: &str = r"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}";

/// Writes `\s` and `\S` out, which are those of ASCII in the crate.
fn translate(pattern: &str) -> String {
    let (mut translated, mut in_class) = (String::with_capacity(pattern.len()), false);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match (characters.next(), in_class) {
                (Some('s'), true) => translated.push_str(BLANKS),
                (Some('S'), true) => translated.push_str(NO_BLANKS),
                (Some('s'), false) => _ = write!(translated, "[{BLANKS}]"),
                (Some('S'), false) => _ = write!(translated, "[^{BLANKS}]"),
                (Some(other), _) => translated.extend(['\\', other]),
                (None, _) => translated.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                translated.push('[');
                // A bracket that closes is a character like any other at the beginning of a class.
                let rest = characters.as_str();
                let negated = rest.strip_prefix('^');
                let literal = negated.unwrap_or(rest).starts_with(']');
                translated.extend(characters.by_ref().take(usize::from(negated.is_some()) + usize::from(literal)));
            }
            ']' => {
                in_class = false;
                translated.push(']');
            }
            other => translated.push(other),
        }
    }
    translated
}

/// A compiled regular expression.
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    weight: usize,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// The fault, and what to do.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.chars().count() > MAX_CHARS {
            return Err(format!("must have at most {MAX_CHARS} characters"));
        }
        let (translated, mut why) = (translate(pattern), String::new());
        for weight in WEIGHTS {
            match RegexBuilder::new(&translated).size_limit(SMALL_BYTES * weight).nest_limit(MAX_NESTING).build() {
                Ok(regex) => return Ok(Self { regex, weight }),
                Err(error) => why = error.to_string(),
            }
        }
        let unsupported = "look-around, backreferences and `\\p` are not supported";
        Err(format!("is not a supported regular expression: {why}; {unsupported}"))
    }

    /// Returns the cost of matching a text.
    pub(crate) fn work(&self, text: &str) -> usize {
        text.len() * self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn blanks_are_those_of_ecmascript_wherever_they_stand() {
        for (pattern, text, expected) in [
            (r"^\d+\s€$", "12\u{202f}€", true),
            (r"^\s$", "\u{a0}", true),
            (r"^\s$", "\u{feff}", true),
            (r"^\s$", "x", false),
            (r"^\S$", "\u{2003}", false),
            (r"^\S$", "é", true),
            (r"^[\s,]+$", "\u{a0},", true),
            (r"^[^\s]+$", "a\u{a0}", false),
            (r"^[\S]$", "\u{3000}", false),
            (r"^[\S\n]+$", "a\n", true),
            (r"^[]\s]+$", "] ", true),
            (r"^\\s$", r"\s", true),
            (r"^\[\s\]$", "[\u{a0}]", true),
        ] {
            let pattern_of = Pattern::compile(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert_eq!(pattern_of.regex.is_match(text), expected, "{pattern} {text:?}");
        }
    }
}
