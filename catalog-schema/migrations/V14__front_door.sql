-- What else names a tenant, and what else opens it: domains of a tenant's own, and API keys that may do less or more
-- than their tenant's data.

-- A tenant asks for a domain and shows that it is its own by a TXT record that holds the challenge. Several may ask for
-- one domain; one at a time has it.
create table catalog.custom_domains (
  tenant_id   uuid not null references catalog.tenants,
  domain      text not null check (octet_length(domain) between 3 and 253 and domain = lower(domain)),
  challenge   text not null check (octet_length(challenge) between 16 and 128),
  created_at  timestamptz not null default now(),
  verified_at timestamptz, -- since when it leads to the tenant
  checked_at  timestamptz, -- when its record was looked for last
  found_at    timestamptz, -- when its record was last there
  primary key (tenant_id, domain),
  constraint custom_domains_found check (verified_at is null or found_at is not null)
);
create unique index custom_domains_verified_key on catalog.custom_domains (domain) where verified_at is not null;
create index custom_domains_due_idx on catalog.custom_domains (checked_at) where verified_at is not null;

create constraint trigger custom_domains_route_insert after insert on catalog.custom_domains
deferrable initially deferred for each row
when (new.verified_at is not null) execute function catalog.route_changed('tenant_id');
create constraint trigger custom_domains_route_delete after delete on catalog.custom_domains
deferrable initially deferred for each row
when (old.verified_at is not null) execute function catalog.route_changed('tenant_id');
create constraint trigger custom_domains_route_update after update on catalog.custom_domains
deferrable initially deferred for each row
when ((old.verified_at is null) is distinct from (new.verified_at is null))
execute function catalog.route_changed('tenant_id');

-- What an API key is good for: the data with its role's access, reading only whatever its role, or the data and the
-- tenant's own affairs at the control plane.
alter table catalog.credentials
  add column scope text not null default 'data' check (scope in ('data', 'read-only', 'admin')),
  add constraint credentials_scope_of_keys check (kind = 'api-key' or scope = 'data'),
  -- The credential that this one takes the place of. Both are good for a while; a third is not made meanwhile.
  add column replaces uuid references catalog.credentials on delete set null;
create unique index credentials_replaced_once on catalog.credentials (replaces) where revoked_at is null;

drop trigger credentials_route_update on catalog.credentials;
create constraint trigger credentials_route_update after update on catalog.credentials
deferrable initially deferred for each row
when ((old.user_name, old.verifier, old.key_hash, old.role, old.expires_at, old.revoked_at, old.pool_mode, old.scope)
      is distinct from
      (new.user_name, new.verifier, new.key_hash, new.role, new.expires_at, new.revoked_at, new.pool_mode, new.scope))
execute function catalog.route_changed('tenant_id');
