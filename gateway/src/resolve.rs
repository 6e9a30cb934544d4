//! Which tenant is meant, and where it lives.
//!
//! [`startup`] reads the tenant's name out of a wire connection; [`routes`] turns the name into a
//! [`Tenant`] from a cache that [`follow`] keeps current. Two sources that disagree are an error,
//! never a choice. A tenant that is cached is served whether or not the catalog can be reached.

pub mod follow;
pub mod routes;
pub mod startup;
pub mod tenant;

pub use routes::Routes;
pub use tenant::Tenant;
