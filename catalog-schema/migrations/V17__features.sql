-- Features: what tenants may use, each switched by a flag of its name: by default, by plan, for a percentage of tenants, or
-- for one tenant. `tenancy::feature` says which of these wins.

create table catalog.features (
  name        text primary key check (name ~ '^[a-z0-9-]{1,63}$'),
  description text not null default '' check (octet_length(description) <= 1000),
  by_default  boolean not null,
  percentage  integer not null default 0 check (percentage between 0 and 100),
  built_in    boolean not null default false, -- the gateway itself asks for it
  version     bigint not null default 1,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now()
);
create trigger features_version before update on catalog.features
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

create function catalog.features_before_change() returns trigger
language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    perform catalog.refuse('features_built_in', 'a feature of the gateway''s own stays');
    return old;
  end if;
  perform catalog.refuse('features_stay', 'a feature keeps its name and its kind');
  return new;
end $$;
create trigger features_before_delete before delete on catalog.features
for each row when (old.built_in) execute function catalog.features_before_change();
create trigger features_before_update before update on catalog.features
for each row when ((old.name, old.built_in) is distinct from (new.name, new.built_in))
execute function catalog.features_before_change();

create table catalog.plan_features (
  plan    text not null references catalog.plans on delete cascade,
  feature text not null references catalog.features on delete cascade,
  is_on   boolean not null,
  primary key (feature, plan)
);
create index plan_features_plan_idx on catalog.plan_features (plan);

create table catalog.tenant_features (
  tenant_id  uuid not null references catalog.tenants,
  feature    text not null references catalog.features on delete cascade,
  is_on      boolean not null,
  expires_at timestamptz, -- from when on it says nothing
  created_at timestamptz not null default now(),
  primary key (tenant_id, feature)
);
create index tenant_features_feature_idx on catalog.tenant_features (feature);

-- What gateways know of features rather than of a tenant's own is one document, as the identity document is (V13).
create table catalog.features_version (
  singleton boolean primary key default true check (singleton),
  value     bigint not null
);
insert into catalog.features_version (value) values (0);

create function catalog.features_changed() returns trigger
language plpgsql as $$
begin
  -- As for routes (V7): one revision a transaction, raised at its end.
  if current_setting('tenantry.revision_raised', true) is distinct from 'yes' then
    update catalog.revision set value = value + 1;
    perform set_config('tenantry.revision_raised', 'yes', true);
    notify tenantry_routes;
  end if;
  update catalog.features_version v set value = r.value from catalog.revision r where v.value is distinct from r.value;
  return null;
end $$;

create constraint trigger features_document after insert or delete on catalog.features
deferrable initially deferred for each row execute function catalog.features_changed();
create constraint trigger features_document_update after update on catalog.features
deferrable initially deferred for each row
when ((old.by_default, old.percentage) is distinct from (new.by_default, new.percentage))
execute function catalog.features_changed();
create constraint trigger plan_features_document after insert or update or delete on catalog.plan_features
deferrable initially deferred for each row execute function catalog.features_changed();

-- What a tenant has of its own is part of its route.
create function catalog.raise_generation_of_living() returns trigger
language plpgsql as $$
begin
  update catalog.tenants set generation = generation + 1
    where id = case when tg_op = 'DELETE' then old.tenant_id else new.tenant_id end and state <> 'deleted';
  return null;
end $$;
create trigger tenant_features_generation after insert or delete on catalog.tenant_features
for each row execute function catalog.raise_generation_of_living();
create trigger tenant_features_generation_update after update on catalog.tenant_features
for each row when (old.* is distinct from new.*) execute function catalog.raise_generation_of_living();

create function catalog.tenants_forget_features() returns trigger
language plpgsql as $$
begin
  delete from catalog.tenant_features where tenant_id = new.id;
  return null;
end $$;
create trigger tenants_forget_features after update of state on catalog.tenants
for each row when (new.state = 'deleted') execute function catalog.tenants_forget_features();

-- What the gateway itself asks for. On, as it was before there were features.
insert into catalog.features (name, description, by_default, built_in) values
  ('http', 'SQL over HTTP', true, true),
  ('websocket', 'the PostgreSQL protocol over a WebSocket', true, true),
  ('session-mode', 'keeping a server connection for as long as a client is connected', true, true),
  ('listen', 'LISTEN', true, true);
