//! Parameters: from JSON to the text form that the server reads by the parameter's type.
//!
//! Numbers, booleans and objects go through as they were written, so that no digit and no key is lost;
//! text goes through without its quotes; an array becomes PostgreSQL's array text.

use super::failure::Failure;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// `MAXDIM` in PostgreSQL's `utils/array.h`. Bounding the depth here also bounds our recursion: the
/// body's parser does not, because it skips raw values without descending.
const ARRAY_DEPTH_MAX: usize = 6;

/// `program_limit_exceeded`.
const LIMIT_EXCEEDED: &str = "54000";

/// The text of a parameter; `None` is NULL.
///
/// # Errors
/// An array nested more deeply than PostgreSQL's arrays can be.
pub fn to_text(value: &RawValue) -> Result<Option<Cow<'_, str>>, Failure> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => string(json).map(Some),
        Some(b'[') => {
            let mut text = String::with_capacity(json.len());
            array(json, &mut text, 1)?;
            Ok(Some(Cow::Owned(text)))
        }
        _ => Ok(Some(Cow::Borrowed(json))),
    }
}

/// <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>
fn array(json: &str, text: &mut String, depth: usize) -> Result<(), Failure> {
    if depth > ARRAY_DEPTH_MAX {
        return Err(Failure::statement(
            LIMIT_EXCEEDED,
            format!("number of array dimensions exceeds the maximum allowed ({ARRAY_DEPTH_MAX})"),
        ));
    }
    let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    text.push('{');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let item = item.get();
        match item.as_bytes().first() {
            Some(b'n') => text.push_str("NULL"),
            Some(b'[') => array(item, text, depth + 1)?,
            Some(b'"') => quote(&string(item)?, text),
            Some(b'{') => quote(item, text),
            _ => text.push_str(item),
        }
    }
    text.push('}');
    Ok(())
}

fn quote(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
}

fn string(json: &str) -> Result<Cow<'_, str>, Failure> {
    // Without an escape the text is what stands between the quotes.
    if let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        && !inner.contains('\\')
    {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(json).map(Cow::Owned).map_err(|error| malformed(&error))
}

/// The value was checked as JSON when the body was parsed, but for what only shows when text is decoded:
/// half of a surrogate pair.
fn malformed(error: &serde_json::Error) -> Failure {
    Failure::statement("22P02", format!("a parameter is not valid: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(json).expect("JSON");
        to_text(raw).expect("a good parameter").map(Cow::into_owned)
    }

    #[test]
    fn each_kind_of_json_has_its_text() {
        for (json, expected) in [
            ("null", None),
            ("true", Some("true")),
            ("12345678901234567890123.50", Some("12345678901234567890123.50")),
            (r#""it's \"so\"\n""#, Some("it's \"so\"\n")),
            (r#""plain""#, Some("plain")),
            (r#"{"b":1,"a":[2]}"#, Some(r#"{"b":1,"a":[2]}"#)),
            ("[]", Some("{}")),
            (r#"[1,null,true,"a b"]"#, Some(r#"{1,NULL,true,"a b"}"#)),
            (r#"[["a"],["\"\\\n"]]"#, Some("{{\"a\"},{\"\\\"\\\\\n\"}}")),
            (r#"["NULL",{"a":"b"}]"#, Some(r#"{"NULL","{\"a\":\"b\"}"}"#)),
        ] {
            assert_eq!(text(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn depth_is_bounded_however_deep_the_json_is() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(text(&nested(6)).as_deref(), Some("{{{{{{}}}}}}"));
        for depth in [7, 100_000] {
            let json = nested(depth);
            let raw: &RawValue = serde_json::from_str(&json).expect("JSON");
            assert!(to_text(raw).is_err(), "{depth}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_an_error() {
        let raw: &RawValue = serde_json::from_str(r#""\ud800""#).expect("skipped without decoding");
        assert!(to_text(raw).is_err());
    }

    proptest! {
        #[test]
        fn any_text_survives(value in "\\PC{0,30}") {
            let json = serde_json::to_string(&value).expect("text");
            prop_assert_eq!(text(&json), Some(value));
        }
    }
}
