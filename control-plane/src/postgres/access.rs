//! What the login roles beside the owner's may do in a tenant's database.
//!
//! It is granted once, when the roles are made: on all that the owner has, and by default on all that the owner will
//! make, in whatever schema. From then on the owner's own GRANT and REVOKE hold, and nothing here takes them back: a
//! table that viewers are not to see stays unseen. Nobody gets `pg_read_all_data` or `pg_write_all_data`, which
//! open every table of the system too.

use super::error::PostgresError;
use super::quote::{identifier, literal};
use super::session::Session;
use tenancy::{DatabaseName, RoleName};

/// The login roles of one tenant's database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roles<'a> {
    /// Owns the database and what is in it.
    pub(crate) owner: &'a RoleName,
    /// Reads and writes.
    pub(crate) write: &'a RoleName,
    /// Reads.
    pub(crate) read: &'a RoleName,
}

/// What writes without touching a table, and is everybody's unless it is taken away: making and changing large
/// objects, and putting messages into the write-ahead log for whoever decodes it. `lo_import` and `lo_export` are
/// nobody's as it is.
const WRITING_FUNCTIONS: &str = "'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_truncate', \
     'lo_truncate64', 'lo_unlink', 'lowrite', 'pg_logical_emit_message'";

/// Takes from everybody what only the owner and the writing role are to have. `session` is in the tenant's database.
///
/// An admin that is no superuser does not own the system's functions: PostgreSQL warns then and they stay everybody's.
pub(crate) async fn withhold(session: &Session, roles: Roles<'_>) -> Result<(), PostgresError> {
    let (owner, write) = (identifier(roles.owner.as_str()), identifier(roles.write.as_str()));
    let statements = format!(
        "do $$
         declare f regprocedure;
         begin
           if to_regnamespace('public') is not null then
             revoke create on schema public from public;
           end if;
           for f in select p.oid from pg_proc p
             where p.pronamespace = 'pg_catalog'::regnamespace and p.proname in ({WRITING_FUNCTIONS})
           loop
             execute format('revoke execute on function %s from public', f);
             execute format('grant execute on function %s to {owner}, {write}', f);
           end loop;
         end $$"
    );
    session.batch(&statements).await
}

/// Grants what the roles stand for on all that the owner has, and on all that it will make.
/// `session` is in the tenant's database.
pub(crate) async fn grant(session: &Session, roles: Roles<'_>) -> Result<(), PostgresError> {
    session.batch(&on_what_exists(roles)).await?;
    session.batch(&on_what_comes(roles)).await
}

/// Names of relations of the system begin with `pg_`, and so do the schemas of temporary ones.
fn on_what_exists(roles: Roles<'_>) -> String {
    let (write, read) = (identifier(roles.write.as_str()), identifier(roles.read.as_str()));
    let owner = literal(roles.owner.as_str());
    format!(
        "do $$
         declare
           owns oid := (select oid from pg_roles where rolname = {owner});
           o record;
         begin
           for o in select nspname from pg_namespace where nspowner = owns and nspname !~ '^pg_'
           loop
             execute format('grant usage on schema %I to {write}, {read}', o.nspname);
           end loop;
           for o in select n.nspname, c.relname, c.relkind = 'S' as is_sequence
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relowner = owns and n.nspname !~ '^pg_' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
           loop
             if o.is_sequence then
               execute format('grant usage, select, update on sequence %I.%I to {write}', o.nspname, o.relname);
               execute format('grant select on sequence %I.%I to {read}', o.nspname, o.relname);
             else
               execute format('grant select, insert, update, delete on %I.%I to {write}', o.nspname, o.relname);
               execute format('grant select on %I.%I to {read}', o.nspname, o.relname);
             end if;
           end loop;
         end $$"
    )
}

/// From PostgreSQL 18 on, there are defaults for large objects as well.
fn on_what_comes(roles: Roles<'_>) -> String {
    let [owner, write, read] = [roles.owner, roles.write, roles.read].map(|role| identifier(role.as_str()));
    format!(
        "alter default privileges for role {owner} grant usage on schemas to {write}, {read};
         alter default privileges for role {owner} grant select, insert, update, delete on tables to {write};
         alter default privileges for role {owner} grant select on tables to {read};
         alter default privileges for role {owner} grant usage, select, update on sequences to {write};
         alter default privileges for role {owner} grant select on sequences to {read};
         do $$
         begin
           if current_setting('server_version_num')::int >= 180000 then
             execute 'alter default privileges for role {owner} grant select, update on large objects to {write}';
             execute 'alter default privileges for role {owner} grant select on large objects to {read}';
           end if;
         end $$;"
    )
}

/// Lets the roles into the database. Temporary tables are writes: the reading role makes none. `session` may be in any
/// database of the cluster.
pub(crate) async fn admit(
    session: &Session,
    database: &DatabaseName,
    roles: Roles<'_>,
) -> Result<(), PostgresError> {
    let database = identifier(database.as_str());
    let (write, read) = (identifier(roles.write.as_str()), identifier(roles.read.as_str()));
    session
        .batch(&format!(
            "grant connect, temporary on database {database} to {write};
             grant connect on database {database} to {read};"
        ))
        .await
}
