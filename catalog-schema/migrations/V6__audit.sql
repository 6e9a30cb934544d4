-- What was done, by whom. Each row carries the hash of the one before it, so that the record cannot be
-- edited unnoticed.

create table catalog.audit (
  seq        bigint primary key,
  at         timestamptz not null,
  actor      text not null check (octet_length(actor) between 1 and 200),
  action     text not null check (action <> ''),
  tenant_id  uuid, -- no foreign key: the record outlives everything
  target     text not null,
  request_id text not null,
  detail     jsonb not null,
  prev_hash  bytea not null,
  hash       bytea not null
);
create index audit_tenant_idx on catalog.audit (tenant_id, seq);

-- What the hash is taken over: a JSON array, so that no two rows can read alike.
create function catalog.audit_text(a catalog.audit) returns text
language sql stable as $$
  select jsonb_build_array(a.seq, (extract(epoch from a.at) * 1000000)::bigint, a.actor, a.action,
    a.tenant_id, a.target, a.request_id, a.detail)::text
$$;

-- One writer at a time, until it commits: the next one must see its row. 0x61756469 is "audi" in ASCII.
create function catalog.audit_chain() returns trigger
language plpgsql as $$
declare
  last_seq  bigint;
  last_hash bytea;
begin
  perform pg_advisory_xact_lock(x'61756469'::integer, 0);
  select a.seq, a.hash into last_seq, last_hash from catalog.audit a order by a.seq desc limit 1;
  new.seq := coalesce(last_seq, 0) + 1;
  new.at := clock_timestamp();
  new.prev_hash := coalesce(last_hash, decode(repeat('00', 32), 'hex'));
  new.hash := sha256(new.prev_hash || convert_to(catalog.audit_text(new), 'UTF8'));
  return new;
end $$;

create trigger audit_chain before insert on catalog.audit
for each row execute function catalog.audit_chain();

create function catalog.audit_append_only() returns trigger
language plpgsql as $$
begin
  perform catalog.refuse('audit_append_only', 'audit rows are never changed or removed');
  return null;
end $$;

create trigger audit_append_only before update or delete on catalog.audit
for each row execute function catalog.audit_append_only();
create trigger audit_append_only_all before truncate on catalog.audit
for each statement execute function catalog.audit_append_only();
