//! Servers that are clients themselves: a standby that streams, a subscription, postgres_fdw and dblink, with libpq inside the server.

use testkit::{Cluster, ClusterOptions, Server, say};

use crate::library::Library;

/// What a second server does as a client of the first, in SQL; each is a session of its own, and its answer or its error is compared.
const WRAPPER: &[&str] = &[
    "create extension postgres_fdw; create extension dblink; create schema far",
    "create server first foreign data wrapper postgres_fdw options (host 'HOST', port 'PORT', dbname 'postgres', async_capable 'true', batch_size '10'); \
     create server second foreign data wrapper postgres_fdw options (host 'HOST', port 'PORT', dbname 'postgres', async_capable 'true'); \
     create user mapping for public server first options (user 'postgres'); create user mapping for public server second options (user 'postgres')",
    "import foreign schema shop limit to (goods) from server first into far",
    "create foreign table far.again (id int, name text, part numeric) server second options (schema_name 'shop', table_name 'goods')",
    "select count(*), sum(part), max(name) from far.goods",
    "select * from far.goods where id in (3, 5) order by id",
    "select a.id, b.name from far.goods a join far.again b using (id) where a.id < 4 order by 1",
    "select sum(n) from (select count(*) as n from far.goods union all select count(*) from far.again) x",
    "insert into far.goods select n, 'new ' || n, n from generate_series(5001, 5100) n; select count(*) from far.goods",
    "update far.goods set name = 'it''s \\ ☃' where id = 5001 returning *",
    "delete from far.goods where id > 5001 returning id % 2 = 0",
    "begin; insert into far.goods values (6000, 'gone', 1); savepoint s; insert into far.goods values (6000, 'twice', 1); rollback",
    "begin; insert into far.goods values (6001, 'kept', null); savepoint s; insert into far.goods values (6002, 'gone', 1); \
     rollback to s; commit; select id from far.goods where id > 6000",
    "insert into far.goods values (6001, 'twice', 1)",
    "create foreign table far.nowhere (a int) server first; select * from far.nowhere",
    "begin; declare c cursor for select id from far.goods order by id; fetch 3 from c; move 200 in c; fetch 1 from c; close c; commit",
    "select server_name, valid from postgres_fdw_get_connections() order by 1",
    "select count(*) from far.goods; select count(*) > 0 from dblink('host=HOST port=PORT user=postgres dbname=postgres', \
     $$select pg_terminate_backend(pid, 60000) from pg_stat_activity where application_name = 'postgres_fdw'$$) as t(ended bool); \
     select count(*) from far.goods",
    "begin; select count(*) from far.goods; select count(*) > 0 from dblink('host=HOST port=PORT user=postgres dbname=postgres', \
     $$select pg_terminate_backend(pid, 60000) from pg_stat_activity where application_name = 'postgres_fdw'$$) as t(ended bool); \
     select count(*) from far.goods",
    "create foreign table far.slow (a text) server first options (schema_name 'shop', table_name 'slow'); \
     create function far.patient() returns text language plpgsql as $$ begin perform a from far.slow; return 'no error'; \
     exception when query_canceled then return sqlerrm; end $$; \
     select count(*) from far.goods; set statement_timeout = '300ms'; select far.patient()",
    "analyze far.goods; select reltuples > 1000 from pg_class where oid = 'far.goods'::regclass",
    "truncate far.goods; select count(*) from far.goods; insert into far.goods select n, 'name ' || n, n / 4.0 from generate_series(1, 5000) n",
    "alter server first options (set port '1'); select * from far.goods",
    "alter server first options (set port 'PORT', add sslmode 'nonsense')",
    "alter server first options (add nonsense '1')",
    "select * from dblink('host=HOST port=PORT user=postgres dbname=postgres', 'select 1, null, ''é ☃''') as t(a int, b text, c text)",
    "select dblink_connect('c', 'host=HOST port=PORT user=postgres dbname=postgres'); select dblink_connect('c', ''); ",
    "select dblink_connect('c', 'host=HOST port=PORT user=postgres dbname=postgres'), dblink_get_connections(); \
     select dblink_exec('c', 'create temp table t (a int)'), dblink_exec('c', 'insert into t select generate_series(1, 9)'); \
     select dblink_exec('c', 'begin'), dblink_open('c', 'k', 'select a from t order by a'); \
     select * from dblink_fetch('c', 'k', 4) as t(a int); select * from dblink_fetch('c', 'k', 9) as t(a int); \
     select dblink_close('c', 'k'), dblink_exec('c', 'commit'); \
     select dblink_exec('c', 'select 1/0', false); select dblink_error_message('c'); \
     select dblink_send_query('c', 'select a from t; select 100'); \
     select count(*) from dblink_get_result('c') as t(a int); select * from dblink_get_result('c') as t(a int); \
     select * from dblink_get_result('c') as t(a int); select dblink_is_busy('c'); \
     select dblink_send_query('c', 'select pg_sleep(600)'); \
     do $$ begin while not exists (select from dblink('host=HOST port=PORT user=postgres dbname=postgres', \
     $sql$select 1 from pg_stat_activity where wait_event = 'PgSleep'$sql$) as t(a int)) loop end loop; end $$; \
     select dblink_cancel_query('c'); \
     select * from dblink_get_result('c', false) as t(a text); select dblink_error_message('c'); \
     select * from dblink_get_result('c', false) as t(a text); \
     select dblink_exec('c', 'listen a'), dblink_exec('c', 'notify a, ''payload'''); \
     select notify_name, extra from dblink_get_notify('c'); select dblink_disconnect('c')",
    "select * from dblink('host=HOST port=1', 'select 1') as t(a int)",
    "select * from dblink('nonsense', 'select 1') as t(a int)",
    "select * from dblink('host=HOST port=PORT user=postgres dbname=postgres', 'select 1/0') as t(a int)",
    "select * from dblink('host=HOST port=PORT user=postgres dbname=postgres', 'select 1') as t(a int, b int)",
    "select dblink_build_sql_insert('pg_class', '1', 1, '{a}', '{b}')",
    "select * from dblink('host=HOST port=PORT user=postgres dbname=postgres', 'select n, repeat(n::text, 100) from generate_series(1, 20000) n') \
     as t(n int, text text) where n % 5000 = 1 and length(text) > 0 order by n limit 2 offset 1",
];

