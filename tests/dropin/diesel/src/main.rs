//! Diesel: its query builder, parameters of many types, transactions, errors, COPY, notifications. Prints what it sees.

use diesel::connection::SimpleConnection;
use diesel::pg::CopyFormat;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorInformation, Error};
use diesel::sql_types::{Array, Binary, Bool, Integer, Nullable, Text};

diesel::table! {
    things (id) {
        id -> Integer,
        name -> Text,
        part -> Nullable<Double>,
        raw -> Nullable<Binary>,
        tags -> Array<Text>,
    }
}

#[derive(Debug, Queryable, Insertable, Selectable, AsChangeset)]
#[diesel(table_name = things)]
struct Thing {
    id: i32,
    name: String,
    part: Option<f64>,
    raw: Option<Vec<u8>>,
    tags: Vec<String>,
}

#[derive(Debug, QueryableByName)]
#[allow(dead_code)]
struct Values {
    #[diesel(sql_type = Nullable<Integer>)]
    a: Option<i32>,
    #[diesel(sql_type = Text)]
    b: String,
    #[diesel(sql_type = Binary)]
    c: Vec<u8>,
    #[diesel(sql_type = Bool)]
    d: bool,
    #[diesel(sql_type = Array<Nullable<Integer>>)]
    e: Vec<Option<i32>>,
}

#[derive(Debug, QueryableByName)]
struct One {
    #[diesel(sql_type = Text)]
    one: String,
}

fn one(conn: &mut PgConnection, query: &str) -> QueryResult<String> {
    diesel::sql_query(query).get_result::<One>(conn).map(|row| row.one)
}

fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["PGHOST", "PGPORT"] {
        text = text.replace(&std::env::var(name).unwrap(), name);
    }
    text
}

fn fields(info: &dyn DatabaseErrorInformation) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        info.message(),
        info.details(),
        info.hint(),
        info.table_name(),
        info.column_name(),
        info.constraint_name(),
        info.statement_position()
    )
}

fn say_error<T>(what: &str, said: QueryResult<T>) {
    match said {
        Ok(_) => println!("{what}: no error"),
        Err(Error::DatabaseError(kind, info)) => {
            println!("{what}: {kind:?} {}", masked(&fields(&*info)));
        }
        Err(error) => println!("{what}: {}", masked(&error.to_string())),
    }
}

fn main() {
    let tls = std::env::var("DROPIN_TLS").unwrap();
    for how in ["", "application_name='it\\'s'", &tls] {
        let mut conn = PgConnection::establish(how).unwrap();
        println!("connected: {:?}", one(&mut conn, "select current_setting('application_name') as one"));
    }
    for how in ["port=1", "nonsense", &format!("{tls} password=wrong")] {
        let error = PgConnection::establish(how).err().unwrap();
        println!("refused: {}", masked(&error.to_string()));
    }
    let conn = &mut PgConnection::establish(&tls).unwrap();
    conn.batch_execute("create table things (id int primary key, name text not null, part float8, raw bytea, tags text[] not null)").unwrap();
    queries(conn);
    errors(conn);
    copying(conn);
    notifications(conn);
    killed(conn);
}

fn queries(conn: &mut PgConnection) {
    let values = diesel::sql_query("select $1 as a, $2 as b, $3 as c, $4 as d, $5 as e")
        .bind::<Nullable<Integer>, _>(None::<i32>)
        .bind::<Text, _>("snow ☃ it's")
        .bind::<Binary, _>(vec![0_u8, 255, b'\''])
        .bind::<Bool, _>(true)
        .bind::<Array<Nullable<Integer>>, _>(vec![Some(1), None])
        .get_result::<Values>(conn);
    println!("values: {values:?}");
    let some: Vec<Thing> = (1..=20)
        .map(|id| Thing {
            id,
            name: format!("name {id}"),
            part: (id % 2 == 0).then_some(f64::from(id) / 4.0),
            raw: Some(vec![id as u8; 3]),
            tags: vec!["a".to_owned(), "b\"".to_owned()],
        })
        .collect();
    println!("inserted: {:?}", diesel::insert_into(things::table).values(&some).execute(conn));
    let query = things::table.filter(things::id.gt(17).or(things::name.eq("name 2"))).order(things::id);
    println!("loaded: {:?}", query.load::<Thing>(conn));
    for id in 1..6 {
        println!("prepared: {:?}", things::table.find(id).select(things::name).first::<String>(conn));
    }
    println!("none: {:?}", things::table.find(1000).select(things::name).first::<String>(conn));
    let returned = diesel::update(things::table.filter(things::id.lt(3)))
        .set(things::name.eq("new"))
        .returning((things::id, things::name))
        .get_results::<(i32, String)>(conn);
    println!("updated: {returned:?}");
    println!("counted: {:?}", things::table.count().get_result::<i64>(conn));
    let streamed = things::table.select(things::id).load_iter::<i32, diesel::pg::PgRowByRowLoadingMode>(conn);
    println!("row by row: {}", streamed.unwrap().map(Result::unwrap).sum::<i32>());
    println!("deleted: {:?}", diesel::delete(things::table.filter(things::id.gt(15))).execute(conn));
}

