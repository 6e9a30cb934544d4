-- What is asked every second for every cluster, or for every gateway, costs what there is to do and not what there is.

-- A database's first measurement is due as soon as it is there: whoever looks for what is due need not look for what has
-- never been measured.
alter table catalog.storage_use add column cluster_id uuid;
insert into catalog.storage_use (tenant_id, due_at)
  select p.tenant_id, clock_timestamp() from catalog.placements p where p.database_oid is not null
  on conflict do nothing;
update catalog.storage_use u set cluster_id = p.cluster_id from catalog.placements p where p.tenant_id = u.tenant_id;
alter table catalog.storage_use alter column cluster_id set not null;
create index storage_use_due_idx on catalog.storage_use (cluster_id, due_at);

-- An older release does not say where a database is.
create function catalog.storage_use_place() returns trigger
language plpgsql as $$
begin
  select p.cluster_id into new.cluster_id from catalog.placements p where p.tenant_id = new.tenant_id;
  return new;
end $$;
create trigger storage_use_place before insert on catalog.storage_use
for each row execute function catalog.storage_use_place();

create function catalog.placements_measure() returns trigger
language plpgsql as $$
begin
  insert into catalog.storage_use (tenant_id, due_at) values (new.tenant_id, clock_timestamp())
    on conflict (tenant_id) do update set cluster_id = excluded.cluster_id;
  return null;
end $$;
create trigger placements_measure after insert or update of cluster_id, database_oid on catalog.placements
for each row when (new.database_oid is not null) execute function catalog.placements_measure();

-- As in V18, but for the order of its locks: while a gateway waits for the others, its heartbeat does not wait for it.
create or replace function catalog.renew_rates(gateway uuid, beat_no bigint, lasts_ms bigint, live_within_ms bigint,
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
  -- One gateway at a time. 0x72617465 is "rate" in ASCII.
  perform pg_advisory_xact_lock(x'72617465'::integer, 0);
  update catalog.gateways g set rate_beat = beat_no where g.id = gateway and g.rate_beat < beat_no;
  if not found then
    return; -- nobody waits for the answer of an older renewal any more
  end if;
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
