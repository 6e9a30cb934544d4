//! What a role lets its holder do is what PostgreSQL lets it do: whatever SQL is sent, over the wire in either pool
//! mode and over HTTP.
//!
//! [`viewers`] read and leave nothing behind, [`lent`] is what reaches a viewer all the same and why, [`members`] read
//! and write all that the owner makes, [`separation`] keeps the roles and the tenants apart, [`upkeep`] what roles do to
//! themselves.

mod lent;
mod members;
mod separation;
mod traces;
mod upkeep;
mod viewers;
mod ways;

use harness::{SharedStack, Stack};
use std::sync::LazyLock;

static STACK: LazyLock<SharedStack> = LazyLock::new(|| SharedStack::start(Stack::start));

/// The SQLSTATE of what PostgreSQL's privileges forbid.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What the owner of a tenant under test has made: something of each kind that could be written to.
const SCHEMA: &str = r#"
    create table t (n int);
    insert into t values (1);
    create schema "Other one";
    create table "Other one"."A table" (id int generated always as identity, n serial, t text default 'x');
    insert into "Other one"."A table" default values;
    create view v as select n from t;
    create materialized view m as select count(*) as n from t;
    create table parted (n int) partition by list (n);
    create table part partition of parted for values in (1);
    insert into parted values (1);
    create sequence counter;
    create type mood as enum ('good', 'bad');
    create function twice(n int) returns int language sql as 'select 2 * n';
    create function add(n int) returns void language sql as 'insert into t values (n)';
    select lo_from_bytea(4711, 'large');
"#;
