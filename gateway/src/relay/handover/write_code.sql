select a.adbin::pg_catalog.text as tree from pg_catalog.pg_attrdef a
where a.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
union all
select c.conbin::pg_catalog.text from pg_catalog.pg_constraint c
where c.oid operator(pg_catalog.>=) 16384::pg_catalog.oid and c.conbin is not null
union all
select t.typdefaultbin::pg_catalog.text from pg_catalog.pg_type t
where t.oid operator(pg_catalog.>=) 16384::pg_catalog.oid and t.typdefaultbin is not null
union all
select g.tgqual::pg_catalog.text from pg_catalog.pg_trigger g
where g.oid operator(pg_catalog.>=) 16384::pg_catalog.oid and g.tgqual is not null
