//! What the listeners of both planes share.
//!
//! Nothing in here knows a tenant, a route or a request's meaning.

mod lingering;

pub use lingering::Lingering;
