-- How tenants share a cluster's connections when there are not enough for all: what is kept for each, and how much
-- of the rest is due to it beside the others.
alter table catalog.plans
  add column floor  integer not null default 0 check (floor >= 0),
  add column weight integer not null default 100 check (weight between 1 and 1000);

alter table catalog.entitlements
  add column floor  integer check (floor >= 0),
  add column weight integer check (weight between 1 and 1000);
