select pg_catalog.sum(
    pg_catalog.pg_stat_get_tuples_inserted(c.oid) operator(pg_catalog.+)
    pg_catalog.pg_stat_get_tuples_updated(c.oid) operator(pg_catalog.+)
    pg_catalog.pg_stat_get_tuples_deleted(c.oid)
)::pg_catalog.text, null::pg_catalog.text
from (values ('pg_catalog.pg_proc'::pg_catalog.regclass), ('pg_catalog.pg_rewrite'), ('pg_catalog.pg_policy'),
    ('pg_catalog.pg_attrdef'), ('pg_catalog.pg_constraint'), ('pg_catalog.pg_operator'), ('pg_catalog.pg_cast'),
    ('pg_catalog.pg_depend'), ('pg_catalog.pg_sequence'), ('pg_catalog.pg_db_role_setting'),
        ('pg_catalog.pg_type'), ('pg_catalog.pg_trigger')) as c (oid)
