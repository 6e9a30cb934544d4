-- Where tenants' data is, and the ledger of all physical names. What these rules protect is not
-- repairable afterwards (data in a wrong country, a stranger's database dropped), so they are here
-- and not only in the programs.

create table catalog.placements (
  tenant_id     uuid primary key references catalog.tenants,
  cluster_id    uuid not null references catalog.clusters,
  database_name text not null unique,
  database_oid  bigint check (database_oid between 1 and 4294967295),
  role_name     text not null unique,
  secret        bytea not null
);
create index placements_cluster_idx on catalog.placements (cluster_id);

create table catalog.physical_names (
  kind       text not null check (kind in ('database', 'role')),
  name       text not null check (name <> ''),
  cluster_id uuid not null references catalog.clusters,
  tenant_id  uuid not null references catalog.tenants,
  oid        bigint check (oid between 1 and 4294967295),
  created_at timestamptz not null default now(),
  dropped_at timestamptz,
  primary key (kind, name)
);
create index physical_names_tenant_idx on catalog.physical_names (tenant_id);

-- A line is added, gets its oid once, is marked dropped once, and stays.
create function catalog.physical_names_guard() returns trigger
language plpgsql as $$
begin
  if tg_op = 'UPDATE'
     and (new.kind, new.name, new.cluster_id, new.tenant_id, new.created_at)
         is not distinct from (old.kind, old.name, old.cluster_id, old.tenant_id, old.created_at)
     and (new.oid is not distinct from old.oid or (old.oid is null and old.dropped_at is null))
     and (new.dropped_at is not distinct from old.dropped_at or old.dropped_at is null) then
    return new;
  end if;
  perform catalog.refuse('physical_names_append_only', 'the ledger of physical names only grows');
  return null;
end $$;

create trigger physical_names_guard before update or delete on catalog.physical_names
for each row execute function catalog.physical_names_guard();
create trigger physical_names_guard_all before truncate on catalog.physical_names
for each statement execute function catalog.physical_names_guard();

-- Residency fails closed, and a cluster never holds more than it may. The locks make those who place
-- on one cluster, or change the regions that the tenant allows, take turns; each then counts afresh.
create function catalog.placements_before_change() returns trigger
language plpgsql as $$
declare
  allowed text[];
  target  catalog.clusters;
  placed  bigint;
begin
  select t.allowed_regions into allowed from catalog.tenants t where t.id = new.tenant_id for no key update;
  select * into target from catalog.clusters c where c.id = new.cluster_id for no key update;
  if allowed is null or target.id is null then
    return new; -- the foreign keys say it better
  end if;
  if target.region <> all (allowed) then
    perform catalog.refuse('placements_region_allowed', 'the tenant does not allow the region of the cluster');
  end if;
  if target.state <> 'active' then
    perform catalog.refuse('placements_cluster_active', 'the cluster takes no new tenants');
  end if;
  select count(*) into placed from catalog.placements p
    where p.cluster_id = new.cluster_id and p.tenant_id <> new.tenant_id;
  if placed >= target.capacity then
    perform catalog.refuse('placements_cluster_full', 'the cluster is full');
  end if;
  return new;
end $$;

create trigger placements_before_insert before insert on catalog.placements
for each row execute function catalog.placements_before_change();
create trigger placements_before_move before update of cluster_id on catalog.placements
for each row when (old.cluster_id <> new.cluster_id) execute function catalog.placements_before_change();

-- What is known of a database is kept until it is proved to be gone.
create function catalog.placements_before_delete() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.physical_names n
             where n.dropped_at is null
               and (n.kind, n.name) in (('database', old.database_name), ('role', old.role_name))) then
    perform catalog.refuse('placements_dropped', 'the database or role may still exist');
  end if;
  return old;
end $$;

create trigger placements_before_delete before delete on catalog.placements
for each row execute function catalog.placements_before_delete();

-- The other side of residency: regions are not forbidden under data that stands in them, and a tenant
-- with data is not gone.
create function catalog.tenants_placement_agrees() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.placements p join catalog.clusters c on c.id = p.cluster_id
             where p.tenant_id = new.id and c.region <> all (new.allowed_regions)) then
    perform catalog.refuse('tenants_allowed_regions_placed', 'the data stands in a region that is not allowed');
  end if;
  if new.state = 'deleted' and exists (select from catalog.placements p where p.tenant_id = new.id) then
    perform catalog.refuse('tenants_deleted_unplaced', 'the tenant still has a database');
  end if;
  return null;
end $$;

create trigger tenants_placement_agrees after update of allowed_regions, state on catalog.tenants
for each row execute function catalog.tenants_placement_agrees();

-- A tenant's place and own limits are part of its route, whose generation stands in the tenant's row.
create function catalog.raise_generation() returns trigger
language plpgsql as $$
begin
  update catalog.tenants set generation = generation + 1
    where id = case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end;
  return null;
end $$;

create trigger placements_generation after insert or delete on catalog.placements
for each row execute function catalog.raise_generation();
create trigger placements_generation_update after update on catalog.placements
for each row when (old.* is distinct from new.*) execute function catalog.raise_generation();
create trigger entitlements_generation after insert or delete on catalog.entitlements
for each row execute function catalog.raise_generation();
create trigger entitlements_generation_update after update on catalog.entitlements
for each row when (old.* is distinct from new.*) execute function catalog.raise_generation();
