-- People: who they are, what they are in which tenant, how they are let in, and what signs the tokens that take them to
-- gateways. What opens anything is here only as a hash, and a private key only sealed.

create table catalog.users (
  id            uuid primary key,
  email         text not null check (octet_length(email) between 3 and 254 and email = lower(email)),
  display_name  text not null check (octet_length(display_name) <= 1000),
  password_hash text check (password_hash like '$argon2id$%'),
  disabled_at   timestamptz,
  -- The tenant whose invite made the account; none if the operator did. Whoever made the invite could accept it: nobody
  -- has vouched that the address is the account's holder's. No foreign key: the tenant may be gone.
  made_by_invite_of uuid,
  version       bigint not null default 1,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  constraint users_email_key unique (email)
);
create index users_made_by_invite_idx on catalog.users (created_at) where made_by_invite_of is not null;
create trigger users_version before update on catalog.users
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

-- Who a user is at an identity provider. Said by an operator, never guessed from an e-mail address: an address in a
-- token proves nothing about who made the account here.
create table catalog.user_identities (
  issuer     text not null check (octet_length(issuer) between 1 and 2000),
  subject    text not null check (octet_length(subject) between 1 and 255),
  user_id    uuid not null references catalog.users on delete cascade,
  created_at timestamptz not null default now(),
  constraint user_identities_pkey primary key (issuer, subject)
);
create index user_identities_user_idx on catalog.user_identities (user_id);

create table catalog.custom_roles (
  id          uuid primary key,
  tenant_id   uuid not null references catalog.tenants,
  name        text not null,
  permissions text[] not null check (cardinality(permissions) between 1 and 100),
  version     bigint not null default 1,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint custom_roles_name_key unique (tenant_id, name),
  constraint custom_roles_tenant_key unique (tenant_id, id),
  constraint custom_roles_name_free check (name not in ('owner', 'admin', 'member', 'viewer'))
);
create trigger custom_roles_version before update on catalog.custom_roles
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

create table catalog.memberships (
  tenant_id   uuid not null references catalog.tenants,
  user_id     uuid not null references catalog.users on delete cascade,
  role        text check (role in ('owner', 'admin', 'member', 'viewer')),
  custom_role uuid,
  version     bigint not null default 1,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint memberships_pkey primary key (tenant_id, user_id),
  constraint memberships_one_role check (num_nonnulls(role, custom_role) = 1),
  -- With the tenant: no role of another is ever meant.
  constraint memberships_custom_role_fkey foreign key (tenant_id, custom_role)
    references catalog.custom_roles (tenant_id, id)
);
create index memberships_user_idx on catalog.memberships (user_id, tenant_id);
create index memberships_custom_role_idx on catalog.memberships (custom_role) where custom_role is not null;
create trigger memberships_version before update on catalog.memberships
for each row when (old.* is distinct from new.*) execute function catalog.raise_version();

create table catalog.invites (
  id          uuid primary key,
  tenant_id   uuid not null references catalog.tenants,
  email       text not null check (octet_length(email) between 3 and 254 and email = lower(email)),
  role        text check (role in ('owner', 'admin', 'member', 'viewer')),
  custom_role uuid,
  token_hash  bytea not null unique check (octet_length(token_hash) = 32),
  invited_by  text not null,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  accepted_at timestamptz,
  accepted_by uuid, -- no foreign key: who has joined may be gone
  revoked_at  timestamptz,
  constraint invites_one_role check (num_nonnulls(role, custom_role) = 1),
  constraint invites_custom_role_fkey foreign key (tenant_id, custom_role)
    references catalog.custom_roles (tenant_id, id),
  constraint invites_accepted check ((accepted_at is null) = (accepted_by is null)),
  constraint invites_ended_once check (num_nonnulls(accepted_at, revoked_at) <= 1)
);
create index invites_tenant_idx on catalog.invites (tenant_id, id);
create index invites_custom_role_idx on catalog.invites (custom_role) where custom_role is not null;

create table catalog.sessions (
  id           uuid primary key,
  user_id      uuid not null references catalog.users on delete cascade,
  token_hash   bytea not null unique check (octet_length(token_hash) = 32),
  method       text not null check (method in ('password', 'token', 'invite')),
  created_at   timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  expires_at   timestamptz not null,
  revoked_at   timestamptz
);
create index sessions_user_idx on catalog.sessions (user_id, id);
create index sessions_expiry_idx on catalog.sessions (expires_at);

-- Where a session has had gateway tokens, so that its end is told there and nowhere else. For as long as the session: a
-- connection that was opened by such a token outlives the token.
create table catalog.session_tenants (
  session_id uuid not null references catalog.sessions on delete cascade,
  tenant_id  uuid not null references catalog.tenants,
  issued_at  timestamptz not null, -- as the latest of them says
  primary key (session_id, tenant_id)
);
create index session_tenants_tenant_idx on catalog.session_tenants (tenant_id);

