-- Login roles beside the owner's: one that reads and writes, one that reads. What a session may do is decided by
-- the role that its server connection was opened as, whatever SQL it sends.
--
-- A gateway is told of a role when it is ready: made, granted what its access stands for, and logged in as once.
create table catalog.placement_roles (
  tenant_id uuid not null references catalog.placements on delete cascade,
  access    text not null check (access in ('write', 'read')),
  role_name text not null unique,
  keys      bytea not null,
  is_ready  boolean not null default false,
  primary key (tenant_id, access)
);

-- As with the owner's role: what is known of it is kept until it is proved to be gone.
create function catalog.placement_roles_before_delete() returns trigger
language plpgsql as $$
begin
  if exists (select from catalog.physical_names n
             where n.dropped_at is null and n.kind = 'role' and n.name = old.role_name) then
    perform catalog.refuse('placements_dropped', 'the database or role may still exist');
  end if;
  return old;
end $$;

create trigger placement_roles_before_delete before delete on catalog.placement_roles
for each row execute function catalog.placement_roles_before_delete();

-- A role that is not ready is no part of the route.
create trigger placement_roles_generation_insert after insert on catalog.placement_roles
for each row when (new.is_ready) execute function catalog.raise_generation();
create trigger placement_roles_generation_update after update on catalog.placement_roles
for each row when (old.* is distinct from new.* and (old.is_ready or new.is_ready))
execute function catalog.raise_generation();
create trigger placement_roles_generation_delete after delete on catalog.placement_roles
for each row when (old.is_ready) execute function catalog.raise_generation();
