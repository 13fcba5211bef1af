// libpqxx: transactions, prepared statements, streams of COPY, large objects, notifications, pipelines, errors.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <pqxx/pqxx>

static void say(const std::string &what, const std::string &value)
{
    std::string text = value;
    for (auto [from, to] : {std::pair<std::string, std::string>{std::getenv("PGHOST"), "HOST"}, {std::getenv("PGPORT"), "PORT"}})
        for (size_t at; (at = text.find(from)) != std::string::npos;)
            text.replace(at, from.size(), to);
    for (size_t at; (at = text.find('\n')) != std::string::npos;)
        text.replace(at, 1, "\\n");
    std::cout << what << ": " << text << std::endl;
}

template <typename T> static std::string text(const T &value)
{
    return pqxx::to_string(value);
}

template <typename F> static void error_of(const std::string &what, F call)
{
    try {
        call();
        say(what, "no error");
    } catch (const pqxx::sql_error &error) {
        say(what, error.sqlstate() + " " + error.what());
    } catch (const std::exception &error) {
        say(what, error.what());
    }
}

struct Notices : pqxx::errorhandler {
    explicit Notices(pqxx::connection_base &conn) : pqxx::errorhandler(conn) {}
    bool operator()(const char message[]) noexcept override
    {
        say("notice", message);
        return true;
    }
};

struct Receiver : pqxx::notification_receiver {
    int seen = 0;
    Receiver(pqxx::connection_base &conn, const std::string &channel) : pqxx::notification_receiver(conn, channel) {}
    void operator()(const std::string &payload, int pid) override
    {
        say("notified", payload + " " + text(pid > 0));
        seen++;
    }
};

static void connecting()
{
    for (const char *how : {"", "application_name='it\\'s'", "options='-c geqo=off'"}) {
        pqxx::connection conn(how);
        pqxx::nontransaction tx(conn);
        say("connected", tx.exec1("show application_name")[0].c_str());
        say("geqo", tx.exec1("show geqo")[0].c_str());
        say("facts", std::string(conn.dbname()) + " " + conn.username() + " " + text(conn.protocol_version()) + " " + text(conn.server_version() > 90000) + " " + conn.get_client_encoding());
    }
    pqxx::connection conn(std::getenv("DROPIN_TLS"));
    pqxx::nontransaction tx(conn);
    say("tls", tx.exec1("select version from pg_stat_ssl where pid = pg_backend_pid()")[0].c_str());
    error_of("wrong password", [] { pqxx::connection(std::string(std::getenv("DROPIN_TLS")) + " password=wrong"); });
    error_of("nothing listens", [] { pqxx::connection("port=1"); });
    error_of("nonsense", [] { pqxx::connection("nonsense"); });
}

static void queries(pqxx::connection &conn)
{
    pqxx::work tx(conn);
    tx.exec("create table t (id int primary key, name text, raw bytea)");
    for (int n = 1; n <= 20; n++)
        tx.exec_params("insert into t values ($1, $2, $3)", n, "it's " + text(n), pqxx::binarystring(std::string("\0\xff'", 3)));
    conn.prepare("named", "select name, raw, null from t where id = $1");
    for (int n = 1; n <= 6; n++) {
        pqxx::row row = tx.exec_prepared1("named", n);
        say("prepared", std::string(row[0].c_str()) + " " + text(pqxx::binarystring(row[1]).size()) + " " + text(row[2].is_null()));
    }
    pqxx::result result = tx.exec("select id, name as \"A name\", 1.5::numeric(5,2) from t order by id limit 3");
    say("result", text(result.size()) + " " + text(result.columns()) + " " + text(result.affected_rows()) + " " + result.query());
    for (pqxx::row::size_type n = 0; n < result.columns(); n++)
        say("column", std::string(result.column_name(n)) + " " + text(result.column_type(n)) + " " + (n < 2 ? text(result.table_column(n)) : ""));
    say("number", text(result.column_number("\"A name\"")));
    error_of("number", [&] { result.column_number("A name"); });
    say("update", text(tx.exec("update t set name = name || 'x' where id < 5").affected_rows()));
    pqxx::icursorstream cursor(tx, "select id from t order by id", "c", 7);
    size_t rows = 0;
    for (pqxx::result part; cursor >> part;)
        rows += part.size();
    say("cursor", text(rows));
    say("encoding", tx.exec("select 'é ☃'")[0][0].c_str());
    tx.commit();
}

