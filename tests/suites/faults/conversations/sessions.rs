//! What goes beyond one request: statements, transactions, state, cancels, and having no connection.

use super::{ECHO, Step, Talk, ask, bind, execute, parse, query};
use pgwire::frontend::{STATEMENT, write};

pub(super) fn named(talk: &mut Talk) {
    talk.send(|out| {
        parse(out, "mine", ECHO);
        write::describe(out, STATEMENT, b"mine").expect("it fits");
        write::sync(out);
    });
    talk.then(Step::Ready(1));
    for _ in 0..2 {
        let mark = talk.mark();
        talk.send(|out| {
            bind(out, "", "mine", Some(&mark));
            execute(out, "", 0);
            write::sync(out);
        });
        talk.then(Step::Ready(1));
    }
    talk.send(|out| {
        write::close(out, STATEMENT, b"mine").expect("it fits");
        bind(out, "", "mine", Some("gone"));
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

pub(super) fn replayed(talk: &mut Talk) {
    talk.send(|out| {
        parse(out, "again", ECHO);
        write::sync(out);
    });
    talk.then(Step::Ready(1));
    talk.then(Step::EndServer);
    let marks = [talk.mark(), talk.mark()];
    talk.send(|out| {
        bind(out, "", "again", Some(&marks[0]));
        execute(out, "", 0);
        write::sync(out);
        write::describe(out, STATEMENT, b"again").expect("it fits");
        bind(out, "", "again", Some(&marks[1]));
        execute(out, "", 0);
        write::sync(out);
    });
    talk.then(Step::Ready(2));
}

pub(super) fn transaction(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.query("begin");
    talk.query(&format!("insert into kept values ('{}')", marks[0]));
    talk.query(&format!("select t from kept where t = '{}'", marks[0]));
    talk.query(&format!("select '{}'::int", marks[1]));
    talk.query("select 'refused'");
    talk.query("rollback");
    talk.query(&format!("select '{}', count(*) from kept where t = '{}'", marks[2], marks[0]));
}

pub(super) fn transaction_extended(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.send(|out| {
        ask(out, "begin", None);
        write::sync(out);
        ask(out, "insert into kept values ($1)", Some(&marks[0]));
        write::sync(out);
        ask(out, "select $1::int", Some(&marks[0]));
        write::sync(out);
    });
    talk.then(Step::Ready(3));
    talk.send(|out| {
        ask(out, "rollback", None);
        write::sync(out);
        ask(out, ECHO, Some(&marks[1]));
        write::sync(out);
    });
    talk.then(Step::Ready(2));
}

pub(super) fn cancel(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    // Rows so large that the server sends them when it makes the next: the first shows that it runs.
    talk.send(|out| {
        let rows = "case n when 4 then pg_sleep(3600)::text else repeat('x', 20000) end";
        query(out, &format!("select '{}' || {rows} from generate_series(1, 4) n", marks[0]));
    });
    talk.then(Step::Until(b'D'));
    talk.then(Step::Cancel);
    talk.then(Step::Ready(1));
    talk.query(&format!("select '{}'", marks[1]));
}

pub(super) fn session_state(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.query(&format!("set application_name = '{}'", marks[0]));
    talk.query("show application_name");
    talk.query(&format!("create temp table scratch as select '{}' as t", marks[1]));
    talk.query("select t || '' from scratch");
    talk.query("discard all");
    talk.query(&format!("select '{}', current_setting('application_name')", marks[2]));
}

pub(super) fn listen(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query("listen news");
    talk.query(&format!("notify news, '{}'", marks[0]));
    talk.query("unlisten *");
    talk.query(&format!("select '{}'", marks[1]));
}

pub(super) fn no_connection(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.then(Step::Occupy);
    talk.send(|out| {
        parse(out, "early", ECHO);
        bind(out, "", "early", Some(&marks[0]));
        execute(out, "", 0);
        write::sync(out);
        query(out, &format!("select '{}'", marks[1]));
    });
    talk.then(Step::Ready(1));
    talk.then(Step::Vacate);
    talk.then(Step::Ready(1));
    talk.query(&format!("select '{}'", marks[2]));
}

/// In SQL, where the gateway sees text only: an error in the middle of it, and a statement that stays.
pub(super) fn prepared_in_sql(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query(&format!("prepare mine as select '{}'", marks[0]));
    talk.query("prepare mine as select 'again'");
    talk.query("execute mine; execute nobodys; execute mine");
    talk.query("execute mine");
    talk.query("deallocate mine");
    talk.query(&format!("select '{}'", marks[1]));
}
