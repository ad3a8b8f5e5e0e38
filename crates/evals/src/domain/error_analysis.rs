//! Error analysis without a language model: what notes have in common, by their words. Which notes come together
//! does not depend on their order.
//!
//! The words of a text are its runs of letters and digits, in lower case, without a plural's `s` and without words
//! that every note may have. Two texts are alike if they share enough of all the words of both (Jaccard), and what
//! is like one of a group belongs to the group.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use bitting_keys::domain::key::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::judge::Judgment;

/// The most runs to note something about at once.
pub const MAX_RUNS: usize = 50;
/// The most notes at once.
pub const MAX_NOTES: usize = 500;
/// The most characters of a note.
pub const MAX_NOTE_CHARS: usize = 2_000;
/// The most categories that are consolidated at once.
pub const MAX_CATEGORIES: usize = 200;
/// The most categories that are suggested without a model; the last one has what is left.
const MAX_SUGGESTED: usize = 20;
/// The number of words that name a category.
const NAME_WORDS: usize = 3;
/// The number of characters of a note that describe a category.
const EXAMPLE_CHARS: usize = 120;
/// Notes are alike if they share one of so many words of both.
const NOTES_ALIKE: usize = 3;
/// Names of categories are alike if they share one of so many words of both.
const NAMES_ALIKE: usize = 2;

/// Words that tell no note from another.
const STOP_WORDS: &str = "a about after again all also although an and any are as at bad be because been before being but by can \
    could did do does doing done during each error even fail failed failing failure for from get give given \
    gives had has have having he her here him his how if in incorrect incorrectly instead into is issue it \
    its just may me mistake more most much must my no nor not of off on one only or other our out over own \
    problem rather same she should so some such than that the their them then there these they this those \
    though through to too under until up use very was we were what when where which while who why will with \
    without would wrong wrongly you your";

/// A category of notes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its name.
    pub name: Name,
    /// The thing that its notes have in common.
    pub description: String,
    /// The notes in it, by their places in the list that was sent, from 0.
    pub notes: Vec<usize>,
}

/// A category that stands for one or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConsolidatedCategory")]
pub struct Consolidated {
    /// Its name.
    pub name: Name,
    /// Its subject.
    pub description: String,
    /// The places of the categories that it replaces, in the list that was sent, from 0.
    pub merged: Vec<usize>,
}

/// A category that is to be consolidated with others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unconsolidated {
    /// Its name.
    pub name: Name,
    /// Its subject.
    pub description: String,
    /// The notes that are in it; of categories that come together the one with most gives the name.
    pub notes: Vec<i64>,
}

/// The note about a run that did not pass: its judge's explanation.
pub fn note(judgment: &Judgment) -> String {
    let note = format!("{}: {}", judgment.verdict, judgment.explanation);
    note.chars().take(MAX_NOTE_CHARS).collect()
}

/// Returns true if these groups have the places `0..count`, each once, and none is empty.
pub fn is_partition<'a>(groups: impl Iterator<Item = &'a Vec<usize>> + Clone, count: usize) -> bool {
    let mut places: Vec<usize> = groups.clone().flatten().copied().collect();
    places.sort_unstable();
    places.into_iter().eq(0..count) && groups.into_iter().all(|group| !group.is_empty())
}

/// Categories for notes, the largest first.
pub fn categorize(notes: &[String]) -> Vec<Category> {
    let texts = Texts::of(notes.iter().map(String::as_str));
    let named = |group: Vec<usize>| (texts.common_words(&group), group);
    let mut named: Vec<(String, Vec<usize>)> = texts.groups(NOTES_ALIKE).into_iter().map(named).collect();
    named.sort_by_cached_key(|(name, group)| (name.is_empty(), Reverse(group.len()), name.clone()));
    if named.len() > MAX_SUGGESTED {
        let rest = named.split_off(MAX_SUGGESTED - 1);
        let mut rest: Vec<usize> = rest.into_iter().flat_map(|(_, group)| group).collect();
        rest.sort_unstable();
        named.push((String::new(), rest));
    }
    let category = |(name, group): (String, Vec<usize>)| {
        let example = group.iter().filter_map(|at| notes.get(*at)).min_by_key(|note| (note.chars().count(), *note))?;
        let example: String = example.chars().take(EXAMPLE_CHARS).collect();
        let counted = if group.len() == 1 { "note" } else { "notes" };
        Some(Category {
            name: Name::try_from(name).or_else(|_| Name::try_from("other".to_owned())).ok()?,
            description: format!("{} {counted}, such as {example:?}.", group.len()),
            notes: group,
        })
    };
    named.into_iter().filter_map(category).collect()
}

