//! A value of PostgreSQL's text output as JSON, for clients that do not ask for the raw text.
//!
//! What JSON can hold without loss becomes JSON; everything else stays text. So 64-bit integers and
//! numerics stay text, and so do NaN and the infinities.

/// Oids of the types that are not simply text
/// (<https://github.com/postgres/postgres/blob/REL_15_STABLE/src/include/catalog/pg_type.dat>).
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const OID: u32 = 26;
    pub(super) const TEXT: u32 = 25;
    pub(super) const JSON: u32 = 114;
    pub(super) const BOX: u32 = 603;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const JSONB: u32 = 3802;
}

/// `MAXDIM` in PostgreSQL's `utils/array.h`.
const ARRAY_DEPTH_MAX: usize = 6;

/// Appends a value of the type with this oid.
pub fn write(out: &mut Vec<u8>, type_oid: u32, text: &str) {
    if let Some(element) = element_of(type_oid) {
        let start = out.len();
        let delimiter = if element == oid::BOX { b';' } else { b',' };
        if (Array { text, at: 0, delimiter, element }).write(out).is_some() {
            return;
        }
        // Not as arrays are written: then it is text like any other.
        out.truncate(start);
    }
    scalar(out, type_oid, text);
}

/// Appends text in quotes.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a vector takes every byte");
}