#[test]
fn servers_that_are_clients() {
    let mut servers = Server::installed().into_iter();
    let whole = servers.find(|server| {
        let folders = ["../lib", "../lib/postgresql"].map(|folder| server.bin.join(folder));
        let has = |name| folders.iter().any(|folder| folder.join(name).is_file());
        server.bin.join("pg_basebackup").is_file() && has("postgres_fdw.so") && has("dblink.so")
    });
    let Some(server) = whole else {
        say!("SKIPPED: no PostgreSQL with pg_basebackup, postgres_fdw and dblink");
        return;
    };
    let primary = Cluster::start(ClusterOptions::new().version(server.major).replicating());
    let theirs = seen(&primary, Library::System);
    let ours = seen(&primary, Library::Ours);
    for (theirs, ours) in theirs.iter().zip(&ours) {
        match server.major {
            18.. => assert_eq!(theirs, ours),
            _ => assert_eq!(theirs, &without_newer_options(ours, theirs)),
        }
    }
    assert_eq!(theirs.len(), ours.len());
}

/// The same without the options that the libpq of an older PostgreSQL does not know.
fn without_newer_options(ours: &str, theirs: &str) -> String {
    const LIST: &str = "Valid options in this context are: ";
    let list = |said: &str| {
        said.split_once(LIST)
            .map(|(_, rest)| rest.lines().next().unwrap_or("").to_owned())
    };
    let (Some(all), Some(known)) = (list(ours), list(theirs)) else {
        return ours.to_owned();
    };
    let known: Vec<_> = known.split(", ").collect();
    let older = all.split(", ").filter(|name| known.contains(name));
    ours.replace(&all, &older.collect::<Vec<_>>().join(", "))
}

