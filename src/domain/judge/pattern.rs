//! Regular expressions that people write: matched in a time that grows with the text alone, whatever they are.

use regex_lite::{Regex, RegexBuilder};

/// The most characters of one.
pub(super) const MAX_CHARS: usize = 1_000;
/// The most bytes that one takes when it is compiled, and so the most work for each character of a text.
const MAX_COMPILED_BYTES: usize = 32 * 1024;
/// The most groups and repetitions within each other.
const MAX_NESTING: u32 = 32;

/// Reads one.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.chars().count() > MAX_CHARS {
        return Err(format!("must have at most {MAX_CHARS} characters"));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(MAX_COMPILED_BYTES).nest_limit(MAX_NESTING);
    let simpler = "there is no look-around, no backreference and no `\\p`";
    builder.build().map_err(|error| format!("is no regular expression that can be used here: {error}; {simpler}"))
}
