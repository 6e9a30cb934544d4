-- Identity providers whose tokens open tenants: the installation's, which may vouch for any tenant, and tenants' own.

-- What gateways know of the installation itself rather than of a tenant: its issuers and what else is read with them
-- (`read/identity.rs`). It holds the revision at which any of it changed last, so whoever has applied that revision has
-- read it.
create table catalog.identity_version (
  singleton boolean primary key default true check (singleton),
  value     bigint not null
);
insert into catalog.identity_version (value) values (0);

create function catalog.identity_changed() returns trigger
language plpgsql as $$
begin
  -- As for routes (V7): one revision a transaction, raised at its end.
  if current_setting('tenantry.revision_raised', true) is distinct from 'yes' then
    update catalog.revision set value = value + 1;
    perform set_config('tenantry.revision_raised', 'yes', true);
    notify tenantry_routes;
  end if;
  update catalog.identity_version v set value = r.value from catalog.revision r where v.value is distinct from r.value;
  return null;
end $$;

create table catalog.issuers (
  id           uuid primary key,
  tenant_id    uuid references catalog.tenants, -- null: the installation's
  -- Under this name the control plane signs its own tokens.
  iss          text not null check (octet_length(iss) between 1 and 512 and iss <> 'tenantry'),
  audiences    text[] not null check (cardinality(audiences) between 1 and 16),
  algorithms   text[] not null check (cardinality(algorithms) > 0),
  jwks_url     text not null check (octet_length(jwks_url) between 1 and 512),
  jwks_ca      text check (octet_length(jwks_ca) between 1 and 100000),
  leeway_s     integer not null check (leeway_s between 0 and 300),
  shape        text not null check (shape in ('active-tenant', 'organization', 'tenant', 'custom')),
  tenant_claim text check (octet_length(tenant_claim) between 1 and 200),
  role_claim   text check (octet_length(role_claim) between 1 and 200),
  user_claim   text check (octet_length(user_claim) between 1 and 200),
  tenant_form  text not null check (tenant_form in ('id', 'slug', 'external')),
  roles        jsonb not null check (jsonb_typeof(roles) = 'object'),
  default_role text check (default_role in ('owner', 'admin', 'member', 'viewer')),
  version      bigint not null default 1,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  constraint issuers_algorithms_known check (
    algorithms <@ array['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA']),
  constraint issuers_claims_of_custom check (shape = 'custom' or num_nonnulls(tenant_claim, role_claim) = 0),
  constraint issuers_iss_key unique nulls not distinct (tenant_id, iss)
);
create trigger issuers_version before update on catalog.issuers
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

-- An issuer's own names for tenants, such as its organizations' ids.
create table catalog.external_ids (
  issuer_id   uuid not null references catalog.issuers on delete cascade,
  external_id text not null check (octet_length(external_id) between 1 and 200),
  tenant_id   uuid not null references catalog.tenants,
  created_at  timestamptz not null default now(),
  primary key (issuer_id, external_id)
);
create index external_ids_tenant_idx on catalog.external_ids (tenant_id);

-- A tenant's own issuer vouches for that tenant and no other, whatever anybody writes down; and whose it is does not
-- change.
create function catalog.external_ids_before_change() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.issuers i where i.id = new.issuer_id and i.tenant_id <> new.tenant_id) then
    perform catalog.refuse('external_ids_own_issuer', 'the issuer is another tenant''s own');
  end if;
  return new;
end $$;
create trigger external_ids_before_change before insert or update on catalog.external_ids
for each row execute function catalog.external_ids_before_change();

create function catalog.issuers_before_update() returns trigger
language plpgsql as $$
begin
  perform catalog.refuse('issuers_stay', 'an issuer is not handed on');
  return null;
end $$;
create trigger issuers_before_update before update on catalog.issuers
for each row when (new.tenant_id is distinct from old.tenant_id) execute function catalog.issuers_before_update();

create constraint trigger issuers_identity_insert after insert on catalog.issuers
deferrable initially deferred for each row
when (new.tenant_id is null) execute function catalog.identity_changed();
create constraint trigger issuers_identity_update after update on catalog.issuers
deferrable initially deferred for each row
when (new.tenant_id is null and old.* is distinct from new.*) execute function catalog.identity_changed();
create constraint trigger issuers_identity_delete after delete on catalog.issuers
deferrable initially deferred for each row
when (old.tenant_id is null) execute function catalog.identity_changed();

create constraint trigger issuers_route_insert after insert on catalog.issuers
deferrable initially deferred for each row
when (new.tenant_id is not null) execute function catalog.route_changed('tenant_id');
create constraint trigger issuers_route_update after update on catalog.issuers
deferrable initially deferred for each row
when (new.tenant_id is not null and old.* is distinct from new.*) execute function catalog.route_changed('tenant_id');
create constraint trigger issuers_route_delete after delete on catalog.issuers
deferrable initially deferred for each row
when (old.tenant_id is not null) execute function catalog.route_changed('tenant_id');

create constraint trigger external_ids_route after insert or delete on catalog.external_ids
deferrable initially deferred for each row execute function catalog.route_changed('tenant_id');
