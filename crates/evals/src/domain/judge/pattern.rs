//! Regular expressions that people write. Matching takes a time that grows with the text alone, whatever they are;
//! how fast it grows depends on how large they become when they are compiled, and so on that both are bounded
//! together.

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
        let mut why = String::new();
        for weight in WEIGHTS {
            match RegexBuilder::new(pattern).size_limit(SMALL_BYTES * weight).nest_limit(MAX_NESTING).build() {
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