fn errors(conn: &mut PgConnection) {
    let twice = Thing { id: 1, name: "x".to_owned(), part: None, raw: None, tags: vec![] };
    say_error("error", diesel::insert_into(things::table).values(&twice).execute(conn));
    for query in ["select 1/0", "selec 1", "insert into things (id) values (99)", "select * from nowhere"] {
        say_error("error", diesel::sql_query(query).execute(conn));
        say_error("batch", conn.batch_execute(query));
    }
    let rolled_back = conn.transaction(|conn| {
        diesel::delete(things::table).execute(conn)?;
        let inner = conn.transaction(|conn| diesel::sql_query("select 1/0").execute(conn));
        println!("inner: {}", inner.is_err());
        println!("none left: {:?}", things::table.count().get_result::<i64>(conn));
        Err::<(), _>(Error::RollbackTransaction)
    });
    println!("rolled back: {rolled_back:?} {:?}", things::table.count().get_result::<i64>(conn));
    let serial = conn.build_transaction().serializable().read_only().run(|conn| {
        one(conn, "select current_setting('transaction_isolation') as one")
    });
    println!("serializable: {serial:?}");
}

fn copying(conn: &mut PgConnection) {
    use std::io::Read;

    let copied = diesel::copy_from(things::table)
        .from_raw_data(things::table, |copy| {
            for id in 100..5100 {
                std::io::Write::write_all(copy, format!("{id},name,1.5,,{{}}\n").as_bytes()).unwrap();
            }
            diesel::QueryResult::Ok(())
        })
        .with_format(CopyFormat::Csv)
        .execute(conn);
    println!("copied in: {copied:?}");
    let mut text = String::new();
    diesel::copy_to(things::table)
        .with_format(CopyFormat::Csv)
        .load_raw(conn)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    println!("copied out: {} {:?}", text.len(), text.lines().last());
    let mut other = PgConnection::establish("").unwrap();
    let bad = diesel::copy_from(things::table)
        .from_raw_data(things::table, |copy| {
            std::io::Write::write_all(copy, b"nonsense\n").unwrap();
            diesel::QueryResult::Ok(())
        })
        .with_format(CopyFormat::Csv)
        .execute(&mut other);
    say_error("bad", bad);
    println!("usable: {:?}", one(conn, "select 'yes' as one"));
}

fn notifications(conn: &mut PgConnection) {
    conn.batch_execute("listen a").unwrap();
    let mut other = PgConnection::establish("").unwrap();
    other.batch_execute("notify a, 'payload ☃'").unwrap();
    let note = loop {
        if let Some(note) = conn.notifications_iter().next() {
            break note.unwrap();
        }
    };
    println!("notified: {} {}", note.channel, note.payload);
}

fn killed(conn: &mut PgConnection) {
    let pid = one(conn, "select pg_backend_pid()::text as one").unwrap();
    let mut other = PgConnection::establish("").unwrap();
    other.batch_execute(&format!("select pg_terminate_backend({pid}, 60000)")).unwrap();
    println!("killed: {:?}", one(conn, "select 'x' as one").map_err(|error| masked(&error.to_string())));
    println!("again: {:?}", one(conn, "select 'x' as one").map_err(|error| masked(&error.to_string())));
}
