#!/bin/sh
# PostgreSQL's own client programs, from the folder $1: everything is written out, dumped, restored, copied, streamed and compared.
set -u
bin=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PGOPTIONS='-c client_min_messages=warning' PSQLRC=/dev/null

mask() {
    sed -e "s|$PGHOST|HOST|g; s|\b$PGPORT\b|PORT|g; s|$work|WORK|g; s|$PGDATABASE|DATABASE|g; s|^$bin/||" \
        -e 's|[0-9A-F]*/[0-9A-F]\{4,\}|LSN|g; s|large object [0-9]*|large object N|g'
}
# run COMMAND…: prints its name, what it says and its status
run() {
    echo "\$ $*" | mask
    program=$1
    shift
    "$bin/$program" "$@" >"$work/out" 2>&1 </dev/null
    status=$?
    mask <"$work/out"
    echo "status $status"
}
# quiet COMMAND…: as run, without what it says: that is the same only when nothing else goes on
quiet() {
    echo "\$ $*" | mask
    program=$1
    shift
    "$bin/$program" "$@" >"$work/out" 2>&1 </dev/null
    status=$?
    echo "status $status"
    [ $status = 0 ] || cat "$work/out" >&2
}
sql() { "$bin/psql" -XqAt -v ON_ERROR_STOP=1 "$@"; }

cat >"$work/schema.sql" <<'SQL'
create schema s;
create type s.mood as enum ('sad', 'ok', 'it''s');
create domain s.positive as int check (value > 0);
create type s.pair as (a int, b text);
create sequence s.numbers start 5;
create table s.t (id s.positive primary key default nextval('s.numbers'), mood s.mood, name text not null, raw bytea,
    pair s.pair, tags text[], doc jsonb, twice int generated always as (id * 2) stored);
create table s.child (id int references s.t on delete cascade, "odd ""name""" text default 'it''s');
create table s.parts (k int, v text) partition by range (k);
create table s.parts_1 partition of s.parts for values from (0) to (100);
create table s.parts_2 partition of s.parts default;
create index on s.t using gin (doc);
create unique index on s.t (lower(name));
create view s.v as select id, name from s.t where mood = 'ok';
create materialized view s.m as select count(*) as n from s.t;
create function s.f(a int) returns int language sql as 'select a + 1';
create function s.on_change() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger tr before update on s.t for each row execute function s.on_change();
create rule r as on delete to s.v do instead nothing;
create policy p on s.t using (true);
create publication pub for table s.t;
create extension pgcrypto;
comment on table s.t is 'a comment with ''quotes'' and ☃';
insert into s.t (mood, name, raw, pair, tags, doc)
    select 'ok', 'name ' || n || E' \\ \t ☃', decode(md5(n::text), 'hex'), row(n, 'x')::s.pair, array['a', null, 'b"'], jsonb_build_object('n', n)
    from generate_series(1, 2000) n;
insert into s.child select id, null from s.t limit 10;
insert into s.parts select n, 'v' from generate_series(1, 200) n;
refresh materialized view s.m;
select lo_from_bytea(90001, 'a large object'), lo_from_bytea(90002, decode(repeat('00ff', 50000), 'hex'));
SQL
sql -f "$work/schema.sql" >/dev/null || exit 1

