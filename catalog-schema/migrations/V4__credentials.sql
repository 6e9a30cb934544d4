-- What opens a tenant: verifiers and hashes only, from which nothing that opens can be computed.

create table catalog.credentials (
  id           uuid primary key,
  tenant_id    uuid not null references catalog.tenants,
  kind         text not null check (kind in ('password', 'api-key')),
  user_name    text,
  verifier     text check (verifier like 'SCRAM-SHA-256$%'),
  key_prefix   text check (length(key_prefix) between 1 and 16),
  key_hash     bytea unique check (octet_length(key_hash) = 32),
  role         text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  revoked_at   timestamptz,
  last_used_at timestamptz,
  constraint credentials_complete check (
    case kind
      when 'password' then num_nonnulls(user_name, verifier) = 2 and num_nonnulls(key_prefix, key_hash) = 0
      else num_nonnulls(key_prefix, key_hash) = 2 and num_nonnulls(user_name, verifier) = 0
    end)
);
create index credentials_tenant_idx on catalog.credentials (tenant_id);
