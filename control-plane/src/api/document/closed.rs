//! Schemas of several parts. A part that allows nothing but its own fields contradicts the others: no value is both. What is
//! written as one object is described as one.

use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, AllOf, Object};
use utoipa::openapi::{RefOr, Schema};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Where references to schemas of the document point to.
const PREFIX: &str = "#/components/schemas/";

/// Makes one object of every schema that has a closed part.
pub(super) fn join_closed_parts(schemas: &mut Schemas) {
    let joined = schemas.iter().filter_map(|(name, schema)| {
        let RefOr::T(Schema::AllOf(parts)) = schema else { return None };
        Some((name.clone(), RefOr::T(Schema::Object(joined(parts, schemas)?))))
    });
    let joined: Schemas = joined.collect();
    schemas.extend(joined);
}

/// `None`: no part is closed, or one is no object.
fn joined(parts: &AllOf, schemas: &Schemas) -> Option<Object> {
    let mut whole = Object::default();
    whole.description = parts.description.clone();
    let mut has_closed = false;
    for part in &parts.items {
        let Schema::Object(part) = resolved(part, schemas)? else { return None };
        has_closed |= is_closed(part);
        whole.properties.extend(part.properties.clone());
        whole.required.extend(part.required.clone());
    }
    whole.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    has_closed.then_some(whole)
}

fn resolved<'a>(part: &'a RefOr<Schema>, schemas: &'a Schemas) -> Option<&'a Schema> {
    match part {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => match schemas.get(reference.ref_location.strip_prefix(PREFIX)?)? {
            RefOr::T(schema) => Some(schema),
            RefOr::Ref(_) => None,
        },
    }
}

fn is_closed(part: &Object) -> bool {
    matches!(part.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false)))
}
