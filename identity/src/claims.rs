//! What a token claims, each name once.
//!
//! RFC 7519 §4 leaves it open whether a repeated name is refused or its last value counts. Two programs that choose
//! differently see two tokens in one, so it is refused, at every depth.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;
use tenancy::ClaimPath;

/// A token's claims.
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The claim of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The text of this name; `None` also if it is empty or something else.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// What stands at this path.
    #[must_use]
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        if !path.is_pointer() {
            return self.get(path.as_str());
        }
        let (name, rest) = path.as_str()[1..].split_once('/').unwrap_or((&path.as_str()[1..], ""));
        // RFC 6901 §4.
        let outer = self.get(&name.replace("~1", "/").replace("~0", "~"))?;
        let inner = if rest.is_empty() { Some(outer) } else { outer.pointer(&format!("/{rest}")) };
        inner.filter(|value| !value.is_null())
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Unique::deserialize(deserializer)?.0 {
            Value::Object(claims) => Ok(Self(claims)),
            _ => Err(D::Error::custom("claims are an object")),
        }
    }
}

/// A value in which no object has a name twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(claims: &str, path: &str) -> Option<Value> {
        let claims: Claims = serde_json::from_str(claims).expect("claims");
        claims.at(&path.parse().expect("a path")).cloned()
    }

    #[test]
    fn a_repeated_name_is_refused_at_every_depth() {
        for bad in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            "[]",
            "1",
        ] {
            assert!(serde_json::from_str::<Claims>(bad).is_err(), "{bad}");
        }
        let good = r#"{"a":{"b":[1,-1,1.5,true,null]},"b":{"b":""}}"#;
        let claims: Claims = serde_json::from_str(good).expect("claims");
        assert_eq!(Value::Object(claims.0), serde_json::from_str::<Value>(good).expect("JSON"));
    }

    #[test]
    fn a_path_leads_to_a_name_or_into_a_claim() {
        let claims =
            r#"{"realm":{"roles":["a"],"x/y":1},"https://acme.example/role":"b","/odd":2,"none":null}"#;
        assert_eq!(at(claims, "/realm/roles"), Some(serde_json::json!(["a"])));
        assert_eq!(at(claims, "/realm/roles/0"), Some("a".into()));
        assert_eq!(at(claims, "/realm/x~1y"), Some(1.into()));
        assert_eq!(at(claims, "/~1odd"), Some(2.into()));
        assert_eq!(at(claims, "https://acme.example/role"), Some("b".into()));
        for nothing in ["none", "/none", "/realm/none", "/", "realm/roles", "/realm/roles/1"] {
            assert_eq!(at(claims, nothing), None, "{nothing}");
        }
    }
}
