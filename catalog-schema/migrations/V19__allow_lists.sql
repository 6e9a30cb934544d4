-- From where a tenant may be reached at the gateways: a list of address ranges. A tenant without a list is reached from
-- everywhere.

create table catalog.allow_lists (
  tenant_id  uuid primary key references catalog.tenants,
  ranges     cidr[] not null,
  updated_at timestamptz not null default now(),
  constraint allow_lists_bounded check (cardinality(ranges) between 1 and 256 and array_position(ranges, null) is null)
);

-- It is part of the tenant's route.
create trigger allow_lists_generation after insert or delete on catalog.allow_lists
for each row execute function catalog.raise_generation_of_living();
create trigger allow_lists_generation_update after update on catalog.allow_lists
for each row when (old.ranges is distinct from new.ranges) execute function catalog.raise_generation_of_living();

create function catalog.tenants_forget_allow_list() returns trigger
language plpgsql as $$
begin
  delete from catalog.allow_lists where tenant_id = new.id;
  return null;
end $$;
create trigger tenants_forget_allow_list after update of state on catalog.tenants
for each row when (new.state = 'deleted') execute function catalog.tenants_forget_allow_list();
