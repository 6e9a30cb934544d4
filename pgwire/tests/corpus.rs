//! Every fuzz target over its committed corpus, and over inputs near it: what a fuzzer once found stays found, and
//! whoever breaks a decoder learns it without running one. `make fuzz` has libFuzzer look for more.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "elsewhere this is a library")]
mod targets;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use std::path::PathBuf;
use std::{fs, io};

/// The inputs of a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let read = |entry: io::Result<fs::DirEntry>| fs::read(entry?.path());
    let inputs =
        fs::read_dir(&directory).and_then(|entries| entries.map(read).collect::<io::Result<Vec<_>>>());
    let inputs = inputs.unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    assert!(!inputs.is_empty(), "{}: nothing there", directory.display());
    inputs
}

/// What is done to an input of the corpus to get another.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index),
    Repeat(Index, Index),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let byte = prop_oneof![Just(0_u8), Just(0x7f), Just(0xff), any::<u8>()];
        prop_oneof![
            (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Self::Set(at, byte)),
            (any::<Index>(), proptest::collection::vec(byte, 1..9))
                .prop_map(|(at, new)| Self::Insert(at, new)),
            any::<Index>().prop_map(Self::Cut),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Repeat(from, to)),
        ]
    }

    fn apply(&self, input: &mut Vec<u8>) {
        let place = |index: &Index| index.index(input.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(at);
                input.splice(at..(at + 1).min(input.len()), [*byte]);
            }
            Self::Insert(at, new) => {
                let at = place(at);
                input.splice(at..at, new.iter().copied());
            }
            Self::Cut(at) => input.truncate(place(at)),
            Self::Repeat(from, to) => {
                let (from, to) = (place(from), place(to));
                input.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = corpus(target);
    corpus.iter().for_each(|input| run(input));
    let mutated = (proptest::sample::select(corpus), proptest::collection::vec(Change::any(), 1..6));
    // No file remembers a failure: the input that it prints belongs into the corpus.
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&mutated, |(mut input, changes)| {
        changes.iter().for_each(|change| change.apply(&mut input));
        run(&input);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{target}: {error}"));
}

macro_rules! targets {
    ($($target:ident),* $(,)?) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), targets::$target::run);
        })*
    };
}

targets!(client_messages, error_fields, rows, scram_client, scram_server, server_messages, startup);