/// Categories whose names are alike, as one; in the order of the first of each.
pub fn consolidate(categories: &[Unconsolidated]) -> Vec<Consolidated> {
    let texts = Texts::of(categories.iter().map(|category| category.name.as_str()));
    let merge = |group: Vec<usize>| {
        let mut members: Vec<&Unconsolidated> = group.iter().filter_map(|at| categories.get(*at)).collect();
        members.sort_by_key(|member| (Reverse(member.notes.len()), member.name.as_str().len(), member.name.as_str()));
        let description = members.iter().map(|member| &member.description).find(|text| !text.is_empty());
        let name = members.first()?.name.clone();
        Some(Consolidated { name, description: description.cloned().unwrap_or_default(), merged: group })
    };
    texts.groups(NAMES_ALIKE).into_iter().filter_map(merge).collect()
}

/// Texts by their words.
struct Texts {
    /// The words of each text, in the form in which they are compared, and as they stand there.
    words: Vec<BTreeMap<String, String>>,
    /// The texts that each word is in.
    places: HashMap<String, Vec<usize>>,
}

impl Texts {
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let stop_words: HashSet<&str> = STOP_WORDS.split_whitespace().collect();
        let words: Vec<BTreeMap<String, String>> = texts.map(|text| words(text, &stop_words)).collect();
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, words) in words.iter().enumerate() {
            for word in words.keys() {
                places.entry(word.clone()).or_default().push(at);
            }
        }
        Self { words, places }
    }

    /// Returns the texts that a word is in.
    fn with(&self, word: &str) -> &[usize] {
        self.places.get(word).map(Vec::as_slice).unwrap_or_default()
    }

    /// The texts by their places: each in one group, and each group with all that are like one of it. Texts
    /// without words are alike.
    fn groups(&self, share: usize) -> Vec<Vec<usize>> {
        let mut left: BTreeSet<usize> = (0..self.words.len()).collect();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let (mut group, mut next) = (vec![first], 0);
            while let Some(one) = group.get(next).and_then(|at| self.words.get(*at)) {
                let mut shared = vec![0; self.words.len()];
                for at in one.keys().flat_map(|word| self.with(word)) {
                    shared.get_mut(*at).into_iter().for_each(|shared| *shared += 1);
                }
                let alike = |at: &usize| {
                    let (shared, other) =
                        (shared.get(*at).copied().unwrap_or(0), self.words.get(*at).map_or(0, BTreeMap::len));
                    shared * share >= one.len() + other - shared
                };
                let alike: Vec<usize> = left.iter().copied().filter(alike).collect();
                for at in &alike {
                    left.remove(at);
                }
                group.extend(alike);
                next += 1;
            }
            group.sort_unstable();
            groups.push(group);
        }
        groups
    }

    /// The words that more of a group have than of the others.
    #[expect(clippy::cast_precision_loss, reason = "there are few texts")]
    fn common_words(&self, group: &[usize]) -> String {
        let mut found: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for (word, form) in group.iter().filter_map(|at| self.words.get(*at)).flatten() {
            let (count, shown) = found.entry(word).or_insert((0, form));
            *count += 1;
            *shown = (*shown).min(form);
        }
        let others = (self.words.len() - group.len()).max(1) as f64;
        let rank = |word: &str, count: usize| {
            (self.with(word).len() - count) as f64 / others - count as f64 / group.len() as f64
        };
        let mut ranked: Vec<(f64, &str)> =
            found.into_iter().map(|(word, (count, shown))| (rank(word, count), shown)).collect();
        ranked.sort_by(|(rank, word), (other, other_word)| rank.total_cmp(other).then_with(|| word.cmp(other_word)));
        ranked.into_iter().take(NAME_WORDS).map(|(_, word)| word).collect::<Vec<_>>().join(", ")
    }
}

/// The words of a text as they are compared, and as they stand there.
fn words(text: &str, stop_words: &HashSet<&str>) -> BTreeMap<String, String> {
    let parts = text.split(|character: char| !character.is_alphanumeric()).filter(|part| !part.is_empty());
    let words = parts.map(|part| {
        let word = part.to_lowercase();
        let singular = word.strip_suffix('s').filter(|rest| rest.chars().count() > 2 && !rest.ends_with('s'));
        (singular.unwrap_or(&word).to_owned(), word)
    });
    words.filter(|(compared, word)| !stop_words.contains(&**compared) && !stop_words.contains(&**word)).collect()
}
