with counted (changes, nothing) as (
{count.sql}
), stateful as (
    select p.oid from pg_catalog.pg_proc p where p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
        and p.proname operator(pg_catalog.=) any ('{set_config,setseed,pg_advisory_lock,pg_advisory_lock_shared,'
            'pg_try_advisory_lock,pg_try_advisory_lock_shared,query_to_xml,query_to_xmlschema,'
            'query_to_xml_and_xmlschema,ts_stat,ts_rewrite}'::pg_catalog.name[])
), write_code as (
{write_code.sql}
)
select counted.changes, case
    when exists (select from pg_catalog.pg_proc p where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
        or exists (select from pg_catalog.pg_rewrite r where r.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
        or exists (select from pg_catalog.pg_policy)
        or exists (select from pg_catalog.pg_operator o where o.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
        or exists (select from pg_catalog.pg_cast c where c.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
        or exists (select from pg_catalog.pg_db_role_setting s
            where s.setconfig::pg_catalog.text operator(pg_catalog.~*) 'pg_temp')
        or exists (select from write_code t, stateful s where pg_catalog.strpos(
            t.tree, pg_catalog.concat(':funcid ', s.oid, ' ')) operator(pg_catalog.>) 0)
    then pg_catalog.substring(
        pg_catalog.query_to_xml($1, true, true, '')::pg_catalog.text, '<letters>([a-z]*)</letters>')
    when exists (select from pg_catalog.pg_sequence) then 's'
    else ''
end
from counted
