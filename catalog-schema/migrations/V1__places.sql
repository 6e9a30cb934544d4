-- Where things can be: regions, the clusters in them, and the plans that tenants buy.

-- A rule that no constraint can express is broken. Raised like a constraint, so that clients can tell which.
create function catalog.refuse(rule text, message text) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'check_violation', constraint = rule, message = message;
end $$;

-- The version rises with every change, for If-Match; an update that changes nothing is none.
create function catalog.raise_version() returns trigger
language plpgsql as $$
begin
  new.version := old.version + 1;
  new.updated_at := clock_timestamp();
  return new;
end $$;

create table catalog.regions (
  name         text primary key,
  jurisdiction text not null,
  created_at   timestamptz not null default now()
);

create table catalog.clusters (
  id                 uuid primary key,
  name               text not null unique,
  region             text not null references catalog.regions,
  host               text not null check (host <> ''),
  port               integer not null check (port between 1 and 65535),
  admin_user         text not null check (admin_user <> ''),
  admin_database     text not null check (admin_database <> ''),
  admin_secret       bytea not null,
  system_identifier  text not null unique check (system_identifier <> ''),
  server_version_num integer not null check (server_version_num > 0),
  connection_budget  integer not null check (connection_budget > 0),
  capacity           integer not null check (capacity >= 0),
  state              text not null default 'active' check (state in ('active', 'draining', 'offline')),
  version            bigint not null default 1,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now()
);

create trigger clusters_version before update on catalog.clusters
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

create table catalog.plans (
  name                text primary key,
  pool_size           integer not null check (pool_size > 0),
  client_limit        integer not null check (client_limit > 0),
  queue_limit         integer not null check (queue_limit > 0),
  checkout_timeout_ms integer not null check (checkout_timeout_ms > 0)
);

insert into catalog.plans (name, pool_size, client_limit, queue_limit, checkout_timeout_ms) values
  ('free', 5, 100, 200, 10000),
  ('standard', 20, 500, 1000, 10000),
  ('enterprise', 50, 2000, 4000, 30000);
