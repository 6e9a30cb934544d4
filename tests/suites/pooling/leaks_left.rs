//! What a client can leave behind: the statements, and the code that some of them run.

/// What a database may have that a client's statement runs.
pub(crate) const CODE: &str = "\
    create table kept (id serial, a int); \
    create table watched (a int); \
    create function sets() returns int language plpgsql as \
        $$ begin perform set_config('app.hidden', 'x', false); set statement_timeout = '6s'; return 1; end $$; \
    create function locks() returns int language plpgsql as $$ begin perform pg_advisory_lock(5); return 1; end $$; \
    create function makes() returns int language plpgsql as \
        $$ begin create temp table hidden_t (a int); return 1; end $$; \
    create function listens() returns int language plpgsql as $$ begin execute 'listen hidden'; return 1; end $$; \
    create function prepares() returns int language plpgsql as \
        $$ begin execute 'prepare hidden as select 1'; return 1; end $$; \
    create function draws() returns int language plpgsql as $$ begin return nextval('kept_id_seq'); end $$; \
    create function inlined() returns text begin atomic select set_config('app.inlined', 'x', false); end; \
    create function fires() returns trigger language plpgsql as \
        $$ begin perform sets(); perform pg_advisory_lock(6); return new; end $$; \
    create trigger fires before insert on watched for each row execute function fires(); \
    create view viewed as select set_config('app.viewed', 'x', false) as v; \
    create procedure does() language plpgsql as $$ begin perform sets(); end $$; \
    create operator @@@ (function = int4pl, leftarg = int4, rightarg = int4)";

/// Each a simple query of one or more statements.
pub(crate) const LEAVES: &[&str] = &[
    // Settings that are reported.
    "set timezone = 'Asia/Tokyo'",
    "set application_name = 'leaky'",
    "set datestyle = 'german'; set intervalstyle = 'iso_8601'",
    "set client_encoding = 'latin1'",
    "set client_encoding = 'sjis'",
    "set session characteristics as transaction read only",
    "select set_config('TimeZone', 'Asia/Tokyo', false)",
    // Settings that follow.
    "set statement_timeout = '7s'",
    "set search_path = nowhere, public",
    "set schema 'nowhere'",
    "set app.user_id = '42'",
    "set extra_float_digits = 3",
    "set row_security = off",
    "select set_config('app.user_id', '42', false)",
    "begin; set constraints all deferred; set app.user_id = '42'; commit",
    "set constraints all deferred; set app.user_id = '42'; set app.hidden = '42'",
    "select 1; rollback; set app.user_id = '42'",
    "begin; select 1; rollback; select 1; set app.user_id = '42'",
    "select pg_catalog.set_config('search_path', '', false)",
    "begin; set lock_timeout = '3s'; commit",
    "begin; set lock_timeout = '3s'; savepoint a; set lock_timeout = '4s'; rollback to a; commit",
    "set lock_timeout = '3s'; reset lock_timeout; set lock_timeout = '5s'",
    "set session characteristics as transaction isolation level serializable, deferrable",
    // Settings that pin.
    "set work_mem = E'5MB'",
    "select 1, set_config('work_mem', '5MB', false)",
    "select set_config('work' || '_mem', '5MB', false)",
    "with a as (select set_config('work_mem', '5MB', false)) select * from a",
    "explain analyze select set_config('work_mem', '5MB', false)",
    "update pg_settings set setting = 5000 where name = 'work_mem'",
    "prepare p as select set_config('work_mem', '5MB', false); execute p",
    "set temp_buffers = 200",
    "set standard_conforming_strings = off",
    "set local standard_conforming_strings = off",
    "set standard_conforming_strings = off; select '\\'' , pg_advisory_lock(1) , '\\''",
    "select set_config('role', current_user::text, false)",
    "set role none; set role nobody",
    "set session authorization default",
    // Settings of the transaction only.
    "begin; set local work_mem = '5MB'; set transaction read only; commit",
    "begin; set constraints all deferred; commit",
    // Prepared statements, cursors, notifications.
    "prepare leaked as select 1",
    "begin; declare leaked cursor with hold for select 1; commit",
    "listen leaked",
    "begin; listen leaked; notify leaked; commit",
    // Temporary objects.
    "create temp table leak (a int)",
    "create temporary view leak as select 1",
    "create temp sequence leak",
    "create function pg_temp.leak() returns int language sql as 'select 1'",
    "create table pg_temp.leak (a int)",
    "create table \"pg_temp\".leak (a int)",
    "select 1 as a into temp leak",
    "create temp table leak on commit drop as select 1",
    "set search_path = pg_temp; create table leak (a int)",
    "create temp table leak (a int); drop table leak",
    "set search_path = E'pg_temp'; create table leak (a int)",
    "set local search_path = pg_temp; create table leak (a int)",
    // Locks.
    "select pg_advisory_lock(42)",
    "select pg_try_advisory_lock_shared(42)",
    "select \"pg_advisory_lock\"(42)",
    "select U&\"pg\\005fadvisory_lock\"(42)",
    "select pg_advisory_xact_lock(42)",
    "select /* /* nested */ */ pg_advisory_lock(42) -- x",
    // Sequences.
    "insert into kept (a) values (1)",
    "select nextval('kept_id_seq')",
    "select setval('kept_id_seq', 100)",
    "copy kept (a) to stdout",
    "create table drawn (id serial); insert into drawn default values; drop table drawn",
    // What cannot be read.
    "do $$ begin perform set_config('app.hidden', 'x', false); end $$",
    "do $$ begin create temp table leak (a int); perform pg_advisory_lock(1); execute 'listen a'; end $$",
    "select setseed(0.5)",
    "set seed = 0.5",
    "select query_to_xml('select set_config(''work_mem'', ''5MB'', false)', true, true, '')",
    "select * from ts_stat('select to_tsvector(set_config(''work_mem'', ''5MB'', false))')",
    // Code of the database's own.
    "select sets()",
    "select locks()",
    "select makes()",
    "select listens()",
    "select prepares()",
    "select draws()",
    "select inlined()",
    "select * from viewed",
    "insert into watched values (1)",
    "call does()",
    "begin; select sets(); commit; select 1",
    // Undone, or not quite.
    "listen a; unlisten a",
    "listen a; listen b; unlisten *",
    "set work_mem = E'5MB'; reset all",
    "select pg_advisory_lock(1); select pg_advisory_unlock_all() where false",
    "begin; set work_mem = E'5MB'; reset all; rollback",
    "select lo_creat(-1)",
    "select pg_export_snapshot()",
];
