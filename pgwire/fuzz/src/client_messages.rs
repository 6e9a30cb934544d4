//! Messages of a client that has logged in, or is about to.

use super::frames::{each, written};
use pgwire::frontend::{Bind, DescribeOrClose, Execute, Parse, SaslInitial, password, query, tag, write};

/// Takes a stream of messages: what is read of one can be written again, byte for byte.
pub fn run(stream: &[u8]) {
    each(stream, |header, body, whole| {
        if let Some(again) = rewritten(header.tag, body) {
            assert_eq!(again, whole);
        }
    });
}

fn rewritten(tag: u8, body: &[u8]) -> Option<Vec<u8>> {
    match tag {
        tag::PARSE => {
            let parse = Parse::parse(body).ok()?;
            let behind_name = body.get(parse.name.len() + 1..).expect("a query, or its end at least");
            Some(written(|out| write::parse_raw(out, parse.name, behind_name)))
        }
        tag::BIND => Some(bind(&Bind::parse(body).ok()?)),
        tag::DESCRIBE => {
            let DescribeOrClose { kind, name } = DescribeOrClose::parse(body).ok()?;
            Some(written(|out| write::describe(out, kind, name)))
        }
        tag::CLOSE => {
            let DescribeOrClose { kind, name } = DescribeOrClose::parse(body).ok()?;
            Some(written(|out| write::close(out, kind, name)))
        }
        tag::EXECUTE => {
            let Execute { portal, max_rows } = Execute::parse(body).ok()?;
            Some(written(|out| write::execute(out, portal, max_rows)))
        }
        tag::QUERY => {
            let query = query(body).ok()?;
            Some(written(|out| write::query(out, query)))
        }
        tag::PASSWORD => login(body),
        tag::COPY_FAIL => {
            let reason = query(body).ok()?;
            Some(written(|out| write::copy_fail(out, reason)))
        }
        _ => None,
    }
}

/// In one piece, or the names first and the rest behind them.
fn bind(bind: &Bind<'_>) -> Vec<u8> {
    let whole = written(|out| write::bind_renamed(out, bind, bind.statement));
    let mut pieces = written(|out| write::bind_head(out, bind.portal, bind.statement, bind.rest.len()));
    pieces.extend_from_slice(bind.rest);
    assert_eq!(pieces, whole);
    whole
}

/// A PasswordMessage and a SASLInitialResponse have the same tag: the question tells which.
fn login(body: &[u8]) -> Option<Vec<u8>> {
    if let Ok(text) = password(body) {
        return Some(written(|out| write::password(out, text)));
    }
    let initial = SaslInitial::parse(body).ok()?;
    let (mechanism, data) = (std::str::from_utf8(initial.mechanism).ok()?, initial.data?);
    Some(written(|out| write::sasl_initial(out, mechanism, data)))
}
