-- A cluster's connection budget, split over the gateways that use it, so that its server never sees more than the
-- budget however many gateways run. Each holds a lease on its share and renews it with its heartbeat, for all
-- clusters at once. docs/decisions/2026-11-21-budget-leases.md says why this holds; a property test drives it.

-- The last heartbeat that was heard, counted by the gateway itself: one that comes late is not taken for a newer.
alter table catalog.gateways add column beat bigint not null default 0;

create table catalog.budget_leases (
  cluster_id uuid not null references catalog.clusters on delete cascade,
  gateway_id uuid not null references catalog.gateways on delete cascade,
  share      integer not null check (share >= 0),    -- what it was told last that it may hold
  floor      integer not null check (floor >= 0),    -- what it was told last that it may fall back to
  reserved   integer not null check (reserved >= 0), -- the most that it may hold while the lease lasts
  kept       integer not null check (kept >= 0),     -- the most that it may hold afterwards
  held       integer not null check (held >= 0),     -- what it said that it holds
  long       integer not null check (long >= 0),     -- of these, what its clients keep for longer than a transaction
  wanted     integer not null check (wanted >= 0),   -- what it said that it could use
  lacking    integer not null check (lacking >= 0),  -- what is due to it and still with others
  expires_at timestamptz not null,
  settles_at timestamptz, -- until then nobody's share of the cluster grows: the catalog had forgotten a lease
  primary key (cluster_id, gateway_id)
) with (fillfactor = 50);
create index budget_leases_gateway_idx on catalog.budget_leases (gateway_id);

-- A gateway that signs off, or is removed, gives back what it had. For each row: a renewal deletes what is no longer
-- claimed, which is mostly nothing, and would wake every gateway to renew, without end, if nothing were told of too.
create function catalog.notify_budgets() returns trigger
language plpgsql as $$
begin
  notify tenantry_budgets;
  return null;
end $$;

create trigger budget_leases_notify after delete on catalog.budget_leases
for each row execute function catalog.notify_budgets();

-- What falls to member `me` when `capacity` is poured over all: each gets its `low`, none gets more than its
-- `high`, and who has least gets next. Units that cannot be split go to the first in the order of the lists.
create function catalog.fair_part(capacity integer, low integer[], high integer[], me integer) returns integer
language plpgsql immutable as $$
declare
  level  integer := 0;
  beyond integer;
  middle integer;
  spare  bigint;
begin
  if (select sum(h) from unnest(high) as h) <= capacity then
    return high[me];
  end if;
  select max(h) into beyond from unnest(high) as h;
  while beyond - level > 1 loop
    middle := (level + beyond) / 2;
    if (select sum(greatest(l, least(h, middle))) from unnest(low, high) as v (l, h)) <= capacity then
      level := middle;
    else
      beyond := middle;
    end if;
  end loop;
  if low[me] > level or high[me] <= level then
    return greatest(low[me], least(high[me], level));
  end if;
  spare := capacity - (select sum(greatest(l, least(h, level))) from unnest(low, high) as v (l, h));
  spare := spare - (select count(*) from unnest(low, high) with ordinality as v (l, h, n)
                    where n < me and l <= level and h > level);
  return level + (spare > 0)::integer;
end $$;

-- What is due to one gateway of those whose leases last: first what its clients keep for longer than a transaction and
-- one more, since it could not give that up; then floors, if there is enough for all; then what each wants, then what
-- each holds idle, then an even part of what is left, where one part more than there are gateways is left free.
create function catalog.budget_due(capacity integer, floor integer, long integer[], wanted integer[],
                                   held integer[], me integer)
returns integer
language plpgsql immutable as $$
declare
  members integer := cardinality(wanted);
  kept    integer[] := array(select l + sign(l)::integer from unnest(long) with ordinality as v (l, n) order by n);
  floors  integer[] := array(select greatest(floor, k) from unnest(kept) with ordinality as v (k, n) order by n);
  low     integer[] := case when (select sum(f) from unnest(floors) as f) <= capacity then floors else kept end;
  busy    integer[] := array(select greatest(l, w) from unnest(low, wanted) with ordinality as v (l, w, n) order by n);
  open    integer[] := array(select greatest(b, h) from unnest(busy, held) with ordinality as v (b, h, n) order by n);
  filled  bigint := (select sum(o) from unnest(open) as o);
begin
  if (select sum(b) from unnest(busy) as b) > capacity then
    return catalog.fair_part(capacity, low, busy, me);
  elsif filled > capacity then
    return catalog.fair_part(capacity, busy, open, me);
  end if;
  return open[me] + (capacity - filled) / (members + 1);
end $$;

-- Renews one lease, of a claim that says what share and floor are in force at the gateway, what it holds and wants.
-- The caller holds the cluster's lock.
create function catalog.renew_lease(gateway uuid, claim jsonb, forgotten boolean, lasts interval, at timestamptz)
returns table (cluster_id uuid, share integer, floor integer, budget integer, others_lack boolean)
language plpgsql as $$
#variable_conflict use_variable
declare
  mine          catalog.budget_leases;
  before        catalog.budget_leases;
  in_force      integer := (claim ->> 'share')::integer;
  floor_before  integer := (claim ->> 'floor')::integer;
  members       integer;
  me            integer;
  keeps         integer[];
  wants         integer[];
  holds         integer[];
  others        integer; -- reserved for other gateways, whether their leases last or not
  others_kept   integer;
  lost          integer; -- kept for gateways whose lease has expired
  capacity      integer;
  least_floor   integer;
  due           integer;
