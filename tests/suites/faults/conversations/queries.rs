//! Requests that stand for themselves.

use super::{ECHO, LARGE, Step, Talk, ask, bind, execute, parse, query};
use pgwire::frontend::{PORTAL, STATEMENT, write};

pub(super) fn simple(talk: &mut Talk) {
    for _ in 0..2 {
        let mark = talk.mark();
        talk.query(&format!("select '{mark}'"));
    }
}

pub(super) fn several_statements(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.query(&format!(
        "select '{}'; insert into kept values ('{}'); select t from kept where t = '{}'; delete from kept where t = '{}'",
        marks[0], marks[1], marks[1], marks[1]
    ));
    talk.query(&format!("select '{}'; select 1/0; select 'never'", marks[2]));
}

pub(super) fn extended(talk: &mut Talk) {
    for _ in 0..2 {
        let mark = talk.mark();
        talk.send(|out| {
            parse(out, "", ECHO);
            write::describe(out, STATEMENT, b"").expect("it fits");
            bind(out, "", "", Some(&mark));
            write::describe(out, PORTAL, b"").expect("it fits");
            execute(out, "", 0);
            write::sync(out);
        });
        talk.then(Step::Ready(1));
    }
}

pub(super) fn pipeline(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark(), talk.mark()];
    talk.send(|out| {
        ask(out, ECHO, Some(&marks[0]));
        write::sync(out);
        ask(out, "select $1::text as other", Some(&marks[1]));
        ask(out, ECHO, Some(&marks[2]));
        write::sync(out);
        query(out, &format!("select '{}'", marks[3]));
        write::sync(out);
    });
    talk.then(Step::Ready(4));
}

pub(super) fn failing_pipeline(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.send(|out| {
        parse(out, "broken", "selekt");
        bind(out, "", "broken", None);
        execute(out, "", 0);
        write::sync(out);
        ask(out, ECHO, Some(&marks[0]));
        ask(out, "select 1/length(left($1, 0))", Some(&marks[1]));
        ask(out, ECHO, Some(&marks[1]));
        write::sync(out);
        ask(out, ECHO, Some(&marks[2]));
        write::sync(out);
    });
    talk.then(Step::Ready(3));
}

pub(super) fn flush(talk: &mut Talk) {
    let (first, second) = (talk.mark(), talk.mark());
    talk.send(|out| {
        ask(out, ECHO, Some(&first));
        write::flush(out);
    });
    talk.then(Step::Until(b'C'));
    talk.send(|out| {
        ask(out, ECHO, Some(&second));
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

pub(super) fn portal_in_pieces(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| {
        parse(out, "", "select $1::text || n from generate_series(1, 5) n");
        bind(out, "p", "", Some(&mark));
        execute(out, "p", 2);
        execute(out, "p", 2);
        execute(out, "p", 2);
        write::close(out, PORTAL, b"p").expect("it fits");
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

pub(super) fn large_rows(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query(&format!("select '{}' || repeat('x', {LARGE}) from generate_series(1, 2)", marks[0]));
    talk.query(&format!("select '{}'", marks[1]));
}

pub(super) fn large_parameter(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    let large = format!("{}{}", marks[0], "x".repeat(LARGE));
    talk.send(|out| {
        ask(out, "select left($1, 20)", Some(&large));
        write::sync(out);
        query(out, &format!("select '{}'", marks[1]));
    });
    talk.then(Step::Ready(2));
}
