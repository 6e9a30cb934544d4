-- A tenant's rate of requests, split over the gateways that serve it, so that together they let no more through than
-- the rate however many there are. Each holds a lease on its share, a part of the tenant's rate, and renews it with its
-- heartbeat, for all tenants at once. docs/decisions/2026-11-21-rate-leases.md says why this holds; a property test
-- drives it. Shares are millionths: what a rate is, gateways know from the tenant's route.

-- The last renewal that was heard, counted by the gateway itself: one that comes late is not taken for a newer.
alter table catalog.gateways add column rate_beat bigint not null default 0;

create table catalog.rate_leases (
  tenant_id  uuid not null references catalog.tenants on delete cascade,
  gateway_id uuid not null references catalog.gateways on delete cascade,
  share      integer not null check (share between 0 and 1000000),    -- what it was told last
  reserved   integer not null check (reserved between 0 and 1000000), -- the most that may be in force there meanwhile
  wanted     integer not null check (wanted between 0 and 1000000),   -- what it said that it could use
  expires_at timestamptz not null,
  primary key (tenant_id, gateway_id)
) with (fillfactor = 50);
create index rate_leases_gateway_idx on catalog.rate_leases (gateway_id);

-- Renews the leases of a gateway that is on record, and gives back those that it no longer claims. `beat_no` counts its
-- renewals. A claim is what is in force at the gateway and what it could use, of one tenant's rate. Who wants least is
-- served first, and nobody gets more than the others that want as much; of what nobody wants each gateway that lives
-- gets an even part, and the parts of those that do not serve the tenant stay free for when they do. Nobody is told
-- more than what is reserved for no other, so `lacking` may be left of what is due.
-- Reads what others have committed after the lock is held, so it must run where each statement sees that.
create function catalog.renew_rates(gateway uuid, beat_no bigint, lasts_ms bigint, live_within_ms bigint,
                                    claims jsonb, at timestamptz default clock_timestamp())
returns table (tenant_id uuid, share integer, lacking integer, gateways integer)
language plpgsql as $$
#variable_conflict use_column
declare
  living integer;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = 'invalid_transaction_state', message = 'leases are renewed in read committed';
  end if;
  update catalog.gateways g set rate_beat = beat_no where g.id = gateway and g.rate_beat < beat_no;
  if not found then
    return; -- nobody waits for the answer of an older renewal any more
  end if;
  -- One gateway at a time. 0x72617465 is "rate" in ASCII.
  perform pg_advisory_xact_lock(x'72617465'::integer, 0);
  select greatest(1, count(*)) into living from catalog.gateways g
    where g.id = gateway or g.heartbeat_at > at - live_within_ms * interval '1 millisecond';
  delete from catalog.rate_leases l where l.gateway_id = gateway
    and not exists (select from jsonb_array_elements(claims) as c where (c ->> 'tenant')::uuid = l.tenant_id);
  return query
    with claim as materialized (
      select (c ->> 'tenant')::uuid as tenant_id, least(1000000, (c ->> 'in_force')::integer) as in_force,
             least(1000000, (c ->> 'wanted')::integer) as wanted
      from jsonb_array_elements(claims) as c
      where exists (select from catalog.tenants t where t.id = (c ->> 'tenant')::uuid)),
    member as (
      select l.tenant_id, l.gateway_id, l.wanted, l.reserved
        from catalog.rate_leases l join claim c on c.tenant_id = l.tenant_id
        where l.gateway_id <> gateway and l.expires_at > at
      union all select c.tenant_id, gateway, c.wanted, 0 from claim c),
    ranked as (
      select m.tenant_id, m.wanted, m.reserved, row_number() over by_need as place,
             count(*) over (partition by m.tenant_id) as members,
             coalesce(sum(m.wanted) over (by_need rows between unbounded preceding and 1 preceding), 0) as before
        from member m window by_need as (partition by m.tenant_id order by m.wanted, m.gateway_id)),
    -- Who wants less than the level gets what it wants, the others get the level: the largest even part of what those
    -- before have left.
    pot as (
      select r.tenant_id, max((1000000 - r.before) / (r.members - r.place + 1)) as level,
             greatest(0, 1000000 - sum(r.wanted)) / greatest(living, max(r.members)) as spare,
             sum(r.reserved) as reserved
        from ranked r group by r.tenant_id),
    due as (
      select c.tenant_id, c.in_force, c.wanted, p.reserved,
             floor(least(c.wanted, p.level) + p.spare)::integer as due
        from claim c join pot p on p.tenant_id = c.tenant_id),
    told as (
      select d.*, greatest(0, least(d.due, 1000000 - d.reserved))::integer as share from due d),
    -- The answer may get lost: until the gateway says otherwise, what was in force before may still be.
    kept as (
      insert into catalog.rate_leases as l (tenant_id, gateway_id, share, reserved, wanted, expires_at)
        select t.tenant_id, gateway, t.share, greatest(t.share, t.in_force), t.wanted,
               at + lasts_ms * interval '1 millisecond' from told t
        on conflict on constraint rate_leases_pkey do update set share = excluded.share,
          reserved = excluded.reserved, wanted = excluded.wanted, expires_at = excluded.expires_at)
    select t.tenant_id, t.share, t.due - t.share, living from told t;
end $$;