-- Gateway tokens that are refused before their time: a session's, a user's, or, where neither is named, all of the
-- tenant's. Part of the tenant's route for as long as a connection that was opened by such a token could last.
create table catalog.token_revocations (
  id         bigint primary key generated always as identity,
  tenant_id  uuid not null references catalog.tenants,
  user_id    uuid,
  session_id uuid,
  before     timestamptz not null,
  expires_at timestamptz not null
);
create index token_revocations_tenant_idx on catalog.token_revocations (tenant_id);
create index token_revocations_expiry_idx on catalog.token_revocations (expires_at);

-- Not when one is removed: it had expired, or another came in its place.
create constraint trigger token_revocations_route after insert on catalog.token_revocations
deferrable initially deferred for each row execute function catalog.route_changed('tenant_id');

-- One refusal for each user in place of one for each of their sessions.
create function catalog.revoke_by_user(tenant uuid) returns void
language sql as $$
  with gone as (
    delete from catalog.token_revocations r where r.tenant_id = tenant and r.session_id is not null
    returning r.user_id, r.before, r.expires_at)
  insert into catalog.token_revocations (tenant_id, user_id, before, expires_at)
    select tenant, g.user_id, max(g.before), max(g.expires_at) from gone g group by g.user_id;
$$;

-- A token says when it was issued in whole seconds, so those of this very second are refused too, and those that were
-- dated ahead because of that; whoever issues the next one dates it behind. What such a token opened lasts as long as its
-- session at most, and a gateway may be cut off until then: so long it is kept, or for the ten minutes that a token lives,
-- and five in which clocks may differ.
create function catalog.revoke_tokens(tenant uuid, subject uuid, session uuid) returns void
language plpgsql as $$
declare
  at     timestamptz := clock_timestamp();
  kept   integer;
  latest timestamptz; -- that any of those tokens may say
  last   timestamptz; -- that any of their sessions lasts
  floor  timestamptz; -- below which nothing may be believed again
  needed timestamptz; -- until when that was to be kept
begin
  if (select t.state from catalog.tenants t where t.id = tenant) in ('purging', 'deleted') then
    return; -- no gateway lets anybody in any more
  end if;
  delete from catalog.token_revocations r where r.tenant_id = tenant and r.expires_at <= at;
  select count(*) into kept from catalog.token_revocations r
    where r.tenant_id = tenant and r.user_id = subject and r.session_id <> session;
  if kept >= 8 then
    -- Who comes and goes without end has to ask anew, and nobody else.
    session := null;
  end if;
  select count(*) into kept from catalog.token_revocations r where r.tenant_id = tenant
    and not coalesce(r.user_id = subject and (session is null or r.session_id = session), subject is null);
  if kept >= 256 then
    -- A route is kept in every gateway's memory. Rather than grow it without end, those have to ask anew who have ended
    -- a session; and all, when even so many are too many.
    perform catalog.revoke_by_user(tenant);
    session := null;
    select count(*) into kept from catalog.token_revocations r
      where r.tenant_id = tenant and r.user_id is distinct from subject;
    if kept >= 256 then
      subject := null;
    end if;
  end if;
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
  needed := greatest(latest + interval '15 minutes', last + interval '5 minutes', needed);
  insert into catalog.token_revocations (tenant_id, user_id, session_id, before, expires_at)
    values (tenant, subject, session, latest, needed);
end $$;

-- The lock makes two owners who leave at once take turns; each then counts afresh. Before the change, so that who
-- leaves is left out of the count.
create function catalog.keep_an_owner(tenant uuid, leaving uuid) returns void
language plpgsql as $$
declare
  standing text;
begin
  select t.state into standing from catalog.tenants t where t.id = tenant for no key update;
  if standing not in ('purging', 'deleted') and not exists (
       select from catalog.memberships m join catalog.users u on u.id = m.user_id
       where m.tenant_id = tenant and m.user_id <> leaving and m.role = 'owner' and u.disabled_at is null
         and (u.password_hash is not null or exists (select from catalog.user_identities i where i.user_id = u.id))) then
    perform catalog.refuse('memberships_last_owner', 'the last owner stays');
  end if;
end $$;

create function catalog.memberships_before_change() returns trigger
language plpgsql as $$
begin
  if tg_op = 'UPDATE' and (new.tenant_id, new.user_id) is distinct from (old.tenant_id, old.user_id) then
    perform catalog.refuse('memberships_stay', 'a membership is not handed on');
  end if;
  if old.role = 'owner' and (tg_op = 'DELETE' or new.role is distinct from 'owner') then
    perform catalog.keep_an_owner(old.tenant_id, old.user_id);
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;

