-- What a tenant may use beyond connections: requests, time, memory, bytes. 0 stands for no limit of the tenant's own;
-- what the gateway and the server bound for everybody holds beside it.
alter table catalog.plans
  add column requests_per_second            integer not null default 0 check (requests_per_second >= 0),
  add column request_burst                  integer not null default 0 check (request_burst >= 0),
  add column statement_timeout_ms           integer not null default 0 check (statement_timeout_ms >= 0),
  add column idle_in_transaction_timeout_ms integer not null default 0 check (idle_in_transaction_timeout_ms >= 0),
  add column work_mem_kb                    integer not null default 0 check (work_mem_kb >= 0),
  add column result_bytes_max               bigint not null default 0 check (result_bytes_max >= 0),
  add column body_bytes_max                 bigint not null default 0 check (body_bytes_max >= 0),
  add column storage_soft_bytes             bigint not null default 0 check (storage_soft_bytes >= 0),
  add column storage_hard_bytes             bigint not null default 0 check (storage_hard_bytes >= 0);

alter table catalog.entitlements
  add column requests_per_second            integer check (requests_per_second >= 0),
  add column request_burst                  integer check (request_burst >= 0),
  add column statement_timeout_ms           integer check (statement_timeout_ms >= 0),
  add column idle_in_transaction_timeout_ms integer check (idle_in_transaction_timeout_ms >= 0),
  add column work_mem_kb                    integer check (work_mem_kb >= 0),
  add column result_bytes_max               bigint check (result_bytes_max >= 0),
  add column body_bytes_max                 bigint check (body_bytes_max >= 0),
  add column storage_soft_bytes             bigint check (storage_soft_bytes >= 0),
  add column storage_hard_bytes             bigint check (storage_hard_bytes >= 0);

-- The smallest of the plans that a new catalog has. Where there are tenants already, nobody is cut off by an upgrade; where
-- there are none, there is no route of which gateways would have to be told.
alter table catalog.plans disable trigger plans_route;
update catalog.plans
  set requests_per_second = 2000, request_burst = 10000,
      statement_timeout_ms = 900000, idle_in_transaction_timeout_ms = 600000,
      result_bytes_max = 1073741824,
      storage_soft_bytes = 4294967296, storage_hard_bytes = 5368709120
  where name = 'free' and not exists (select from catalog.tenants);
alter table catalog.plans enable trigger plans_route;

-- What was last put on the tenants' login roles in PostgreSQL. A gateway's server connections that were opened under an
-- older epoch began with something else. No row: nothing was ever put there.
create table catalog.role_settings (
  tenant_id                      uuid primary key references catalog.placements on delete cascade,
  statement_timeout_ms           integer not null,
  idle_in_transaction_timeout_ms integer not null,
  work_mem_kb                    integer not null,
  epoch                          bigint not null default 1,
  applied_at                     timestamptz not null default clock_timestamp()
);
create constraint trigger role_settings_route after insert or update on catalog.role_settings
deferrable initially deferred for each row execute function catalog.route_changed('tenant_id');

-- What tenants' databases take. A row is there from when its first measurement is due.
create table catalog.storage_use (
  tenant_id   uuid primary key references catalog.placements on delete cascade,
  due_at      timestamptz not null,
  measured_at timestamptz,
  bytes       bigint check (bytes >= 0),
  standing    text not null default 'within' check (standing in ('within', 'near', 'full', 'sealed', 'closed')),
  -- The quotas that the standing was found by.
  soft_bytes   bigint,
  hard_bytes   bigint,
  -- Since when it is sealed or closed, and what it took once whatever still wrote then had been ended.
  sealed_since timestamptz,
  sealed_bytes bigint,
  check ((sealed_bytes is null) = (sealed_since is null)),
  check ((bytes is null) = (measured_at is null))
) with (fillfactor = 50);

-- How a database of so many bytes stands with its quotas; 0 is none. What a full tenant may still take, so that it can
-- delete, is a tenth of its hard quota, and 16 MiB at least. What a sealed one takes in addition is as much again: only a
-- role that may do what its owner lends it can have written that.
create function catalog.storage_standing(bytes bigint, sealed_bytes bigint, soft bigint, hard bigint) returns text
language sql immutable as $$
  select case
    when hard > 0 and bytes >= hard + greatest(hard / 10, 16777216)
      and bytes >= sealed_bytes + greatest(hard / 10, 16777216) then 'closed'
    when hard > 0 and bytes >= hard + greatest(hard / 10, 16777216) then 'sealed'
    when hard > 0 and bytes >= hard then 'full'
    when soft > 0 and bytes >= soft then 'near'
    else 'within'
  end
$$;

-- Gateways read the standing with the route, by the limits of that moment: a larger plan counts at once. What they have
-- to be told is that a measurement has changed it. While the quotas are others than those of the measurement before, what
-- gateways have made of it is not the standing that is here: then they are told in any case.
create constraint trigger storage_use_route after update on catalog.storage_use
deferrable initially deferred for each row when (old.standing is distinct from new.standing
  or old.bytes is not null and (old.soft_bytes, old.hard_bytes) is distinct from (new.soft_bytes, new.hard_bytes))
execute function catalog.route_changed('tenant_id');
