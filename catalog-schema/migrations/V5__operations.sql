-- Durable work and the requests that ask for it.

create table catalog.operations (
  id               uuid primary key,
  kind             text not null check (kind <> ''),
  tenant_id        uuid references catalog.tenants,
  state            text not null default 'queued'
                   check (state in ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelling',
                                    'cancelled', 'undo-failed')),
  direction        text not null default 'forward' check (direction in ('forward', 'undo')),
  params           jsonb not null check (jsonb_typeof(params) = 'object'),
  outputs          jsonb not null default '{}' check (jsonb_typeof(outputs) = 'object'),
  attempt          integer not null default 0,
  fence            bigint not null default 0,
  claimed_by       text,
  lease_expires_at timestamptz,
  next_run_at      timestamptz not null default now(),
  error            jsonb,
  cancel_requested boolean not null default false,
  actor            text not null,
  request_id       text not null,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  finished_at      timestamptz,
  constraint operations_finished check (
    (finished_at is not null) = (state in ('succeeded', 'failed', 'cancelled', 'undo-failed'))),
  constraint operations_claimed check (
    (claimed_by is not null) = (state in ('running', 'cancelling'))
    and (claimed_by is null) = (lease_expires_at is null))
);

-- This index is the tenant's lease: backup, migration, move and purge never meet.
create unique index operations_one_unfinished_per_tenant on catalog.operations (tenant_id)
  where finished_at is null;
create index operations_tenant_idx on catalog.operations (tenant_id, id);
create index operations_due_idx on catalog.operations (next_run_at, id) where finished_at is null;

create table catalog.operation_steps (
  operation_id uuid not null references catalog.operations,
  ordinal      integer not null check (ordinal >= 0),
  name         text not null check (name <> ''),
  state        text not null default 'pending'
               check (state in ('pending', 'running', 'done', 'undone', 'failed')),
  attempt      integer not null default 0,
  output       jsonb not null default '{}',
  error        jsonb,
  started_at   timestamptz,
  finished_at  timestamptz,
  primary key (operation_id, ordinal)
);

create function catalog.operations_before_update() returns trigger
language plpgsql as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

create trigger operations_before_update before update on catalog.operations
for each row execute function catalog.operations_before_update();

create function catalog.notify_operations() returns trigger
language plpgsql as $$
begin
  notify tenantry_operations;
  return null;
end $$;

create trigger operations_notify_insert after insert on catalog.operations
for each row execute function catalog.notify_operations();
-- Not on the renewal of a lease: that is news to nobody.
create trigger operations_notify_update after update on catalog.operations
for each row when ((old.state, old.direction, old.cancel_requested, old.outputs, old.error)
                   is distinct from (new.state, new.direction, new.cancel_requested, new.outputs, new.error))
execute function catalog.notify_operations();
create trigger operation_steps_notify after insert or update on catalog.operation_steps
for each row execute function catalog.notify_operations();

create table catalog.idempotency_keys (
  actor        text not null,
  key          text not null check (octet_length(key) between 1 and 255),
  request_hash bytea not null check (octet_length(request_hash) = 32),
  status       integer check (status between 100 and 599),
  body         bytea,
  created_at   timestamptz not null default now(),
  primary key (actor, key),
  constraint idempotency_keys_complete check ((status is null) = (body is null))
);
create index idempotency_keys_age_idx on catalog.idempotency_keys (created_at);

-- A key without an answer could neither be answered nor worked on again: it does not outlive its transaction.
create function catalog.idempotency_keys_answered() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.idempotency_keys k
             where k.actor = new.actor and k.key = new.key and k.status is null) then
    perform catalog.refuse('idempotency_keys_answered', 'the key was taken and not answered');
  end if;
  return null;
end $$;

create constraint trigger idempotency_keys_answered after insert on catalog.idempotency_keys
deferrable initially deferred for each row execute function catalog.idempotency_keys_answered();
