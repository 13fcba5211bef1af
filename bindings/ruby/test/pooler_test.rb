# frozen_string_literal: true

require "socket"
require "tmpdir"
require_relative "helper"
require "async"

# Behind PgBouncer in transaction mode: each transaction has some connection of the server's, which others had before.
class PoolerTest < Minitest::Test
  include Helper

  PGBOUNCER = [*ENV["PATH"].split(":"), "/usr/sbin"].map { |folder| File.join(folder, "pgbouncer") }.find { |path| File.executable?(path) }
  SIZE = 3

  # Yields the port of a PgBouncer before the server of the tests.
  def pooled
    port = TCPServer.open("127.0.0.1", 0) { |probe| probe.addr[1] }
    Dir.mktmpdir do |folder|
      File.write("#{folder}/users", %("postgres" ""\n))
      File.write("#{folder}/ini", <<~INI)
        [databases]
        postgres = host=#{ENV.fetch('PGHOST')} port=#{ENV.fetch('PGPORT')} user=postgres
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = #{port}
        unix_socket_dir =
        auth_type = any
        auth_file = #{folder}/users
        pool_mode = transaction
        default_pool_size = #{SIZE}
      INI
      File.chmod(0o755, folder)
      as = Process.uid.zero? ? %w[setpriv --reuid=postgres --regid=postgres --clear-groups] : []
      bouncer = Process.spawn(*as, PGBOUNCER, "#{folder}/ini", err: File::NULL)
      begin
        yield "host=127.0.0.1 port=#{port} user=postgres dbname=postgres sslmode=disable" if listens(port)
      ensure
        Process.kill("TERM", bouncer)
        Process.wait(bouncer)
      end
    end
  end

  def listens(port, tries = 200)
    TCPSocket.open("127.0.0.1", port).close.nil?
  rescue Errno::ECONNREFUSED
    sleep(0.05)
    (tries -= 1).positive? ? retry : raise
  end

  def test_many_tasks_share_some_connections
    skip "pgbouncer is missing" unless PGBOUNCER
    @db.query("drop table if exists pooled; create table pooled (task int, n int)")
    pooled do |conninfo|
      pids = Async do |task|
        tasks = Array.new(20) { |number| task.async { PgPoll.connect(conninfo) { |db| work(db, number, task) } } }
        tasks.flat_map(&:wait)
      end.wait
      assert_includes 1..SIZE, pids.uniq.size
    end
    assert_equal [[20, 20 * 52]], @db.query("select count(distinct task), count(*) from pooled").rows
  ensure
    @db.query("drop table pooled")
  end

  # A server that prepares a statement only now refuses none whose columns have changed before that. Here no command tag tells of it.
  def test_columns_of_another_server
    [[true, %w[b 1]], [false, ["a", "1"]]].each do |pooled, expected|
      PgPoll.connect(pooled: pooled) do |db|
        statement = db.prepare("select 1 as a")
        assert_equal [["a"], [[1]]], [statement.query.columns, statement.query.rows]
        db.query("do $$ begin execute 'deallocate pgpoll_1'; execute 'prepare pgpoll_1 as select ''1''::text as b'; end $$")
        result = statement.query
        assert_equal expected, [result.columns.first, result.value.to_s]
        assert_equal pooled ? String : Integer, result.value.class
      end
    end
  end

  # Some of everything; returns whose backends it had.
  def work(db, number, task)
    db.copy_in("copy pooled from stdin", (1..50).map { |n| [number, n] })
    pids = Array.new(5) do |n|
      db.transaction do
        db.query("insert into pooled values ($1, $2)", number, n) if n < 2
        assert_equal (1..5).to_a, db.pipeline { |line| (1..5).each { |m| line.query("select $1::int", m) } }.map(&:value)
        db.query("select pg_backend_pid()").value
      end
    end
    assert_raises(Async::TimeoutError) do
      task.with_timeout(0.1) { db.transaction { db.query("insert into pooled values ($1, 0)", number) && db.query("select pg_sleep(600)") } }
    end
    assert_equal number, db.query("select $1::int", number).value
    pids
  end
end