/// What a server with this library inside says, as a standby of the primary, and then beside it.
fn seen(primary: &Cluster, library: Library) -> Vec<String> {
    primary.psql(
        "drop schema if exists shop cascade; create schema shop; create table shop.goods (id int primary key, name text, part numeric); \
         insert into shop.goods select n, 'name ' || n, n / 4.0 from generate_series(1, 5000) n; \
         create view shop.slow as select pg_sleep(600)::text as a",
    );
    let mut options = ClusterOptions::new();
    if let Some(folder) = library.folder() {
        options = options.variable("LD_LIBRARY_PATH", &folder.display().to_string());
    }
    let second = primary.standby(&options).unwrap();
    let mut seen = streaming(primary, &second, library);
    second.promote();
    let said = |sql: &&str| {
        let sql = sql
            .replace("HOST", &primary.socket_dir().display().to_string())
            .replace("PORT", &primary.port().to_string());
        let said = match second.try_psql(&sql) {
            Ok(said) => said,
            // Warnings of the end of the transaction may overtake the error.
            Err(error) => {
                let mut lines: Vec<&str> = error.lines().collect();
                lines.sort_unstable();
                lines.join("\n")
            }
        };
        let said = said.replace(&primary.socket_dir().display().to_string(), "HOST");
        format!(
            "{sql}\n{}",
            said.replace(&primary.port().to_string(), "PORT")
        )
    };
    seen.extend(WRAPPER.iter().map(said).map(|text| {
        let host = primary.socket_dir().display().to_string();
        // Wanted: of a connection that was lost while a result was waited for libpq says that, too, when it is asked once more.
        text.replace(&host, "HOST")
            .replace(&primary.port().to_string(), "PORT")
            .replace("\ninvalid socket", "")
    }));
    seen.extend(subscribing(primary, &second));
    seen
}

/// It receives what the primary writes, also after it was cut off.
fn streaming(primary: &Cluster, standby: &Cluster, library: Library) -> Vec<String> {
    standby.until("exists (select from pg_stat_wal_receiver where status = 'streaming')");
    if let Some(folder) = library.folder() {
        let maps = "select pg_read_file('/proc/' || pid || '/maps') from pg_stat_wal_receiver";
        let maps = standby.psql(maps);
        let library = folder.join("libpq.so.5").display().to_string();
        assert!(maps.contains(&library), "{library} is not in {maps}");
    }
    primary.psql("create table shop.streamed as select generate_series(1, 10000) as n");
    standby.catch_up(primary);
    let mut seen = vec![standby.psql("select count(*), sum(n) from shop.streamed")];
    primary.psql("select pg_terminate_backend(pid, 60000) from pg_stat_replication");
    primary.psql("insert into shop.streamed values (0)");
    standby.catch_up(primary);
    seen.push(standby.psql("select count(*) from shop.streamed"));
    seen.push(primary.psql("select application_name, state, sync_state from pg_stat_replication"));
    seen.push(
        standby.psql("select status, slot_name, sender_host is null from pg_stat_wal_receiver"),
    );
    seen
}

/// It copies a table and follows its changes.
fn subscribing(primary: &Cluster, second: &Cluster) -> Vec<String> {
    let (host, port) = (primary.socket_dir().display(), primary.port());
    primary.psql("drop publication if exists p; create publication p for table shop.goods");
    second.psql(&format!(
        "drop subscription if exists s;\ncreate database subscriber;\n\\c subscriber\ncreate schema shop; \
         create table shop.goods (id int primary key, name text, part numeric);\n\
         create subscription s connection 'host={host} port={port} user=postgres dbname=postgres' publication p"
    ));
    let same = |what: &str| {
        second.psql(&format!(
            "\\c subscriber\ndo $$ begin for n in 1..6000 loop if {what} then return; end if; perform pg_sleep(0.01); end loop; \
             raise exception 'not within a minute'; end $$;\nselect count(*), max(name), sum(part) from shop.goods"
        ))
    };
    let mut seen = vec![same("(select count(*) = 5000 from shop.goods)")];
    primary.psql(
        "update shop.goods set name = 'changed ☃' where id = 1; delete from shop.goods where id = 2; \
         insert into shop.goods select n, 'more', n from generate_series(7000, 9000) n",
    );
    seen.push(same("(select count(*) = 7000 from shop.goods)"));
    let wrong = second.try_psql("\\c subscriber\nalter subscription s connection 'nonsense'");
    seen.push(wrong.unwrap_or_else(|error| error));
    let refused = format!(
        "\\c subscriber\ncreate subscription t connection 'host={host} port=1 dbname=postgres' publication p"
    );
    let refused = second.try_psql(&refused).unwrap_err();
    seen.push(refused.replace(&host.to_string(), "HOST"));
    second.psql("\\c subscriber\ndrop subscription s");
    seen.push(primary.psql("select count(*) from pg_replication_slots"));
    seen
}
