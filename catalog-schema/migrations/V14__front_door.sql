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
  missed_since timestamptz, -- since when it has been found to be gone
  primary key (tenant_id, domain),
  constraint custom_domains_found check (verified_at is null or found_at is not null)
);
create unique index custom_domains_verified_key on catalog.custom_domains (domain) where verified_at is not null;
create index custom_domains_due_idx on catalog.custom_domains (checked_at) where verified_at is not null;

-- Verified domains are in the identity document, all of them: a gateway knows of any host whose it is, without asking.
create constraint trigger custom_domains_identity_insert after insert on catalog.custom_domains
deferrable initially deferred for each row
when (new.verified_at is not null) execute function catalog.identity_changed();
create constraint trigger custom_domains_identity_delete after delete on catalog.custom_domains
deferrable initially deferred for each row
when (old.verified_at is not null) execute function catalog.identity_changed();
create constraint trigger custom_domains_identity_update after update on catalog.custom_domains
deferrable initially deferred for each row
when ((old.verified_at is null) is distinct from (new.verified_at is null))
execute function catalog.identity_changed();

-- What an API key is good for: the data with its role's access, reading only whatever its role, or the data and the
-- tenant's own affairs at the control plane.
alter table catalog.credentials
  add column scope text not null default 'data' check (scope in ('data', 'read-only', 'admin')),
  add constraint credentials_scope_of_keys check (kind = 'api-key' or scope = 'data'),
  -- The credential that this one takes the place of. Both are good for a while; a third is not made meanwhile.
  add column replaces uuid references catalog.credentials on delete set null;
create unique index credentials_replaced_once on catalog.credentials (replaces) where revoked_at is null;

create function catalog.credentials_before_replacing() returns trigger
language plpgsql as $$
declare
  old_one catalog.credentials;
begin
  select * into old_one from catalog.credentials where id = new.replaces;
  if (old_one.tenant_id, old_one.kind, old_one.user_name) is distinct from (new.tenant_id, new.kind, new.user_name) then
    perform catalog.refuse('credentials_replace_alike', 'a credential takes the place of one like it');
  end if;
  if exists (select from catalog.credentials c where c.id = old_one.replaces and c.revoked_at is null
             and (c.expires_at is null or c.expires_at > now())) then
    perform catalog.refuse('credentials_rotating', 'the credential that this one replaced is still good');
  end if;
  -- One that has expired takes no place any more; the index cannot know the time.
  update catalog.credentials set replaces = null where replaces = new.replaces and expires_at <= now();
  return new;
end $$;
create trigger credentials_before_replacing before insert on catalog.credentials
for each row when (new.replaces is not null) execute function catalog.credentials_before_replacing();

drop trigger credentials_route_update on catalog.credentials;
create constraint trigger credentials_route_update after update on catalog.credentials
deferrable initially deferred for each row
when ((old.user_name, old.verifier, old.key_hash, old.role, old.expires_at, old.revoked_at, old.pool_mode, old.scope)
      is distinct from
      (new.user_name, new.verifier, new.key_hash, new.role, new.expires_at, new.revoked_at, new.pool_mode, new.scope))
execute function catalog.route_changed('tenant_id');

-- Service credentials: programs of the installation that act for tenants which their requests name. Only hashes, as of
-- API keys. A service without a list of tenants may act for every one.
create table catalog.service_credentials (
  id           uuid primary key,
  name         text not null check (octet_length(name) between 1 and 100),
  key_prefix   text not null check (length(key_prefix) between 1 and 16),
  key_hash     bytea not null unique check (octet_length(key_hash) = 32),
  role         text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  tenants      uuid[] check (cardinality(tenants) between 1 and 100),
  created_at   timestamptz not null default now(),
  expires_at   timestamptz not null,
  revoked_at   timestamptz,
  last_used_at timestamptz
);

create constraint trigger service_credentials_identity after insert or delete on catalog.service_credentials
deferrable initially deferred for each row execute function catalog.identity_changed();
create constraint trigger service_credentials_identity_update after update on catalog.service_credentials
deferrable initially deferred for each row
when ((old.role, old.tenants, old.expires_at, old.revoked_at)
      is distinct from (new.role, new.tenants, new.expires_at, new.revoked_at))
execute function catalog.identity_changed();
