use super::*;
use crate::console::statement::split;

fn parse(text: &str) -> Result<Command, Failure> {
    let statements = split(text)?;
    assert!(statements.len() <= 1, "{text}");
    Command::parse(statements.first().map_or(&[], Vec::as_slice))
}

#[test]
fn every_subject_and_verb_is_understood_in_any_case() {
    for subject in Subject::ALL {
        let argument = (subject == Subject::Route).then(|| "acme".to_owned());
        for word in [subject.word().to_owned(), subject.word().to_lowercase()] {
            let text = format!("Show {word} {}", argument.as_deref().unwrap_or_default());
            assert_eq!(parse(&text), Ok(Command::Show(subject, argument.clone())), "{text}");
        }
    }
    for verb in Verb::ALL {
        let text = format!("{} 12", verb.word().to_lowercase());
        assert_eq!(parse(&text), Ok(Command::Control(verb, Some("12".into()))), "{text}");
    }
    assert_eq!(parse("pause"), Ok(Command::Control(Verb::Pause, None)));
    assert_eq!(parse("PAUSE \"acme-1\""), Ok(Command::Control(Verb::Pause, Some("acme-1".into()))));
}

#[test]
fn every_verb_needs_an_admin_and_every_show_only_stats() {
    for subject in Subject::ALL {
        assert_eq!(Command::Show(subject, None).needs(), ConsoleRole::Stats);
    }
    for verb in Verb::ALL {
        for target in [None, Some("acme".to_owned())] {
            assert_eq!(Command::Control(verb, target).needs(), ConsoleRole::Admin);
        }
    }
    assert_eq!(Command::Configure.needs(), ConsoleRole::Admin);
}

#[test]
fn what_drivers_say_unasked_is_taken() {
    for text in [
        "SET client_encoding TO 'UTF8'",
        "set extra_float_digits = 3",
        "SET application_name = 'x'",
        "SET SESSION statement_timeout TO 0",
        "SET NAMES 'utf8'",
        "SET TIME ZONE 'UTC'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ] {
        assert_eq!(parse(text), Ok(Command::Ignore("SET")), "{text}");
    }
    assert_eq!(parse("DISCARD ALL"), Ok(Command::Ignore("DISCARD ALL")));
    assert_eq!(parse("BEGIN TRANSACTION READ ONLY"), Ok(Command::Begin));
    assert_eq!(parse("ROLLBACK"), Ok(Command::End("ROLLBACK")));
    assert!(matches!(parse("show transaction isolation level"), Ok(Command::Parameter(..))));
    assert!(matches!(parse("SHOW timezone"), Ok(Command::Parameter(..))));
}

#[test]
fn our_own_settings_are_not_changed_here() {
    assert_eq!(parse("SET max_client_conn = 5"), Ok(Command::Configure));
}

#[test]
fn anything_else_is_a_syntax_error_with_a_hint() {
    for text in [
        "",
        "SELECT 1",
        "SHOW",
        "SHOW NOTHING",
        "SHOW POOLS acme",
        "SHOW ROUTE",
        "PAUSE a b",
        "PAUSE =",
        "KILL_CLIENT",
        "DISABLE",
        "SET",
        "SET x",
        "RESET",
        "pause acme extra",
        "SELECT c.relname FROM pg_catalog.pg_class c",
    ] {
        let failure = parse(text).expect_err(text);
        assert_eq!(failure.code, SqlState::SYNTAX_ERROR, "{text}");
        assert!(failure.hint.is_some(), "{text}");
    }
}

#[test]
fn a_message_does_not_repeat_what_stood_in_quotes() {
    let failure = parse("ALTER USER ops PASSWORD 'hunter2'").expect_err("not ours");
    assert!(!failure.message.contains("hunter2"));
}
