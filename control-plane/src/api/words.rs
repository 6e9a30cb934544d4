//! Enumerations as the OpenAPI document shows them: the words themselves, taken from the types that define them.

use catalog_schema::OperationState;
use tenancy::{
    ClaimShape, ClusterState, Isolation, KeyScope, Permission, PoolMode, Role, TenantForm, TenantState,
    TlsMode,
};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

fn words(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

pub(super) fn tenant_state() -> Object {
    words(TenantState::ALL.map(TenantState::as_str))
}

pub(super) fn cluster_state() -> Object {
    words(ClusterState::ALL.map(ClusterState::as_str))
}

pub(super) fn tls_mode() -> Object {
    words(TlsMode::ALL.map(TlsMode::as_str))
}

pub(super) fn pool_mode() -> Object {
    words(PoolMode::ALL.map(PoolMode::as_str))
}

pub(super) fn isolation() -> Object {
    words([Isolation::Row, Isolation::Schema, Isolation::Database, Isolation::Cluster].map(Isolation::as_str))
}

pub(super) fn role() -> Object {
    words(Role::ALL.map(Role::as_str))
}

pub(super) fn key_scope() -> Object {
    words(KeyScope::ALL.map(KeyScope::as_str))
}

pub(super) fn permissions() -> Array {
    let each = Permission::ALL.iter().map(|permission| permission.as_str());
    ArrayBuilder::new().items(words(each)).build()
}

pub(super) fn claim_shape() -> Object {
    words(ClaimShape::ALL.map(ClaimShape::as_str))
}

pub(super) fn tenant_form() -> Object {
    words(TenantForm::ALL.map(TenantForm::as_str))
}

pub(super) fn operation_state() -> Object {
    words(OperationState::ALL.iter().map(|state| state.as_str()))
}
