//! Choosing where a tenant's database will stand. Pure: it is given what is known and asks nobody.

pub(crate) mod placement;
