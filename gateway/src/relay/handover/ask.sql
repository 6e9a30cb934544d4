with code as (
    select p.oid, l.lanname, case
        when p.prosqlbody is null then pg_catalog.regexp_replace(
            p.prosrc, $re$set_config\s*\([^()]*,\s*true\s*\)$re$, '', 'gi')
        else pg_catalog.pg_get_function_sqlbody(p.oid)
    end as source
    from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
    where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
        and l.lanname operator(pg_catalog.<>) all ('{internal,c}'::pg_catalog.name[])
), judged as (
    select c.oid, c.source, c.source operator(pg_catalog.~*) $re$\m(insert|merge|copy|nextval|setval|execute)\M$re$ as draws,
        c.source operator(pg_catalog.~*) $re$(?x)
            (^|;|\*/|>>|\m(begin|then|else|loop|atomic)|--[^\n]*\n)\s*(set|reset)\M|
            \m(set_config|pg_settings|execute|listen|unlisten|prepare|deallocate|load|discard|temp|temporary|pg_temp\w*|
            hold|setseed|query_to_xml\w*|ts_stat|ts_rewrite|crosstab\w*|connectby|xpath_table|dblink\w*|
            pg_advisory_lock\w*|pg_try_advisory_lock\w*|pg_replication_origin_session_setup)\M$re$ as changes,
        c.lanname operator(pg_catalog.<>) all ('{sql,plpgsql}'::pg_catalog.name[])
        or c.source operator(pg_catalog.~*) $re$(?x)
            \m(setseed|dblink_connect\w*|dblink_open|pg_replication_origin_session_setup|
            pg_(create|copy)_(logical|physical)_replication_slot)\M|
            \mset\s+((session|local)\s+)?seed\M|set_config\s*\(\s*'+seed'|
            (^|;|\*/|>>|\m(begin|then|else|loop|atomic)|--[^\n]*\n)\s*load\s*('|e'|u&'|\$|/\*|--)|
            '\s*load(\s*''|\s+(%|'))$re$ as lasts
    from code c
), foreign_code as (
    select 1 from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
        left join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
            and d.objid operator(pg_catalog.=) p.oid and d.deptype operator(pg_catalog.=) 'e'
        left join pg_catalog.pg_extension e on e.oid operator(pg_catalog.=) d.refobjid
    where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid and l.lanname operator(pg_catalog.=) 'c'
        and coalesce(e.extname operator(pg_catalog.<>) all (
            '{plpgsql,plperl,plpython3u,pltcl,uuid-ossp,pgcrypto,pg_trgm,btree_gin,btree_gist,citext,hstore,ltree,intarray,'
            'unaccent,fuzzystrmatch,cube,earthdistance,isn,seg,bloom,lo,pg_stat_statements,postgis,vector,moddatetime,'
            'autoinc,refint,insert_username,tcn,sslinfo,pg_buffercache,pg_prewarm,pgstattuple,pgrowlocks,amcheck,'
            'dict_int,dict_xsyn,tsm_system_rows,tsm_system_time,postgres_fdw,file_fdw}'::pg_catalog.name[]), true)
), stateful as (
    select p.oid, p.proname operator(pg_catalog.=) any ('{nextval,setval}'::pg_catalog.name[]) as draws,
        p.proname operator(pg_catalog.=) any ('{setseed,dblink_connect,dblink_connect_u,dblink_open}'::pg_catalog.name[]) as lasts
    from pg_catalog.pg_proc p
    where p.proname operator(pg_catalog.=) any ('{dblink_connect,dblink_connect_u,dblink_open}'::pg_catalog.name[])
        or p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace and (
        p.proname operator(pg_catalog.=) any ('{set_config,nextval,setval,setseed,pg_advisory_lock,'
            'pg_advisory_lock_shared,pg_try_advisory_lock,pg_try_advisory_lock_shared,query_to_xml,query_to_xmlschema,'
            'query_to_xml_and_xmlschema,ts_stat,ts_rewrite}'::pg_catalog.name[]))
), read_code as (
    select r.ev_action::pg_catalog.text as tree from pg_catalog.pg_rewrite r
    where r.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
    union all
    select pg_catalog.concat(p.polqual::pg_catalog.text, p.polwithcheck::pg_catalog.text) from pg_catalog.pg_policy p
), write_code as (
{write_code.sql}
), of_a_row as materialized (
    select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) case
        when p.pronargs operator(pg_catalog.=) 1::pg_catalog.int2 and p.provariadic operator(pg_catalog.<>) 0::pg_catalog.oid
        then p.provariadic else p.proargtypes[0] end
    where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid and p.prokind operator(pg_catalog.=) 'f'::pg_catalog."char"
        and (p.pronargs operator(pg_catalog.-) p.pronargdefaults) operator(pg_catalog.<=) 1
        and (t.typcategory operator(pg_catalog.=) any ('{C,P}'::pg_catalog."char"[])
            or exists (select from pg_catalog.pg_cast k join pg_catalog.pg_type f on f.oid operator(pg_catalog.=) k.castsource
                where k.castcontext operator(pg_catalog.=) 'i'::pg_catalog."char"
                    and k.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
                    and f.typcategory operator(pg_catalog.=) 'C'::pg_catalog."char"))
), run_as_columns as (
    select 1 from judged j
    where j.oid operator(pg_catalog.=) any (select o.oid from of_a_row o)
        and (j.draws or j.changes or j.lasts
            or j.source operator(pg_catalog.~*) $re$\m(update|delete|truncate|alter|create|drop|refresh|call|u&")$re$
            -- What else it calls may do anything, unless it has one of the names that are trusted.
            or pg_catalog.regexp_replace(j.source, pg_catalog.concat(
                    $re$\m($re$, pg_catalog.array_to_string($1::pg_catalog.name[], '|'), $re$)\s*\($re$), '', 'gi')
                operator(pg_catalog.~) $re$[\w"]\s*\(|/\*|--$re$)
), reads as (
    select exists (select from read_code t, stateful s where pg_catalog.strpos(
        t.tree, pg_catalog.concat(':funcid ', s.oid, ' ')) operator(pg_catalog.>) 0) as stateful,
    exists (select from run_as_columns) or exists (select from pg_catalog.pg_depend d
        where d.classid operator(pg_catalog.=) any ('{pg_rewrite,pg_policy,pg_constraint}'::pg_catalog.regclass[])
            and d.refclassid operator(pg_catalog.=) any ('{pg_proc,pg_operator}'::pg_catalog.regclass[])
            and d.refobjid operator(pg_catalog.>=) 16384::pg_catalog.oid)
    or exists (select from pg_catalog.pg_operator o join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) o.oprcode
        join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
        where o.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
            and l.lanname operator(pg_catalog.<>) all ('{internal,c}'::pg_catalog.name[]))
    or exists (select from pg_catalog.pg_cast c join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) c.castfunc
        join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
        where c.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
            and l.lanname operator(pg_catalog.<>) all ('{internal,c}'::pg_catalog.name[]))
    or exists (select from pg_catalog.pg_proc p join pg_catalog.pg_language l
            on l.oid operator(pg_catalog.=) p.prolang
        where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
            and p.proname operator(pg_catalog.=) any ($1::pg_catalog.name[])
            and l.lanname operator(pg_catalog.<>) all ('{internal,c}'::pg_catalog.name[])) as code
)
select pg_catalog.concat(
    case when exists (select from pg_catalog.pg_sequence) then 's' end,
    case when exists (select from judged where draws) then 'd' end,
    case when exists (select from judged where changes)
        or exists (select from foreign_code)
        or exists (select from write_code t, stateful s where not s.draws and pg_catalog.strpos(
            t.tree, pg_catalog.concat(':funcid ', s.oid, ' ')) operator(pg_catalog.>) 0)
        or exists (select from pg_catalog.pg_db_role_setting s
            where s.setconfig::pg_catalog.text operator(pg_catalog.~*) 'pg_temp')
        or exists (select from pg_catalog.pg_depend d
            where d.classid operator(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                and d.objid operator(pg_catalog.>=) 16384::pg_catalog.oid
                and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.refobjid operator(pg_catalog.=) 'pg_catalog.pg_settings'::pg_catalog.regclass)
        or reads.stateful then 'h' end,
    case when exists (select from judged where lasts)
        or exists (select from stateful s, (table read_code union all table write_code) t where s.lasts and pg_catalog.strpos(
            t.tree, pg_catalog.concat(':funcid ', s.oid, ' ')) operator(pg_catalog.>) 0) then 'c' end,
    case when reads.stateful or reads.code then 'r' end
) as letters
from reads
