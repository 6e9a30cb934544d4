//! One file a noun, one function a verb.

pub(crate) mod allow_list;
pub(crate) mod catalog;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod console;
pub(crate) mod credential;
pub(crate) mod dev;
pub(crate) mod domain;
pub(crate) mod feature;
pub(crate) mod gateway;
pub(crate) mod invite;
pub(crate) mod issuer;
pub(crate) mod limits;
pub(crate) mod member;
pub(crate) mod operation;
pub(crate) mod plan;
pub(crate) mod region;
pub(crate) mod role;
pub(crate) mod serve;
pub(crate) mod service_credential;
pub(crate) mod session;
pub(crate) mod signing_key;
pub(crate) mod tenant;
pub(crate) mod user;
