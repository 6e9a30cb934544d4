//! The table of what is expected, read from the text that people read.

use crate::axes::{Case, Combination, Kind, Way};
use std::collections::{HashMap, HashSet};
use tenancy::{ErrorKind, Source};

const TEXT: &str = include_str!("table.txt");

/// The word of those who are let in.
const IN: &str = "in";

/// The word of those who name two tenants.
pub(crate) const CONFLICT: &str = "conflict";

/// How an answer looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The HTTP status.
    pub status: u16,
    /// Also of a refusal on the wire; `None` for those who are let in.
    pub sqlstate: Option<&'static str>,
    /// Words that it has in it: on the wire two kinds share a SQLSTATE.
    pub says: String,
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// This word's answer.
    Answer(&'static str),
    /// There is no such client, for the reason of this letter.
    Impossible(&'static str),
}

pub(crate) struct Table {
    answers: HashMap<&'static str, Expected>,
    cells: HashMap<Combination, Cell>,
}

impl Table {
    /// Reads it.
    ///
    /// # Panics
    /// When it cannot be read, says something twice, or explains what it does not use.
    pub(crate) fn read() -> Self {
        let answers = section("answers").map(answer).collect::<HashMap<_, _>>();
        let reasons: HashSet<_> = section("impossible").map(|line| words(line)[0]).collect();
        let mut cells = HashMap::new();
        for (combination, word) in Way::ALL.into_iter().flat_map(cells_of) {
            let cell = match reasons.contains(word) {
                true => Cell::Impossible(word),
                false if answers.contains_key(word) => Cell::Answer(word),
                false => panic!("\"{word}\" is explained nowhere"),
            };
            let former = cells.insert(combination, cell);
            assert_eq!(former, None, "twice: {}", combination.in_words());
        }
        let used: HashSet<&str> =
            cells.values().map(|(Cell::Answer(word) | Cell::Impossible(word))| *word).collect();
        for word in answers.keys().chain(&reasons) {
            assert!(used.contains(word), "\"{word}\" is explained and not used");
        }
        Self { answers, cells }
    }

    /// What it says of a combination, if it says anything.
    pub(crate) fn cell(&self, combination: Combination) -> Option<&Cell> {
        self.cells.get(&combination)
    }

    /// How the answer of this word looks.
    pub(crate) fn answer(&self, word: &str) -> &Expected {
        &self.answers[word]
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }
}

/// The lines below `[name]`.
fn section(name: &str) -> impl Iterator<Item = &'static str> {
    let heading = format!("[{name}]");
    let lines = TEXT.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The cells of a listener, with the word in each.
fn cells_of(way: Way) -> Vec<(Combination, &'static str)> {
    let mut lines = section(way.as_str());
    let columns: Vec<Case> = words(lines.next().expect("a heading"))[1..].iter().map(case).collect();
    let (mut sources, mut cells) = (Vec::new(), Vec::new());
    for line in lines {
        if let Some(places) = line.strip_prefix("at ") {
            sources = words(places).into_iter().map(source).collect();
            continue;
        }
        let words = words(line);
        assert_eq!(words.len(), columns.len() + 1, "a cell for each column: {line}");
        for source in &sources {
            for kind in words[0].split(',').flat_map(kinds) {
                let row = columns.iter().zip(&words[1..]);
                cells.extend(
                    row.map(|(case, word)| (Combination { way, source: *source, kind, case: *case }, *word)),
                );
            }
        }
    }
    cells
}

fn words(line: &'static str) -> Vec<&'static str> {
    line.split_whitespace().collect()
}

/// A word, and the kind of error that it stands for, which says how it looks.
fn answer(line: &'static str) -> (&'static str, Expected) {
    let words = words(line);
    let [word, kind, status, sqlstate, says @ ..] = &words[..] else { panic!("five words: {line}") };
    let status: u16 = status.parse().expect("a status");
    let says = says.join(" ").trim_start_matches('-').to_owned();
    if *word == IN {
        return (word, Expected { status, sqlstate: None, says });
    }
    let error = ErrorKind::ALL.into_iter().find(|known| known.as_str() == *kind);
    let error = error.unwrap_or_else(|| panic!("no kind of error: {line}"));
    assert_eq!(gateway::error::http_status(error).as_u16(), status, "{line}");
    assert_eq!(gateway::error::sqlstate(error).as_str(), *sqlstate, "{line}");
    (word, Expected { status, sqlstate: Some(sqlstate), says })
}

fn case(word: &&'static str) -> Case {
    let found = Case::ALL.into_iter().find(|case| case.as_str() == *word);
    found.unwrap_or_else(|| panic!("no such case: {word}"))
}

/// The credential of this name, or all that begin so.
fn kinds(word: &str) -> Vec<Kind> {
    let begins = word.strip_suffix('*');
    let is_meant = |kind: &Kind| match begins {
        Some(begin) => kind.as_str().starts_with(begin),
        None => kind.as_str() == word,
    };
    let found: Vec<Kind> = Kind::ALL.into_iter().filter(is_meant).collect();
    assert!(!found.is_empty(), "no such credential: {word}");
    found
}

fn source(word: &str) -> Source {
    word.parse().unwrap_or_else(|_| panic!("no such source: {word}"))
}
