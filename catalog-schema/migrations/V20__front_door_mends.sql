-- The front door, looked at again: how long gateways are told of tokens that are refused, what it takes to end all that a
-- user has, and what a change of one domain costs.

-- Gateways are told of a refusal for as long as such a token could be shown: ten minutes, and five in which clocks may
-- differ. Which connections end with it they hear within a second, or, if they were cut off, by asking for each of them
-- (`read/revocations.rs`): the sessions say themselves which of them have ended, and what refuses a user's tokens, or all
-- of a tenant's, is kept until the last of their sessions would have ended.
alter table catalog.token_revocations add column told_until timestamptz;
update catalog.token_revocations set told_until = least(expires_at, before + interval '15 minutes');
update catalog.token_revocations set expires_at = told_until where session_id is not null;
alter table catalog.token_revocations alter column told_until set not null;
create index token_revocations_told_idx on catalog.token_revocations (tenant_id, told_until);
create index token_revocations_user_idx on catalog.token_revocations (tenant_id, user_id);
drop index catalog.token_revocations_tenant_idx;

-- One refusal for one user in place of one for each of their sessions.
create function catalog.revoke_by_user(tenant uuid, subject uuid) returns void
language sql as $$
  with gone as (
    delete from catalog.token_revocations r
    where r.tenant_id = tenant and r.user_id = subject and r.session_id is not null
    returning r.before, r.told_until, r.expires_at)
  insert into catalog.token_revocations (tenant_id, user_id, before, told_until, expires_at)
    select tenant, subject, max(g.before), max(g.told_until), max(g.expires_at) from gone g having count(*) > 0;
$$;
drop function catalog.revoke_by_user(uuid);

-- As in V15, but for the bounds: they are about what gateways are told, and whoever fills them goes before all others.
create or replace function catalog.revoke_tokens(tenant uuid, subject uuid, session uuid) returns void
language plpgsql as $$
declare
  at       timestamptz := clock_timestamp();
  kept     integer;
  heaviest uuid;
  latest   timestamptz; -- that any of those tokens may say
  last     timestamptz; -- that any of their sessions lasts
  floor    timestamptz; -- below which nothing may be believed again
  needed   timestamptz; -- until when that was to be kept
begin
  if (select t.state from catalog.tenants t where t.id = tenant) in ('purging', 'deleted') then
    return; -- no gateway lets anybody in any more
  end if;
  select count(*) into kept from catalog.token_revocations r
    where r.tenant_id = tenant and r.user_id = subject and r.session_id <> session and r.told_until > at;
  if kept >= 64 then
    -- Who comes and goes without end has to ask anew, and nobody else.
    session := null;
  end if;
  loop
    select count(*) into kept from catalog.token_revocations r where r.tenant_id = tenant and r.told_until > at
      and not coalesce(r.user_id = subject and (session is null or r.session_id = session), subject is null);
    exit when kept < 1024;
    -- A route is kept in every gateway's memory. Rather than grow it without end, the one has to ask anew who has ended
    -- the most sessions; and all, when there are even so many who have ended one.
    select r.user_id into heaviest from catalog.token_revocations r
      where r.tenant_id = tenant and r.told_until > at and r.session_id is not null
      group by r.user_id having count(*) > 1 order by count(*) desc, r.user_id limit 1;
    if heaviest is null then
      session := null;
      subject := null;
      exit;
    end if;
    if heaviest = subject then
      session := null;
    end if;
    perform catalog.revoke_by_user(tenant, heaviest);
  end loop;
  -- What these say, the new one says too.
  with gone as (
    delete from catalog.token_revocations r
    where r.tenant_id = tenant and (subject is null or r.user_id = subject)
      and (session is null or r.session_id = session)
    returning r.before, r.expires_at)
  select max(g.before), max(g.expires_at) into floor, needed from gone g;
  select max(t.issued_at), max(s.expires_at) into latest, last
    from catalog.session_tenants t join catalog.sessions s on s.id = t.session_id
    where t.tenant_id = tenant and (subject is null or s.user_id = subject) and (session is null or s.id = session);
  latest := greatest(date_trunc('second', at), latest) + interval '1 second';
  latest := greatest(latest, floor);
  if session is null then
    needed := greatest(latest + interval '15 minutes', last + interval '5 minutes', needed);
  else
    needed := latest + interval '15 minutes'; -- the session says itself that it has ended
  end if;
  insert into catalog.token_revocations (tenant_id, user_id, session_id, before, told_until, expires_at)
    values (tenant, subject, session, latest, latest + interval '15 minutes', needed);
end $$;

-- All tokens of a user, in every tenant, with one refusal in each: what there is of each session is left out then.
-- For the end of an account. However many sessions in however many tenants it had, it is one statement.
create function catalog.revoke_user(subject uuid) returns void
language plpgsql as $$
declare
  at timestamptz := date_trunc('second', clock_timestamp());
