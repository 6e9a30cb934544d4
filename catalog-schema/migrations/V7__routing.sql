-- How gateways follow the catalog: a revision that rises with every change of a route, and what
-- changed at each.
--
-- The revision is one row. It is raised at the end of the transaction (deferred triggers) and stays
-- locked until the commit, so revisions become visible in their order: whoever has seen revision N can
-- see all changes up to N. A sequence would not do, since it gives numbers out before their
-- transactions commit. Raising it last also means that nobody holds it while waiting for another row.

create table catalog.revision (
  singleton      boolean primary key default true check (singleton),
  value          bigint not null,
  -- Changes up to this one are no longer listed: a reader that is behind it takes every route for changed.
  pruned_through bigint not null
);
insert into catalog.revision (value, pruned_through) values (0, 0);

create table catalog.route_changes (
  revision  bigint not null,
  tenant_id uuid, -- null: possibly every tenant
  constraint route_changes_once unique nulls not distinct (revision, tenant_id)
);

create table catalog.gateways (
  id               uuid primary key,
  name             text not null,
  region           text not null,
  address          text not null,
  started_at       timestamptz not null default clock_timestamp(),
  heartbeat_at     timestamptz not null default clock_timestamp(),
  applied_revision bigint not null
) with (fillfactor = 50);

-- Argument: the column that holds the tenant, or 'everything'.
create function catalog.route_changed() returns trigger
language plpgsql as $$
declare
  changed jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
  -- One revision a transaction, however many rows it changed. The setting ends with the transaction,
  -- and with the savepoint that it was made in, as the revision does.
  if current_setting('tenantry.revision_raised', true) is distinct from 'yes' then
    update catalog.revision set value = value + 1;
    perform set_config('tenantry.revision_raised', 'yes', true);
    notify tenantry_routes;
  end if;
  insert into catalog.route_changes (revision, tenant_id)
    select r.value, (changed ->> nullif(tg_argv[0], 'everything'))::uuid from catalog.revision r
    on conflict do nothing;
  return null;
end $$;

-- Every change of a tenant's own route, its place and its limits raises its generation; see above.
create constraint trigger tenants_route_insert after insert on catalog.tenants
deferrable initially deferred for each row execute function catalog.route_changed('id');
create constraint trigger tenants_route_update after update on catalog.tenants
deferrable initially deferred for each row
when (old.generation is distinct from new.generation) execute function catalog.route_changed('id');

create constraint trigger slug_aliases_route after insert or update or delete on catalog.slug_aliases
deferrable initially deferred for each row execute function catalog.route_changed('tenant_id');

create constraint trigger credentials_route after insert or delete on catalog.credentials
deferrable initially deferred for each row execute function catalog.route_changed('tenant_id');
create constraint trigger credentials_route_update after update on catalog.credentials
deferrable initially deferred for each row
when ((old.user_name, old.verifier, old.key_hash, old.role, old.expires_at, old.revoked_at)
      is distinct from (new.user_name, new.verifier, new.key_hash, new.role, new.expires_at, new.revoked_at))
execute function catalog.route_changed('tenant_id');

create constraint trigger clusters_route after update on catalog.clusters
deferrable initially deferred for each row
when ((old.name, old.region, old.host, old.port, old.system_identifier, old.connection_budget, old.state)
      is distinct from
      (new.name, new.region, new.host, new.port, new.system_identifier, new.connection_budget, new.state))
execute function catalog.route_changed('everything');

create constraint trigger plans_route after update on catalog.plans
deferrable initially deferred for each row
when (old.* is distinct from new.*) execute function catalog.route_changed('everything');
