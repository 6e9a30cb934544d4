-- A tenant's role has SCRAM keys and no password: nobody can guess, leak or type what does not exist, and a login
-- by keys costs no hashing. The control plane makes keys for roles that still have a password of before, when it
-- starts; until then their placements have none. Nothing that was a password stays here.
alter table catalog.placements drop column secret;
alter table catalog.placements add column keys bytea;