echo '-- psql'
cat >"$work/psql.sql" <<'SQL'
\pset null (null)
select 1 as a, null as b, 'é ☃' as c \gx
\d s.t
\d+ s.v
\dn
\df s.*
\dx
\l DATABASE*
\conninfo
select 1/0;
selec 1;
select 'é', from s.t;
\errverbose
do $$ begin raise notice 'hidden'; raise warning 'seen' using detail = 'd', hint = 'h'; end $$;
\set VERBOSITY verbose
do $$ begin raise exception 'own' using errcode = 'XX123', table = 't'; end $$;
\set VERBOSITY sqlstate
select 1/0;
\set VERBOSITY default
\set SHOW_CONTEXT always
do $$ begin perform 1/0; end $$;
begin; insert into s.child values (-1); rollback;
\gdesc
select 1 as a, 'x'::s.mood as b \gdesc
select 'create table s.made_' || n || ' ()' from generate_series(1, 2) n \gexec
select id, name from s.t order by id limit 2 \bind \g
select $1::int + $2 \bind 1 2 \g
\copy (select id, name from s.t order by id limit 3) to stdout
\copy s.child from program 'printf "5\\tfrom program\\n"'
\copy s.child from program 'echo nonsense'
\set FETCH_COUNT 100
select count(*) from (select * from s.t) t;
select id from s.t order by id offset 1990;
\set FETCH_COUNT 0
\lo_list
\lo_export 90002 :out
\lo_import :out 'imported'
\lo_unlink :LASTOID
\lo_unlink 4711
\encoding LATIN1
select 'caf' || chr(233);
\encoding SJIS
\encoding nonsense
\encoding UTF8
\password nobody
listen a;
notify a, 'payload';
\prompt 'x' y
\c
\timing off
prepare p as select $1::int; execute p(3); deallocate p;
declare c cursor for select 1;
begin; declare c cursor for select generate_series(1, 3); fetch 2 from c; commit;
select 1 \; select 2 \; select 1/0 \; select 3;
\echo :ROW_COUNT :ERROR :SQLSTATE :LAST_ERROR_MESSAGE :SERVER_VERSION_NUM
\c - - - 1
SQL
sed -i -e '/:SERVER_VERSION_NUM/s/ :SERVER_VERSION_NUM//' -e "s/DATABASE/$PGDATABASE/" "$work/psql.sql"
"$bin/psql" -X -a -v out="$work/lo" -f "$work/psql.sql" >"$work/out" 2>&1 </dev/null
echo "status $?"
mask <"$work/out" | sed -e 's/with PID [0-9]*/with PID N/; s/^lo_\(import\|unlink\) [0-9]*/lo_\1 N/; s/^ *[0-9]* | postgres | imported/ N | postgres | imported/' \
    -e 's/^LOCATION:.*//; /backend PID/d; /Backend PID/d; s/C\.UTF-8/LOCALE/g'
run psql -Xc 'select current_user' "host=$PGHOST port=$PGPORT dbname=$PGDATABASE application_name='it\\'s'"
run psql -Xc 'show application_name' "postgresql:///$PGDATABASE?host=$PGHOST&application_name=a%20b"
run psql -Xc 'select version from pg_stat_ssl where pid = pg_backend_pid()' "$DROPIN_TLS"
run psql -Xc 'select 1' "$DROPIN_TLS password=wrong"
run psql -Xwc 'select 1' 'host=127.0.0.1 sslmode=disable'
run psql -Xc 'select 1' 'port=1'
run psql -Xc 'select 1' 'nonsense=1'
run psql -Xc 'select 1' 'service=nowhere'
run psql -X1 -c 'create table s.once ()' -c 'select 1/0'
run psql -Xc '\d s.once'
# An interrupt while the server works is handed on as a cancel, from a signal handler.
"$bin/psql" -Xc "set application_name = 'interrupted'; select pg_sleep(600)" >"$work/out" 2>&1 &
pid=$!
until [ "$(sql -c "select count(*) from pg_stat_activity where application_name = 'interrupted' and wait_event = 'PgSleep'")" = 1 ]; do :; done
kill -INT $pid
wait $pid
echo "interrupted: $?"
mask <"$work/out"

echo '-- pg_dump, pg_restore'
for format in plain custom tar directory; do
    quiet pg_dump -Fc -f "$work/$format" --format=$format
