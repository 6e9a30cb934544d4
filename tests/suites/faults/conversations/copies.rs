//! COPY, in both directions and both protocols.

use super::{COPY_DONE, LARGE, Step, Talk, ask, copy_line, query};
use pgwire::frontend::write;

pub(super) fn copy_in(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| query(out, "copy copied from stdin"));
    talk.then(Step::Until(b'G'));
    talk.send(|out| {
        copy_line(out, &mark);
        copy_line(out, &mark);
        out.extend(COPY_DONE);
    });
    talk.then(Step::Ready(1));
    talk.query(&format!("select t from copied where t = '{mark}'; delete from copied where t = '{mark}'"));
}

pub(super) fn copy_in_extended(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| {
        ask(out, "copy copied from stdin", None);
        write::sync(out);
    });
    talk.then(Step::Until(b'G'));
    talk.send(|out| {
        copy_line(out, &mark);
        out.extend(COPY_DONE);
        write::sync(out);
    });
    talk.then(Step::Ready(1));
    talk.query(&format!("select t from copied where t = '{mark}'; delete from copied where t = '{mark}'"));
}

pub(super) fn copy_in_sent_ahead(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| {
        query(out, "copy copied from stdin");
        copy_line(out, &mark);
        out.extend(COPY_DONE);
        query(
            out,
            &format!("select t from copied where t = '{mark}'; delete from copied where t = '{mark}'"),
        );
    });
    talk.then(Step::Ready(2));
}

pub(super) fn copy_in_failing(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    for give_up in [false, true] {
        talk.send(|out| ask(out, "copy numbers from stdin", None));
        talk.send(write::flush);
        talk.then(Step::Until(b'G'));
        talk.send(|out| {
            if give_up {
                write::copy_fail(out, marks[0].as_bytes()).expect("it fits");
            } else {
                copy_line(out, &marks[0]);
                copy_line(out, "1");
                out.extend(COPY_DONE);
            }
            write::sync(out);
        });
        talk.then(Step::Ready(1));
    }
    talk.query(&format!("select '{}'", marks[1]));
}

pub(super) fn copy_out(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query(&format!("copy (select '{}' from generate_series(1, 3)) to stdout", marks[0]));
    talk.send(|out| {
        ask(out, &format!("copy (select '{}', repeat('x', {LARGE})) to stdout", marks[1]), None);
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}
