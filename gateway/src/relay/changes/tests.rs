use super::*;
use crate::relay::notify::ChannelChange;
use TransactionStatus::{Failed, Idle, InTransaction};

fn set(name: &str) -> Change {
    Change::Set([(name.into(), "1".into())].into())
}

/// Answers, as a server gives them: a SET is its name, a status ends a request.
enum Answer {
    Set(&'static str),
    Tag(&'static str),
    Leaves(Effects),
    Undoes(Effects),
    Error,
    Ready(TransactionStatus),
}
use Answer::{Error, Leaves, Ready, Set, Tag, Undoes};

/// Everything that was settled on the way.
fn play(answers: &[Answer]) -> Settlement {
    let (mut changes, mut sum) = (Changes::default(), Settlement::default());
    for answer in answers {
        match answer {
            Set(name) => changes.push(set(name)),
            Tag(tag) => changes.answered(Told::by(tag.as_bytes())),
            Leaves(effects) => changes.note(*effects),
            Undoes(effects) => changes.note(Effects::undoing(*effects)),
            Error => changes.fail(),
            Ready(status) => {
                let settled = changes.ready(*status);
                sum.changes.extend(settled.changes);
                sum.left |= settled.left;
                sum.undone |= settled.undone;
                sum.unclear |= settled.unclear;
            }
        }
    }
    assert!(changes.is_quiet(), "{changes:?}");
    sum
}

#[track_caller]
fn in_force(answers: &[Answer], expected: &[&str]) {
    let settled = play(answers);
    let expected: Vec<Change> = expected.iter().copied().map(set).collect();
    assert_eq!((settled.changes, settled.unclear), (expected, false));
}

#[test]
fn what_is_committed_is_in_force() {
    in_force(&[Set("a"), Ready(Idle)], &["a"]);
    in_force(
        &[Tag("BEGIN"), Ready(InTransaction), Set("a"), Ready(InTransaction), Tag("COMMIT"), Ready(Idle)],
        &["a"],
    );
    in_force(&[Tag("BEGIN"), Set("a"), Tag("COMMIT"), Set("b"), Ready(Idle)], &["a", "b"]);
    in_force(&[Set("a"), Tag("PREPARE TRANSACTION"), Ready(Idle)], &["a"]);
    in_force(&[Set("a"), Tag("COMMIT"), Error, Ready(Idle)], &["a"]);
    in_force(
        &[
            Set("a"),
            Tag("COMMIT"),
            Tag("BEGIN"),
            Ready(InTransaction),
            Set("b"),
            Tag("ROLLBACK"),
            Ready(Idle),
        ],
        &["a"],
    );
}

#[test]
fn what_is_rolled_back_is_not() {
    in_force(&[Set("a"), Error, Ready(Idle)], &[]);
    in_force(&[Set("a"), Ready(InTransaction), Tag("ROLLBACK"), Ready(Idle)], &[]);
    in_force(&[Set("a"), Ready(InTransaction), Error, Ready(Failed), Tag("ROLLBACK"), Ready(Idle)], &[]);
}

#[test]
fn a_rollback_to_a_savepoint_leaves_it_unclear_what_was_set() {
    let to_savepoint = [
        Set("a"),
        Ready(InTransaction),
        Tag("SAVEPOINT"),
        Set("b"),
        Ready(InTransaction),
        Tag("ROLLBACK"),
        Ready(InTransaction),
        Tag("COMMIT"),
        Ready(Idle),
    ];
    assert!(play(&to_savepoint).unclear);
    assert!(play(&[Set("a"), Tag("ROLLBACK"), Tag("COMMIT"), Ready(Idle)]).unclear);
    assert!(play(&[Tag("ROLLBACK"), Set("a"), Ready(Idle)]).unclear);
    in_force(&[Tag("ROLLBACK"), Ready(InTransaction), Set("a"), Tag("COMMIT"), Ready(Idle)], &["a"]);
}

#[test]
fn a_reset_of_all_takes_the_place_of_what_came_before() {
    let mut changes = Changes::default();
    changes.push(set("a"));
    changes.push(Change::ResetAll);
    changes.push(set("b"));
    assert_eq!(changes.ready(Idle).changes, [Change::ResetAll, set("b")]);
}

#[test]
fn a_bound_set_that_was_not_told_of_is_unclear() {
    let mut changes = Changes::default();
    changes.bind();
    assert!(changes.ready(Idle).unclear);
    changes.bind();
    changes.executed();
    assert!(!changes.ready(Idle).unclear);
    changes.bind();
    changes.fail();
    assert!(!changes.ready(Idle).unclear);
}

#[test]
fn what_was_read_in_a_text_and_not_told_is_unclear_unless_it_failed() {
    let mut changes = Changes::default();
    changes.untold();
    assert!(changes.ready(Idle).unclear);
    changes.fail();
    changes.untold();
    assert!(!changes.ready(Idle).unclear);
}

#[test]
fn a_select_is_told_apart_from_a_set() {
    assert_eq!(Told::by(b"SELECT 1"), Told::Called);
    assert_eq!(Told::by(b"SET"), Told::Changed);
    assert_eq!(Told::by(b"SET CONSTRAINTS"), Told::Nothing);
}

#[test]
fn a_transaction_that_makes_many_changes_takes_no_more_memory_for_them() {
    let mut changes = Changes::default();
    for _ in 0..WAITING_MAX {
        changes.push(set("a"));
        changes.answered(Told::Committed);
    }
    assert!(!changes.unclear);
    for _ in 0..10 * WAITING_MAX {
        changes.push(set("a"));
        assert!(changes.pending.len() + changes.committed.len() <= WAITING_MAX);
    }
    assert!(changes.ready(Idle).unclear);
}

#[test]
fn state_that_a_rollback_takes_back_does_not_stay() {
    let (listen, lock) = (Effects::LISTEN, Effects::ADVISORY_LOCK);
    assert_eq!(play(&[Leaves(listen | lock), Ready(Idle)]).left, listen | lock);
    assert_eq!(play(&[Leaves(listen | lock), Error, Ready(Idle)]).left, lock);
    let rolled_back = [Leaves(listen | lock), Ready(InTransaction), Tag("ROLLBACK"), Ready(Idle)];
    assert_eq!(play(&rolled_back).left, lock);
    // Which of the two came first in the text is not told.
    assert_eq!(play(&[Leaves(listen), Tag("ROLLBACK"), Ready(Idle)]).left, listen);
    assert_eq!(play(&[Leaves(listen), Tag("COMMIT"), Error, Ready(Idle)]).left, listen);
}

#[test]
fn what_is_undone_must_be_committed_and_come_alone() {
    let listen = Effects::LISTEN;
    assert_eq!(play(&[Undoes(listen), Ready(Idle)]).undone, listen);
    assert_eq!(play(&[Undoes(listen), Ready(InTransaction), Tag("COMMIT"), Ready(Idle)]).undone, listen);
    assert_eq!(play(&[Undoes(listen), Error, Ready(Idle)]).undone, Effects::NONE);
    let then_again = [Undoes(listen), Ready(InTransaction), Leaves(listen), Tag("COMMIT"), Ready(Idle)];
    assert_eq!(play(&then_again).undone, Effects::NONE);
    let to_savepoint =
        [Undoes(listen), Ready(InTransaction), Tag("ROLLBACK"), Ready(InTransaction), Ready(Idle)];
    assert_eq!(play(&to_savepoint).undone, Effects::NONE);
}

#[test]
fn what_is_asked_behind_the_commit_of_a_subscription_keeps_the_connection() {
    let subscribes = || [Tag("BEGIN"), Leaves(Effects::SUBSCRIBES), Tag("LISTEN"), Tag("COMMIT")];
    let left = |behind: Vec<Answer>| play(&subscribes().into_iter().chain(behind).collect::<Vec<_>>()).left;
    assert_eq!(left(vec![Ready(Idle)]), Effects::SUBSCRIBES);
    assert_eq!(left(vec![Ready(Idle), Tag("SELECT 1"), Ready(Idle)]), Effects::SUBSCRIBES);
    assert!(left(vec![Tag("SELECT 1"), Ready(Idle)]).any_of(Effects::LISTEN));
    assert!(
        left(vec![Tag("BEGIN"), Ready(InTransaction), Tag("COMMIT"), Ready(Idle)]).any_of(Effects::LISTEN)
    );
}

#[test]
fn it_is_said_where_what_is_heard_cannot_be_told() {
    let channels_unclear = |behind: &[Answer]| {
        let mut changes = Changes::default();
        changes.note(Effects::UNSUBSCRIBES);
        changes.push(Change::Channel(ChannelChange::UnlistenAll));
        for answer in behind {
            if let Tag(tag) = answer {
                changes.answered(Told::by(tag.as_bytes()));
            }
        }
        changes.ready(Idle).channels_unclear
    };
    assert!(!channels_unclear(&[Tag("COMMIT")]));
    assert!(!channels_unclear(&[Tag("ROLLBACK")]));
    assert!(channels_unclear(&[Tag("ROLLBACK"), Tag("COMMIT")]));
}