done
grep -v -e '^--' -e '^.restrict' -e '^.unrestrict' "$work/plain" | grep -v -e '^SET' -e '^$' >"$work/plain.1"
wc -l <"$work/plain.1"
run psql -Xqc 'create database dropin_restored' postgres
quiet pg_restore -d dropin_restored -j 2 "$work/directory"
quiet pg_dump -d dropin_restored -f "$work/again"
grep -v -e '^--' -e '^.restrict' -e '^.unrestrict' "$work/again" | grep -v -e '^SET' -e '^$' | diff "$work/plain.1" - && echo 'the same again'
run psql -Xqc 'drop database dropin_restored' postgres
quiet pg_restore -l "$work/custom"
quiet pg_restore -f "$work/from-custom" "$work/custom"
run pg_dump -t s.child --inserts --data-only --no-comments -f /dev/null
run pg_dump -t nowhere
run pg_dump -d nowhere
quiet pg_dumpall --globals-only -f "$work/globals"
quiet pg_dump --jobs=2 -Fd -f "$work/parallel" "$DROPIN_TLS"

echo '-- pgbench'
quiet pgbench -i -q -s 1
for protocol in simple extended prepared; do
    run pgbench -n -t 50 -c 2 -M $protocol | grep -e processed -e status
done
cat >"$work/pipeline" <<'BENCH'
\startpipeline
select 1 as one \gset
select :one;
\endpipeline
BENCH
sed -i '/gset/d; s/:one/2/' "$work/pipeline"
run pgbench -n -t 50 -c 2 -M extended -f "$work/pipeline" | grep -e processed -e status
printf 'select 1/0;\n' >"$work/error"
run pgbench -n -t 5 -f "$work/error" 2>&1 | grep -e ERROR -e aborted -e status

echo '-- the small ones'
run pg_isready
run pg_isready -p 1
run pg_isready -h 127.0.0.1 -p 1 -t 5
run createdb dropin_made
run createdb dropin_made
run dropdb dropin_made
run dropdb dropin_made
run createuser --superuser dropin_user
run createuser dropin_user
run dropuser dropin_user
run vacuumdb -q -z -j 2
run vacuumdb -q -t nowhere
run reindexdb -q -t s.t
run clusterdb -q
if [ -x "$bin/pg_amcheck" ]; then
    run pg_amcheck --install-missing -t s.t
fi
if [ -x "$bin/vacuumlo" ]; then
    run vacuumlo -n "$PGDATABASE"
fi

echo '-- replication'
quiet pg_basebackup -D "$work/backup" -X stream -c fast --no-sync
ls "$work/backup" | grep -c .
if [ -x "$bin/pg_verifybackup" ]; then
    run pg_verifybackup -n "$work/backup" 2>&1 | grep -v -e LSN
fi
quiet pg_basebackup -D "$work/tarred" -Ft -X fetch -c fast --no-sync
quiet pg_receivewal --create-slot -S dropin_wal
lsn=$(sql -c 'select pg_switch_wal()' && sql -c 'create table s.more ()' && sql -c 'select pg_switch_wal()')
mkdir "$work/wal"
end=$(sql -c 'select pg_current_wal_flush_lsn()')
quiet pg_receivewal -D "$work/wal" -S dropin_wal --no-loop --endpos="$end" --no-sync
[ -n "$(ls "$work/wal")" ] && echo 'received'
quiet pg_receivewal --drop-slot -S dropin_wal
run pg_recvlogical -d "$PGDATABASE" -S dropin_wal --drop-slot
run pg_recvlogical -d "$PGDATABASE" -S dropin --create-slot -P test_decoding
sql -c "insert into s.parts values (7, 'decoded')" -c 'delete from s.parts where k = 7'
# What is not flushed is not sent: a commit that waits flushes what was before it.
sql -c 'set synchronous_commit = on' -c "select pg_logical_emit_message(true, 'dropin', 'the end')" >"$work/message"
end=$(sql -c 'select pg_current_wal_flush_lsn()')
quiet pg_recvlogical -d "$PGDATABASE" -S dropin --start --no-loop --endpos="$end" -f "$work/changes" -o include-xids=0 -o skip-empty-xacts=1
grep table "$work/changes"
run pg_recvlogical -d "$PGDATABASE" -S dropin --drop-slot
