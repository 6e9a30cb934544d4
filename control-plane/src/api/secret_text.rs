//! Secrets that come in a request's body.

use serde::{Deserialize, Deserializer};
use tenancy::Secret;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};

/// A password or token, out of sight from the moment it is read.
#[derive(Debug, Clone)]
pub(super) struct SecretText(pub(super) Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// How the document shows one.
pub(super) fn schema() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Password);
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}
