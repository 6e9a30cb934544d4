-- What the wire needs to know beyond the way to a tenant: how connections to a cluster are secured, how long a
-- credential's clients keep theirs, and a number by which a cancel key names the gateway that it is for.

-- Clusters that were registered before this were reached in clear, and stay so until somebody says otherwise; a
-- new one is verified unless its operator decides against it.
alter table catalog.clusters
  add column tls_mode text not null default 'disable'
    check (tls_mode in ('disable', 'require', 'verify-ca', 'verify-full')),
  add column tls_ca text check (tls_ca <> ''),
  add column tls_server_name text check (tls_server_name <> '');
alter table catalog.clusters alter column tls_mode set default 'verify-full';

alter table catalog.credentials
  add column pool_mode text check (pool_mode in ('transaction', 'session'));

-- Small, because a cancel key has few bits. Given at the first heartbeat, and kept while the row lives.
alter table catalog.gateways add column number integer;
update catalog.gateways g set number = n.number
  from (select id, row_number() over (order by started_at, id) as number from catalog.gateways) n
  where n.id = g.id;
alter table catalog.gateways
  alter column number set not null,
  add constraint gateways_number_key unique (number),
  add check (number between 1 and 1023);

drop trigger clusters_route on catalog.clusters;
create constraint trigger clusters_route after update on catalog.clusters
deferrable initially deferred for each row
when ((old.name, old.region, old.host, old.port, old.system_identifier, old.connection_budget, old.state,
       old.tls_mode, old.tls_ca, old.tls_server_name)
      is distinct from
      (new.name, new.region, new.host, new.port, new.system_identifier, new.connection_budget, new.state,
       new.tls_mode, new.tls_ca, new.tls_server_name))
execute function catalog.route_changed('everything');

drop trigger credentials_route_update on catalog.credentials;
create constraint trigger credentials_route_update after update on catalog.credentials
deferrable initially deferred for each row
when ((old.user_name, old.verifier, old.key_hash, old.role, old.expires_at, old.revoked_at, old.pool_mode)
      is distinct from
      (new.user_name, new.verifier, new.key_hash, new.role, new.expires_at, new.revoked_at, new.pool_mode))
execute function catalog.route_changed('tenant_id');
