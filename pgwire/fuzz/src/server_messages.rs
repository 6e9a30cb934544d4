//! Messages of a server, or of what claims to be one.

use super::frames::{each, written};
use super::{error_fields, rows};
use pgwire::backend::{
    Authentication, backend_key_data, command_complete, parameter_status, ready_for_query, tag, write,
};
use std::convert::Infallible;

/// Takes a stream of messages: what is read of one can be written again, byte for byte.
pub fn run(stream: &[u8]) {
    each(stream, |header, body, whole| {
        match header.tag {
            tag::ERROR_RESPONSE | tag::NOTICE_RESPONSE => error_fields::run(body),
            tag::DATA_ROW | tag::ROW_DESCRIPTION => rows::run(body),
            _ => {}
        }
        if let Some(again) = rewritten(header.tag, body) {
            assert_eq!(again, whole);
        }
    });
}

fn rewritten(tag: u8, body: &[u8]) -> Option<Vec<u8>> {
    match tag {
        tag::AUTHENTICATION => authentication(body),
        tag::READY_FOR_QUERY => {
            let status = ready_for_query(body).ok()?;
            Some(reply(|out| write::ready_for_query(out, status)))
        }
        tag::PARAMETER_STATUS => {
            let (name, value) = parameter_status(body).ok()?;
            Some(reply(|out| write::parameter_status(out, name, value)))
        }
        tag::BACKEND_KEY_DATA => {
            let key = backend_key_data(body).ok()?;
            Some(reply(|out| write::backend_key_data(out, key)))
        }
        tag::COMMAND_COMPLETE => {
            let command = command_complete(body).ok()?;
            Some(reply(|out| write::command_complete(out, command)))
        }
        _ => None,
    }
}

fn authentication(body: &[u8]) -> Option<Vec<u8>> {
    match Authentication::parse(body).ok()? {
        Authentication::Ok => Some(reply(write::authentication_ok)),
        Authentication::CleartextPassword => Some(reply(write::authentication_cleartext)),
        Authentication::Sasl(offered) => {
            let names: Vec<_> = offered.clone().map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
            assert!(names.iter().all(|name| offered.offers(name) && !name.is_empty()));
            Some(reply(|out| write::authentication_sasl(out, &names)))
        }
        Authentication::SaslContinue(data) => Some(reply(|out| write::sasl_continue(out, data))),
        Authentication::SaslFinal(data) => Some(reply(|out| write::sasl_final(out, data))),
        Authentication::Md5Password | Authentication::Other(_) => None,
    }
}

/// What a writer appends that cannot fail.
fn reply(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    written(|out| {
        write(out);
        Ok::<_, Infallible>(())
    })
}