static void errors(pqxx::connection &conn)
{
    for (const char *query : {"select 1/0", "selec 1", "insert into t values (1)", "select * from nowhere", "select 'a'::int"})
        error_of("error", [&] { pqxx::work(conn).exec(query); });
    Notices notices(conn);
    pqxx::nontransaction tx(conn);
    tx.exec("do $$ begin raise notice 'seen'; raise warning 'too'; end $$");
    say("many", text(tx.exec("select 1; select 2")[0][0].as<int>()));
}

static void copying(pqxx::connection &conn)
{
    pqxx::work tx(conn);
    tx.exec("create table c (a int, b text)");
    pqxx::stream_to in(tx, "c");
    for (int n = 0; n < 20000; n++)
        in << std::make_tuple(n, n % 7 ? "row\t\\" + text(n) : std::string("it's"));
    in.complete();
    say("copied in", tx.exec1("select count(*) || ' ' || sum(length(b)) from c")[0].c_str());
    pqxx::stream_from out(tx, "c");
    std::tuple<int, std::string> row;
    size_t rows = 0, bytes = 0;
    while (out >> row) {
        rows++;
        bytes += std::get<1>(row).size();
    }
    say("copied out", text(rows) + " " + text(bytes));
    tx.commit();
    error_of("bad", [&] {
        pqxx::work tx(conn);
        pqxx::stream_to in(tx, "c");
        in << std::make_tuple(std::string("nonsense"), std::string("x"));
        in.complete();
    });
}

static void large_objects(pqxx::connection &conn)
{
    pqxx::work tx(conn);
    pqxx::largeobjectaccess lo(tx);
    std::string data;
    for (int n = 0; n < 10000; n++)
        data += "0123456789";
    lo.write(data);
    say("written", text(lo.tell()));
    say("position", text(lo.seek(-5, std::ios::end)));
    char buffer[100];
    auto len = lo.read(buffer, sizeof buffer);
    say("read", std::string(buffer, size_t(len)));
    lo.seek(0, std::ios::beg);
    std::string path = "/tmp/libpqxx-" + text(conn.backendpid());
    lo.to_file(path);
    std::ifstream file(path);
    say("exported", text(std::string(std::istreambuf_iterator<char>(file), {}).size()));
    pqxx::largeobject imported(tx, path);
    std::remove(path.c_str());
    pqxx::olostream(tx, imported) << "written by a stream";
    std::string word;
    pqxx::ilostream(tx, imported) >> word;
    say("stream", word);
    imported.remove(tx);
    error_of("removed", [&] {
        try {
            pqxx::largeobjectaccess(tx, imported.id());
        } catch (const std::exception &error) {
            std::string said = error.what();
            throw std::runtime_error(said.substr(0, said.find("object ")));
        }
    });
}

static void others(pqxx::connection &conn)
{
    {
        pqxx::work tx(conn);
        pqxx::pipeline pipeline(tx);
        std::vector<pqxx::pipeline::query_id> ids;
        for (int n = 0; n < 50; n++)
            ids.push_back(pipeline.insert("select " + text(n)));
        int sum = 0;
        for (auto id : ids)
            sum += pipeline.retrieve(id)[0][0].as<int>();
        say("pipeline", text(sum));
    }
    Receiver receiver(conn, "a");
    pqxx::connection other("");
    pqxx::nontransaction(other).exec("notify a, 'payload ☃'");
    while (!receiver.seen)
        conn.await_notification(60, 0);
    for (const char *value : {"it's", "back\\slash", "é ☃", "quo\"te", ""})
        say("escaped", conn.esc(value) + " " + conn.quote(std::string(value)) + " " + conn.quote_name(value));
    const unsigned char bytes[] = {0, 1, '\'', '\\', 255};
    say("bytea", conn.esc_raw(bytes, sizeof bytes) + " " + conn.quote_raw(bytes, sizeof bytes));
    conn.set_client_encoding("LATIN1");
    say("latin1", text(pqxx::nontransaction(conn).exec1("select 'caf\xe9'")[0].size()));
    int pid = conn.backendpid();
    pqxx::nontransaction(other).exec("select pg_terminate_backend(" + text(pid) + ", 60000)");
    error_of("killed", [&] { pqxx::nontransaction(conn).exec("select 1"); });
}

int main()
{
    connecting();
    pqxx::connection conn;
    queries(conn);
    errors(conn);
    copying(conn);
    large_objects(conn);
    others(conn);
}