begin
  with given as (
    select t.tenant_id, max(t.issued_at) as latest, max(s.expires_at) as last
    from catalog.session_tenants t join catalog.sessions s on s.id = t.session_id
    where s.user_id = subject group by t.tenant_id),
  places as (
    select m.tenant_id from catalog.memberships m where m.user_id = subject
    union select g.tenant_id from given g),
  gone as (
    delete from catalog.token_revocations r using places p
    where r.tenant_id = p.tenant_id and r.user_id = subject returning r.tenant_id, r.before, r.expires_at),
  said as (
    select g.tenant_id, max(g.before) as floor, max(g.expires_at) as needed from gone g group by g.tenant_id),
  dated as (
    select p.tenant_id, greatest(greatest(at, g.latest) + interval '1 second', s.floor) as before, s.needed, g.last
    from places p join catalog.tenants t on t.id = p.tenant_id
      left join given g on g.tenant_id = p.tenant_id left join said s on s.tenant_id = p.tenant_id
    where t.state not in ('purging', 'deleted'))
  insert into catalog.token_revocations (tenant_id, user_id, before, told_until, expires_at)
    select d.tenant_id, subject, d.before, d.before + interval '15 minutes',
           greatest(d.before + interval '15 minutes', d.last + interval '5 minutes', d.needed)
    from dated d order by d.tenant_id;
  -- Until the end of the transaction, for those that follow from it.
  perform set_config('tenantry.revoked_user', subject::text, true);
end $$;

create or replace function catalog.memberships_revoke() returns trigger
language plpgsql as $$
begin
  if current_setting('tenantry.revoked_user', true) is distinct from old.user_id::text then
    perform catalog.revoke_tokens(old.tenant_id, old.user_id, null);
  end if;
  return null;
end $$;

create or replace function catalog.sessions_revoke() returns trigger
language plpgsql as $$
begin
  if current_setting('tenantry.revoked_user', true) is distinct from new.user_id::text then
    perform catalog.revoke_tokens(t.tenant_id, new.user_id, new.id)
      from (select s.tenant_id from catalog.session_tenants s where s.session_id = new.id order by s.tenant_id) t;
  end if;
  return null;
end $$;

create or replace function catalog.users_end_sessions() returns trigger
language plpgsql as $$
begin
  perform catalog.revoke_user(new.id);
  update catalog.sessions set revoked_at = clock_timestamp()
    where user_id = new.id and revoked_at is null and expires_at > clock_timestamp();
  -- What the same transaction changes of the user from here on is told for itself.
  perform set_config('tenantry.revoked_user', '', true);
  return null;
end $$;

-- After `users_before_delete`, which may refuse, and before what hangs on the user goes with them.
create function catalog.users_revoke() returns trigger
language plpgsql as $$
begin
  perform catalog.revoke_user(old.id);
  return old;
end $$;
create trigger users_revoke before delete on catalog.users
for each row execute function catalog.users_revoke();

-- Which domains changed at which revision, so that a gateway reads those and not all of them: whoever verifies and removes
-- one domain for ever costs what anybody costs who changes something for ever.
create table catalog.domain_changes (
  revision bigint not null,
  domain   text not null,
  constraint domain_changes_once unique (revision, domain)
);

create function catalog.domain_changed() returns trigger
language plpgsql as $$
begin
  -- As for routes (V7): one revision a transaction, raised at its end.
  if current_setting('tenantry.revision_raised', true) is distinct from 'yes' then
    update catalog.revision set value = value + 1;
    perform set_config('tenantry.revision_raised', 'yes', true);
    notify tenantry_routes;
  end if;
  insert into catalog.domain_changes (revision, domain)
    select r.value, case when tg_op = 'DELETE' then old.domain else new.domain end from catalog.revision r
    on conflict do nothing;
  -- Whoever is behind this reads all. Nobody else is here: the revision is ours until the commit.
  delete from catalog.domain_changes c using catalog.revision r where c.revision <= r.pruned_through;
  return null;
end $$;

drop trigger custom_domains_identity_insert on catalog.custom_domains;
drop trigger custom_domains_identity_delete on catalog.custom_domains;
drop trigger custom_domains_identity_update on catalog.custom_domains;
create constraint trigger custom_domains_changed_insert after insert on catalog.custom_domains
deferrable initially deferred for each row
when (new.verified_at is not null) execute function catalog.domain_changed();
create constraint trigger custom_domains_changed_delete after delete on catalog.custom_domains
deferrable initially deferred for each row
when (old.verified_at is not null) execute function catalog.domain_changed();
create constraint trigger custom_domains_changed_update after update on catalog.custom_domains
deferrable initially deferred for each row
when ((old.verified_at is null) is distinct from (new.verified_at is null))
execute function catalog.domain_changed();