fn scalar(out: &mut Vec<u8>, type_oid: u32, text: &str) {
    match type_oid {
        oid::BOOL if text == "t" => out.extend_from_slice(b"true"),
        oid::BOOL if text == "f" => out.extend_from_slice(b"false"),
        oid::INT2 | oid::INT4 | oid::OID | oid::FLOAT4 | oid::FLOAT8 if is_number(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        // As it was stored: not a digit of its numbers is lost.
        oid::JSON | oid::JSONB if is_json(text) => out.extend_from_slice(text.as_bytes()),
        _ => write_text(out, text),
    }
}

fn is_number(text: &str) -> bool {
    is_integer(text.as_bytes()) || serde_json::from_str::<f64>(text).is_ok()
}

/// A JSON number without fraction or exponent (RFC 8259 §6), as most numbers are: there is no need to compute it.
fn is_integer(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The element's type, if this is an array that PostgreSQL itself defines. A type that a tenant defines
/// has an oid that says nothing, and stays text.
const fn element_of(type_oid: u32) -> Option<u32> {
    Some(match type_oid {
        199 => oid::JSON,
        1000 => oid::BOOL,
        1005 => oid::INT2,
        1007 => oid::INT4,
        1020 => oid::BOX,
        1021 => oid::FLOAT4,
        1022 => oid::FLOAT8,
        1028 => oid::OID,
        3807 => oid::JSONB,
        // xml, xid8, geometry, addresses, money.
        143 | 271 | 629 | 651 | 719 | 775 | 791 | 1017 | 1018 | 1019 | 1027 | 1040 | 1041
        // bytea, char, name, text, varchar, int8, numeric and system types.
        | 1001 | 1002 | 1003 | 1006 | 1008..=1016 | 1034 | 1231 | 1263 | 1561 | 1563 | 2201 | 2951 | 3221
        // Dates and times.
        | 1115 | 1182 | 1183 | 1185 | 1187 | 1270
        // Object names, text search, JSON paths, snapshots.
        | 2207..=2211 | 2949 | 3643..=3645 | 3735 | 3770 | 4073 | 4090 | 4097 | 4192 | 5039
        // Ranges and multiranges.
        | 3905 | 3907 | 3909 | 3911 | 3913 | 3927 | 6150..=6153 | 6155 | 6157 => oid::TEXT,
        _ => return None,
    })
}

/// Reads an array as `array_out` writes it
/// (<https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>). `None`: it is not one.
struct Array<'a> {
    text: &'a str,
    at: usize,
    delimiter: u8,
    element: u32,
}

impl Array<'_> {
    fn write(mut self, out: &mut Vec<u8>) -> Option<()> {
        // Bounds other than the usual come first: `[0:1]={1,2}`.
        if self.text.starts_with('[') {
            self.at = self.text.find('=')? + 1;
        }
        self.array(out, 1)?;
        (self.at == self.text.len()).then_some(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > ARRAY_DEPTH_MAX || self.next()? != b'{' {
            return None;
        }
        out.push(b'[');
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                match self.peek()? {
                    b'{' => self.array(out, depth + 1)?,
                    b'"' => self.quoted(out)?,
                    _ => self.plain(out)?,
                }
                match self.next()? {
                    b'}' => break,
                    byte if byte == self.delimiter => out.push(b','),
                    _ => return None,
                }
            }
        }
        out.push(b']');
        Some(())
    }

    fn quoted(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let length = rest.find(['"', '\\'])?;
            value.push_str(&rest[..length]);
            self.at += length;
            if self.next()? == b'"' {
                scalar(out, self.element, &value);
                return Some(());
            }
            let escaped = self.text.get(self.at..)?.chars().next()?;
            value.push(escaped);
            self.at += escaped.len_utf8();
        }
    }

    fn plain(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let length = rest.bytes().position(|byte| byte == self.delimiter || byte == b'}')?;
        let value = rest.get(..length).filter(|value| !value.is_empty())?;
        self.at += length;
        if value == "NULL" {
            out.extend_from_slice(b"null");
        } else {
            scalar(out, self.element, value);
        }
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(type_oid: u32, text: &str) -> String {
        let mut out = Vec::new();
        write(&mut out, type_oid, text);
        String::from_utf8(out).expect("JSON is text")
    }

    #[track_caller]
    fn check(type_oid: u32, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(json(type_oid, text), *expected, "{text}");
        }
    }

    #[test]
    fn scalars_become_json_where_nothing_is_lost() {
        check(oid::BOOL, &[("t", "true"), ("f", "false")]);
        check(
            oid::INT4,
            &[("-12", "-12"), ("0", "0"), ("-0", "-0"), ("007", "\"007\""), ("-", "\"-\""), ("", "\"\"")],
        );
        check(oid::OID, &[("4294967295", "4294967295")]);
        check(
            oid::FLOAT8,
            &[("1e+20", "1e+20"), ("-0", "-0"), ("NaN", "\"NaN\""), ("-Infinity", "\"-Infinity\"")],
        );
        check(oid::JSONB, &[(r#"{"a": 12345678901234567890}"#, r#"{"a": 12345678901234567890}"#)]);
        check(20, &[("9007199254740993", "\"9007199254740993\"")]);
        check(1700, &[("1.50", "\"1.50\"")]);
        check(oid::TEXT, &[("a\"b\\\n\u{1}é", r#""a\"b\\\n\u0001é""#)]);
    }

    #[test]
    fn arrays_become_nested_arrays() {
        check(1007, &[("{}", "[]"), ("{1,NULL,3}", "[1,null,3]"), ("{{1,2},{3,4}}", "[[1,2],[3,4]]")]);
        check(1007, &[("[0:1]={7,8}", "[7,8]"), ("[0:0][1:2]={{7,8}}", "[[7,8]]")]);
        check(1000, &[("{t,f}", "[true,false]")]);
        check(1016, &[("{1,2}", r#"["1","2"]"#)]);
        check(1009, &[(r#"{a,"b,c","NULL","\"\\é",""}"#, r#"["a","b,c","NULL","\"\\é",""]"#)]);
        check(3807, &[(r#"{"{\"a\": [1]}",NULL,2}"#, r#"[{"a": [1]},null,2]"#)]);
        check(1020, &[("{(2,2),(1,1);(4,4),(3,3)}", r#"["(2,2),(1,1)","(4,4),(3,3)"]"#)]);
    }

    #[test]
    fn what_is_not_written_as_an_array_stays_text() {
        check(1007, &[("{1,", "\"{1,\""), ("{,}", "\"{,}\""), ("{1}x", "\"{1}x\""), ("", "\"\"")]);
        let deep = format!("{}1{}", "{".repeat(100_000), "}".repeat(100_000));
        assert_eq!(json(1007, &deep), format!("\"{deep}\""));
    }

    #[test]
    fn a_tenants_own_types_stay_text() {
        check(16_401, &[("{a,b}", "\"{a,b}\"")]);
    }

    proptest! {
        #[test]
        fn whatever_the_server_says_the_result_is_json(
            type_oid in prop_oneof![Just(16), Just(23), Just(114), Just(1009), Just(1007), Just(3807), Just(1020)],
            text in "[{}\\[\\]:=,;\"\\\\a1tNUL é]{0,20}",
        ) {
            let json = json(type_oid, &text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