begin
  select c.connection_budget into budget from catalog.clusters c where c.id = (claim ->> 'cluster')::uuid;
  if budget is null then
    return;
  end if;
  cluster_id := (claim ->> 'cluster')::uuid;
  select * into before from catalog.budget_leases l
    where l.cluster_id = cluster_id and l.gateway_id = gateway;
  mine.held := (claim ->> 'held')::integer;
  mine.long := least((claim ->> 'long')::integer, mine.held);
  mine.wanted := least((claim ->> 'wanted')::integer, budget);

  select coalesce(sum(case when l.expires_at > at then l.reserved else l.kept end), 0), coalesce(sum(l.kept), 0),
         coalesce(sum(l.kept) filter (where l.expires_at <= at), 0),
         coalesce(bool_or(l.lacking > 0 and l.expires_at > at), false), max(l.settles_at)
    into others, others_kept, lost, others_lack, mine.settles_at
    from catalog.budget_leases l where l.cluster_id = cluster_id and l.gateway_id <> gateway;
  select array_agg(m.long order by m.id), array_agg(m.wanted order by m.id), array_agg(m.held order by m.id),
         count(*), count(*) filter (where m.id <= gateway)
    into keeps, wants, holds, members, me
    from (select l.gateway_id as id, l.long, l.wanted, l.held from catalog.budget_leases l
            where l.cluster_id = cluster_id and l.gateway_id <> gateway and l.expires_at > at
          union all select gateway, mine.long, mine.wanted, mine.held) m;

  -- A twentieth stays free: a gateway that starts while the others use everything can serve at once.
  capacity := greatest(0, budget - budget / 20 - lost);
  least_floor := least(greatest(1, budget / (2 * members)), capacity / members);
  due := catalog.budget_due(capacity, least_floor, keeps, wants, holds, me);
  mine.share := greatest(0, least(due, budget - others));
  mine.floor := least(greatest(1, least(least_floor, budget / 2 - others_kept)), mine.share);

  -- After a restore the catalog knows neither what this gateway holds nor what others do that it has not heard yet.
  mine.settles_at := greatest(mine.settles_at, before.settles_at,
                              case when forgotten and in_force > 0 then at + lasts end);
  if mine.settles_at > at then
    mine.share := least(mine.share, in_force);
    mine.floor := least(mine.floor, floor_before, mine.share);
  end if;

  -- The answer may get lost: until the gateway says otherwise, what was in force before may still be.
  mine.kept := greatest(mine.floor, floor_before);
  mine.reserved := greatest(mine.share, in_force, mine.held, mine.kept);
  mine.lacking := greatest(0, due - mine.share);
  insert into catalog.budget_leases as l (cluster_id, gateway_id, share, floor, reserved, kept, held, long,
      wanted, lacking, expires_at, settles_at)
    values (cluster_id, gateway, mine.share, mine.floor, mine.reserved, mine.kept, mine.held, mine.long,
      mine.wanted, mine.lacking, at + lasts, mine.settles_at)
    on conflict on constraint budget_leases_pkey do update set share = excluded.share, floor = excluded.floor,
      reserved = excluded.reserved, kept = excluded.kept, held = excluded.held, long = excluded.long,
      wanted = excluded.wanted, lacking = excluded.lacking, expires_at = excluded.expires_at, settles_at = excluded.settles_at;

  -- Others hear of what they are to give, and of what they may take; and of neither twice, or two gateways that
  -- both wait for a third would wake each other without end.
  if mine.lacking > coalesce(before.lacking, 0) or (others_lack and mine.reserved < before.reserved) then
    perform pg_notify('tenantry_budgets', gateway::text);
  end if;
  share := mine.share;
  floor := mine.floor;
  return next;
end $$;

-- Renews the leases of a gateway that is on record, and gives back those that it no longer claims. `beat_no` counts
-- its heartbeats, `answered` is the last one whose answer it has had. Reads what others have committed after the
-- locks are held, so it must run where each statement sees what is committed by then.
create function catalog.renew_leases(gateway uuid, beat_no bigint, answered bigint, lasts_ms bigint, claims jsonb,
                                     at timestamptz default clock_timestamp())
returns table (cluster_id uuid, share integer, floor integer, budget integer, others_lack boolean)
language plpgsql as $$
#variable_conflict use_column
declare
  heard bigint;
  claim jsonb;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = 'invalid_transaction_state', message = 'leases are renewed in read committed';
  end if;
  select g.beat into heard from catalog.gateways g where g.id = gateway for no key update;
  if heard is null or beat_no <= heard then
    return; -- nobody waits for the answer of an older heartbeat any more
  end if;
  update catalog.gateways set beat = beat_no where id = gateway;
  -- In one order, and one gateway at a time for each cluster. 0x6c656173 is "leas" in ASCII.
  perform pg_advisory_xact_lock(x'6c656173'::integer, k.key) from (
    select distinct hashtext(c ->> 'cluster') as key from jsonb_array_elements(claims) as c order by 1) k;
  delete from catalog.budget_leases l where l.gateway_id = gateway
    and not exists (select from jsonb_array_elements(claims) as c where (c ->> 'cluster')::uuid = l.cluster_id);
  for claim in select c from jsonb_array_elements(claims) as c loop
    return query select * from catalog.renew_lease(gateway, claim, answered > heard,
                                                   lasts_ms * interval '1 millisecond', at);
  end loop;
end $$;
