-- Tenants, their former names, and what is left of the deleted ones.

create table catalog.tenants (
  id              uuid primary key,
  slug            text not null,
  display_name    text not null check (octet_length(display_name) <= 1000),
  region          text not null references catalog.regions,
  allowed_regions text[] not null check (cardinality(allowed_regions) <= 100),
  plan            text not null references catalog.plans,
  isolation       text not null check (isolation in ('row', 'schema', 'database', 'cluster')),
  state           text not null
                  check (state in ('provisioning', 'active', 'suspended', 'purging', 'deleted')),
  generation      bigint not null default 1,
  version         bigint not null default 1,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  deleted_at      timestamptz,
  constraint tenants_region_allowed check (region = any (allowed_regions)),
  constraint tenants_deleted_at check ((state = 'deleted') = (deleted_at is not null))
);

-- A deleted tenant's slug is free again. Nothing of it can be inherited with the name: databases,
-- roles and credentials never hang on a slug.
create unique index tenants_slug_key on catalog.tenants (slug) where state <> 'deleted';
create index tenants_region_idx on catalog.tenants (region);

create table catalog.entitlements (
  tenant_id           uuid primary key references catalog.tenants,
  pool_size           integer check (pool_size > 0),
  client_limit        integer check (client_limit > 0),
  queue_limit         integer check (queue_limit > 0),
  checkout_timeout_ms integer check (checkout_timeout_ms > 0)
);

create table catalog.slug_aliases (
  slug       text primary key,
  tenant_id  uuid not null references catalog.tenants,
  expires_at timestamptz not null
);
create index slug_aliases_tenant_idx on catalog.slug_aliases (tenant_id);
create index slug_aliases_expiry_idx on catalog.slug_aliases (expires_at);

create table catalog.tombstones (
  tenant_id uuid primary key references catalog.tenants,
  slug      text not null,
  evidence  jsonb not null,
  purged_at timestamptz not null default now()
);

create function catalog.tenants_before_change() returns trigger
language plpgsql as $$
begin
  if exists (select from unnest(new.allowed_regions) as allowed (name)
             where not exists (select from catalog.regions r where r.name = allowed.name)) then
    perform catalog.refuse('tenants_allowed_regions_known', 'an allowed region is not registered');
  end if;
  if tg_op = 'INSERT' then
    return new;
  end if;
  if old.state = 'deleted' then
    perform catalog.refuse('tenants_deleted_final', 'a deleted tenant does not change');
  end if;
  if (new.slug, new.region, new.allowed_regions, new.plan, new.isolation, new.state)
     is distinct from (old.slug, old.region, old.allowed_regions, old.plan, old.isolation, old.state) then
    new.generation := old.generation + 1;
  end if;
  return new;
end $$;

create trigger tenants_before_insert before insert on catalog.tenants
for each row execute function catalog.tenants_before_change();
create trigger tenants_before_update before update on catalog.tenants
for each row when (old.* is distinct from new.*) execute function catalog.tenants_before_change();
-- By its name it fires after the one above; both only fill in columns.
create trigger tenants_version before update on catalog.tenants
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

-- Checked after the unique index has let the row in: whoever renamed a tenant away from this slug at
-- the same time has committed by then, and the alias that was left is seen.
create function catalog.tenants_slug_not_aliased() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.slug_aliases a
             where a.slug = new.slug and a.tenant_id <> new.id and a.expires_at > clock_timestamp()) then
    raise exception using errcode = 'unique_violation', constraint = 'tenants_slug_aliased',
      message = 'the slug still leads to another tenant';
  end if;
  return null;
end $$;

create trigger tenants_slug_not_aliased after insert or update of slug on catalog.tenants
for each row when (new.state <> 'deleted') execute function catalog.tenants_slug_not_aliased();