create trigger memberships_before_change before update or delete on catalog.memberships
for each row execute function catalog.memberships_before_change();

create function catalog.memberships_revoke() returns trigger
language plpgsql as $$
begin
  perform catalog.revoke_tokens(old.tenant_id, old.user_id, null);
  return null;
end $$;

create trigger memberships_revoke_update after update on catalog.memberships
for each row when ((old.role, old.custom_role) is distinct from (new.role, new.custom_role))
execute function catalog.memberships_revoke();
create trigger memberships_revoke_delete after delete on catalog.memberships
for each row execute function catalog.memberships_revoke();

-- Each refusal is looked for among all the others: many at once are one for all of the tenant's people.
create function catalog.custom_roles_revoke() returns trigger
language plpgsql as $$
begin
  if (select count(*) from catalog.memberships m where m.custom_role = new.id) > 16 then
    perform catalog.revoke_tokens(new.tenant_id, null, null);
  else
    perform catalog.revoke_tokens(m.tenant_id, m.user_id, null)
      from catalog.memberships m where m.custom_role = new.id;
  end if;
  return null;
end $$;

create trigger custom_roles_revoke after update on catalog.custom_roles
for each row when (old.permissions is distinct from new.permissions) execute function catalog.custom_roles_revoke();

create function catalog.sessions_revoke() returns trigger
language plpgsql as $$
begin
  perform catalog.revoke_tokens(t.tenant_id, new.user_id, new.id)
    from (select s.tenant_id from catalog.session_tenants s where s.session_id = new.id order by s.tenant_id) t;
  return null;
end $$;

create trigger sessions_revoke after update on catalog.sessions
for each row when (old.revoked_at is null and new.revoked_at is not null) execute function catalog.sessions_revoke();

-- In the order of their ids, as everybody who locks several tenants does.
create function catalog.users_before_leave() returns trigger
language plpgsql as $$
begin
  perform catalog.keep_an_owner(o.tenant_id, old.id)
    from (select m.tenant_id from catalog.memberships m
          where m.user_id = old.id and m.role = 'owner' order by m.tenant_id) o;
  return case when tg_op = 'DELETE' then old else new end;
end $$;

create trigger users_before_disable before update on catalog.users
for each row when (old.disabled_at is null and new.disabled_at is not null)
execute function catalog.users_before_leave();
create trigger users_before_delete before delete on catalog.users
for each row execute function catalog.users_before_leave();

-- Whoever has no password signs in by an identity only, and has left with the last one. Not when the user goes: they are
-- gone by then, and were looked at before.
create function catalog.user_identities_before_delete() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.users u where u.id = old.user_id and u.password_hash is null and u.disabled_at is null)
     and not exists (select from catalog.user_identities i where i.user_id = old.user_id
                     and (i.issuer, i.subject) <> (old.issuer, old.subject)) then
    perform catalog.keep_an_owner(o.tenant_id, old.user_id)
      from (select m.tenant_id from catalog.memberships m
            where m.user_id = old.user_id and m.role = 'owner' order by m.tenant_id) o;
  end if;
  return old;
end $$;

create trigger user_identities_before_delete before delete on catalog.user_identities
for each row execute function catalog.user_identities_before_delete();

create function catalog.users_end_sessions() returns trigger
language plpgsql as $$
begin
  update catalog.sessions set revoked_at = clock_timestamp()
    where user_id = new.id and revoked_at is null and expires_at > clock_timestamp();
  -- One for each tenant in place of one for each session there.
  perform catalog.revoke_tokens(o.tenant_id, new.id, null)
    from (select m.tenant_id from catalog.memberships m where m.user_id = new.id order by m.tenant_id) o;
  return null;
end $$;

create trigger users_end_sessions after update on catalog.users
for each row when (old.disabled_at is null and new.disabled_at is not null)
execute function catalog.users_end_sessions();

-- What signs gateway tokens. A key signs for a while and is trusted for a token's life longer; gateways know the next
-- one before it signs.
create table catalog.signing_keys (
  id             uuid primary key,
  public_key     bytea not null check (octet_length(public_key) = 32),
  private_key    bytea not null,
  signs_from     timestamptz not null,
  signs_until    timestamptz not null,
  verifies_until timestamptz not null,
  created_at     timestamptz not null default now(),
  constraint signing_keys_in_order check (signs_from <= signs_until and signs_until <= verifies_until)
);

create constraint trigger signing_keys_identity after insert or update or delete on catalog.signing_keys
deferrable initially deferred for each row execute function catalog.identity_changed();
