-- What a tenant may use beyond connections: requests, time, memory, bytes. 0 stands for no limit of the tenant's own;
-- what the gateway and the server bound for everybody holds beside it.
alter table catalog.plans
  add column requests_per_second            integer not null default 0 check (requests_per_second >= 0),
  add column request_burst                  integer not null default 0 check (request_burst >= 0),
  add column statement_timeout_ms           integer not null default 0 check (statement_timeout_ms >= 0),
  add column idle_in_transaction_timeout_ms integer not null default 0 check (idle_in_transaction_timeout_ms >= 0),
  add column work_mem_kb                    integer not null default 0 check (work_mem_kb >= 0),
  add column result_bytes_max               bigint not null default 0 check (result_bytes_max >= 0),
  add column body_bytes_max                 bigint not null default 0 check (body_bytes_max >= 0),
  add column storage_soft_bytes             bigint not null default 0 check (storage_soft_bytes >= 0),
  add column storage_hard_bytes             bigint not null default 0 check (storage_hard_bytes >= 0);

alter table catalog.entitlements
  add column requests_per_second            integer check (requests_per_second >= 0),
  add column request_burst                  integer check (request_burst >= 0),
  add column statement_timeout_ms           integer check (statement_timeout_ms >= 0),
  add column idle_in_transaction_timeout_ms integer check (idle_in_transaction_timeout_ms >= 0),
  add column work_mem_kb                    integer check (work_mem_kb >= 0),
  add column result_bytes_max               bigint check (result_bytes_max >= 0),
  add column body_bytes_max                 bigint check (body_bytes_max >= 0),
  add column storage_soft_bytes             bigint check (storage_soft_bytes >= 0),
  add column storage_hard_bytes             bigint check (storage_hard_bytes >= 0);

-- The smallest of the plans that a new catalog has. Where there are tenants already, nobody is cut off by an upgrade.
update catalog.plans
  set requests_per_second = 2000, request_burst = 10000,
      statement_timeout_ms = 900000, idle_in_transaction_timeout_ms = 600000,
      result_bytes_max = 1073741824,
      storage_soft_bytes = 4294967296, storage_hard_bytes = 5368709120
  where name = 'free' and not exists (select from catalog.tenants);
