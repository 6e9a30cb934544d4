//! Every combination gets the answer that the table says.

use crate::axes::Combination;
use crate::disagreements::{self, Anomalies};
use crate::table::{CONFLICT, Cell, Table};
use crate::world::World;
use crate::{Answer, knock, secrecy};
use futures_util::StreamExt;
use futures_util::stream;
use std::collections::HashMap;

/// Clients at once.
pub(crate) const AT_ONCE: usize = 16;

/// More than these that are wrong are only counted.
const SHOWN_MAX: usize = 40;

#[test]
fn the_table_has_a_cell_for_every_combination_and_knows_which_there_cannot_be() {
    let table = Table::read();
    for combination in Combination::all() {
        match table.cell(combination) {
            None => panic!("the table has no cell: {}", combination.in_words()),
            Some(cell) => assert_eq!(
                matches!(cell, Cell::Answer(_)),
                combination.is_possible(),
                "{}: {cell:?}",
                combination.in_words()
            ),
        }
    }
    assert_eq!(table.len(), Combination::all().count(), "and none of what is no combination");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_combination_gets_the_answer_that_the_table_says() {
    let (table, world) = (Table::read(), World::prepare().await);
    let before = Anomalies::read().await;
    let possible = Combination::all().filter(|combination| combination.is_possible());
    let answers: HashMap<Combination, Answer> = stream::iter(possible)
        .map(async |combination| (combination, knock(&world, combination).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut wrong = against(&table, &world, &answers);
    let expected = conflicts(&table);
    wrong.extend(Anomalies::read().await.since(&before).unlike(&expected));
    wrong.extend(secrecy::owners_learn_nothing_of_others(&answers));
    wrong.extend(secrecy::strangers_learn_nothing(&world).await);
    wrong.extend(disagreements::any_two_places(&world).await);
    wrong.extend(secrecy::strangers_learn_nothing_by_two_names(&world).await);
    wrong.sort();
    let shown = wrong.len().min(SHOWN_MAX);
    assert!(wrong.is_empty(), "{} are wrong, among them:\n{}", wrong.len(), wrong[..shown].join("\n"));
}

fn against(table: &Table, world: &World, answers: &HashMap<Combination, Answer>) -> Vec<String> {
    let wrong = |(combination, answer): (&Combination, &Answer)| {
        let Some(Cell::Answer(word)) = table.cell(*combination) else {
            return Some(format!("{}: not in the table", combination.in_words()));
        };
        let is_there = match answer {
            Answer::In(database) => Some(database.as_str()) == world.database(combination.case),
            Answer::Refused { .. } => true,
        };
        let is_right = answer.is(table.answer(word)) && is_there;
        (!is_right).then(|| format!("{}: expected {word}, heard {answer:?}", combination.in_words()))
    };
    answers.iter().filter_map(wrong).collect()
}

/// How often each two places disagree, by the table.
fn conflicts(table: &Table) -> Anomalies {
    let mut expected = Anomalies::default();
    for combination in Combination::all() {
        if table.cell(combination) == Some(&Cell::Answer(CONFLICT)) {
            let first = combination.kind.bound_by().expect("only what is bound can disagree with one place");
            expected.add(combination.way, first, combination.source);
        }
    }
    assert_ne!(expected, Anomalies::default());
    expected
}
