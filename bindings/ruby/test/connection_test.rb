# frozen_string_literal: true

require "socket"
require "stringio"
require "timeout"
require_relative "helper"

# What one fiber does with a connection.
class ConnectionTest < Minitest::Test
  include Helper

  def test_errors_have_the_servers_words
    @db.query("create temp table people (name text constraint named check (name <> ''))")
    error = assert_raises(PgPoll::ServerError) { @db.query("insert into people values ($1)", "") }
    assert_equal ["23514", "ERROR", "people", "named", false], [error.sqlstate, error.severity, error.table, error.constraint, error.safe_to_retry?]
    error = assert_raises(PgPoll::ServerError) { @db.query("select 1 from nowhere") }
    assert_equal ["42P01", 15, nil, nil], [error.sqlstate, error.position, error.detail, error.constraint]
    rescued = begin
      @db.query("select 1 / 0")
    rescue PgPoll.sqlstate("23")
      :wrong
    rescue PgPoll.sqlstate("22")
      :right
    end
    assert_equal :right, rescued
  end

  def test_what_is_no_connection_says_so
    error = assert_raises(PgPoll::ConnectionError) { PgPoll.connect("host=127.0.0.1 port=1") }
    assert_match(/port 1 failed: Connection refused/, error.message)
    assert_raises(PgPoll::UsageError) { PgPoll.connect("host=localhost nonsense") }
    assert_raises(ArgumentError) { PgPoll.connect("", host: "a\0b") }
    closed = PgPoll.connect
    2.times { closed.close }
    assert closed.closed?
    assert_match(/closed/, assert_raises(PgPoll::UsageError) { closed.query("select 1") }.message)
  end

  def test_prepared_statements
    statement = @db.prepare("select $1::int * $2::int")
    assert_equal [6, 20], [statement.query(2, 3).value, statement.query(4, 5).value]
    assert_raises(PgPoll::ServerError) { statement.query("x", 1) }
    statement.close
    assert_equal "26000", assert_raises(PgPoll::ServerError) { statement.query(1, 2) }.sqlstate
    assert_equal "42601", assert_raises(PgPoll::ServerError) { @db.prepare("selct") }.sqlstate
  end

  def test_a_pipeline_is_one_round_trip_and_all_of_it_is_done
    statement = @db.prepare("select $1::int")
    results = @db.pipeline do |line|
      line.query("select 1").query("select $1", "two")
      line.execute(statement, 3)
    end
    assert_equal [1, "two", 3], results.map(&:value)
    @db.query("create temp table done (n int)")
    error = assert_raises(PgPoll::ServerError) do
      @db.pipeline { |line| line.query("select 1 / 0").query("insert into done values (1)").query("select nothing") }
    end
    assert_equal ["22012", 1], [error.sqlstate, @db.query("select count(*) from done").value]
    assert_raises(IndexError) { @db.pipeline { |line| line.query("select pg_sleep(600)") && raise(IndexError) } }
    assert_equal [], @db.pipeline { |_| nil }
    # More than is ever queued.
    long = "x" * 1_000_000
    assert_equal [1_000_000] * 40, @db.pipeline { |line| 40.times { line.query("select length($1)", long) } }.map(&:value)
    assert_equal 1, @db.query("select 1").value
  end

  def test_a_stream_is_received_as_it_is_taken
    sizes = []
    @db.stream("select n from generate_series(1, $1::int) as n", 10_000, rows: 3000) { |result| sizes << result.size }
    assert_equal [3000, 3000, 3000, 1000], sizes
    # Far more than fits, and only a little of it is received.
    @db.stream("select repeat('x', 1000), generate_series(1, 100000000)") { |result| break result.size }
    assert_raises(IndexError) { @db.stream("select generate_series(1, 100000000)") { raise IndexError } }
    assert_equal 10, @db.query("select generate_series(1, 10)").size
  end

  def test_transactions
    @db.query("create temp table kept (n int)")
    insert = ->(n) { @db.query("insert into kept values ($1)", n) }
    @db.transaction { insert.call(1) }
    assert_raises(IndexError) { @db.transaction { insert.call(2) && raise(IndexError) } }
    @db.transaction { insert.call(3) && raise(PgPoll::Rollback) }
    @db.transaction("isolation level serializable") do
      assert_equal "serializable", @db.query("show transaction_isolation").value
      insert.call(4)
      assert_raises(PgPoll::ServerError) { @db.transaction { @db.query("select 1 / 0") } }
      @db.transaction { insert.call(5) && raise(PgPoll::Rollback) }
      @db.transaction { insert.call(6) }
      assert_equal :in_transaction, @db.transaction_status
    end
    assert_equal [1, 4, 6], @db.query("select n from kept order by 1").column(0)
    assert_equal 8, @db.transaction { next 8 }
    error = assert_raises(PgPoll::UsageError) do
      @db.transaction { assert_raises(PgPoll::ServerError) { @db.query("select 1 / 0") } }
    end
    assert_match(/rolled back/, error.message)
    assert_equal :idle, @db.transaction_status
  end

  # However its block is left, other than by its end, nothing is committed: it is not known to be complete.
  def test_a_transaction_that_does_not_come_to_its_end
    @db.query("create temp table kept (n int)")
    insert = -> { @db.query("insert into kept values (1)") }
    [1].each { @db.transaction { break insert.call } }
    catch(:done) { @db.transaction { insert.call && throw(:done) } }
    assert_raises(Timeout::Error) { Timeout.timeout(0.1) { @db.transaction { insert.call && sleep } } }
    killed = Thread.new { @db.transaction { insert.call && sleep } }
    nil until @db.transaction_status == :in_transaction && killed.stop?
    killed.kill.join
    assert_equal [0, :idle], [@db.query("select count(*) from kept").value, @db.transaction_status]
    # One that SQL has ended is not said to be committed.
    assert_match(/ended before/, assert_raises(PgPoll::UsageError) { @db.transaction { @db.query("rollback") } }.message)
  end

  def test_copying_in
    @db.query("create temp table things (n int, name text)")
    count = @db.copy_in("copy things from stdin") do |copy|
      copy << [1, "tab\tnewline\nbackslash\\"] << [2, nil] << "3\tthree\n4\tf"
      copy << "our\n"
    end
    expected = [[1, "tab\tnewline\nbackslash\\"], [2, nil], [3, "three"], [4, "four"]]
    assert_equal [4, expected], [count, @db.query("select * from things order by 1").rows]
    assert_equal 2, @db.copy_in("copy things from stdin (format csv)", StringIO.new("5,five\n6,\"s,ix\"\n"))
    assert_equal 0, @db.copy_in("copy things from stdin", "")
    many = (7..60_000).lazy.map { |n| [n, "x" * 20] }
    assert_equal 59_994, @db.copy_in("copy things from stdin", many)
    assert_equal 60_000, @db.query("select count(*) from things").value
  end

  def test_copies_in_binary
    @db.query("create temp table stored (n int, data bytea)")
    out = StringIO.new
    @db.copy_out("copy (values (0, '\\x00ff'::bytea), (2, null)) to stdout (format binary)", out)
    assert_equal 2, @db.copy_in("copy stored from stdin (format binary)", out.string)
    out.rewind
    assert_equal 2, @db.copy_in("copy stored from stdin (format binary)") { |copy| IO.copy_stream(out, copy) }
    assert_equal [[0, "\0\xff".b], [2, nil]] * 2, @db.query("select * from stored").rows
    @db.copy_out("copy stored to stdout (format binary)") { |piece| assert_equal Encoding::BINARY, piece.encoding }
  end

  def test_copying_in_that_fails
    @db.query("create temp table numbers (n int)")
    error = assert_raises(PgPoll::ServerError) { @db.copy_in("copy numbers from stdin", [[1], ["two"]]) }
    assert_equal "22P02", error.sqlstate
    # While there is still more of it.
    endless = Enumerator.new { |out| loop { out << "one\n" } }
    assert_equal "22P02", assert_raises(PgPoll::ServerError) { @db.copy_in("copy numbers from stdin", endless) }.sqlstate
    assert_raises(IndexError) { @db.copy_in("copy numbers from stdin") { |copy| copy << [1] && raise(IndexError) } }
    assert_raises(PgPoll::UsageError) { @db.copy_in("copy numbers to stdout") {} }
    assert_raises(PgPoll::ServerError) { @db.copy_in("copy nowhere from stdin") {} }
    assert_match(/a COPY/, assert_raises(PgPoll::ServerError) { @db.query("copy numbers from stdin") }.message)
    assert_equal 0, @db.query("select count(*) from numbers").value
  end

  def test_copying_out
    rows = []
    count = @db.copy_out("copy (select n, 'ä' from generate_series(1, 3) as n) to stdout") { |row| rows << row }
    assert_equal [3, %W[1\tä\n 2\tä\n 3\tä\n]], [count, rows]
    file = StringIO.new
    assert_equal 100_000, @db.copy_out("copy (select generate_series(1, 100000)) to stdout", file)
    assert_equal 588_895, file.string.bytesize
    @db.copy_out("copy (select generate_series(1, 100000000)) to stdout") { break }
    assert_raises(PgPoll::UsageError) { @db.copy_out("copy pg_class from stdin") {} }
    assert_raises(PgPoll::ServerError) { @db.copy_out("copy (select 1 / (3 - n) from generate_series(1, 5) as n) to stdout") {} }
    assert_equal 1, @db.query("select 1").value
  end

  def test_notifications
    PgPoll.connect do |other|
      @db.listen("a channel")
      assert_nil @db.wait_for_notification(timeout: 0)
      other.notify("a channel", "one")
      other.notify("a channel")
      other.notify("another", "unheard")
      heard = Array.new(2) { @db.wait_for_notification }
      assert_equal [["a channel", "one", other.backend_pid], ["a channel", "", other.backend_pid]], heard.map(&:to_a)
      # Those that arrive beside results are kept, however many they are.
      other.query("select pg_notify('a channel', repeat('x', 7000) || n) from generate_series(1, 400) as n")
      2.times { assert_equal 1000, @db.query("select generate_series(1, 1000)").size }
      assert_equal((1..400).to_a, Array.new(400) { @db.wait_for_notification.payload.delete("x").to_i })
      @db.unlisten("a channel")
      other.notify("a channel", "late")
      assert_nil @db.wait_for_notification(timeout: 0.05)
    end
  end

  def test_notices
    seen = []
    @db.on_notice { |notice| seen << [notice.severity, notice.message] }
    @db.query("do $$ begin raise notice 'careful'; raise warning 'more careful'; end $$")
    assert_equal [["NOTICE", "careful"], ["WARNING", "more careful"]], seen
  end

  def test_timeouts_leave_the_connection_good
    error = assert_raises(PgPoll::TimeoutError) { @db.query("select pg_sleep(600)", timeout: 0.1) }
    assert_equal "57014", error.sqlstate
    assert_equal 1, @db.query("select 1").value
    impatient = PgPoll.connect(timeout: 0.1)
    assert_raises(PgPoll::TimeoutError) { impatient.transaction { impatient.query("select pg_sleep(600)") } }
    assert_equal [:idle, 1], [impatient.transaction_status, impatient.query("select 1", timeout: nil).value]
    # Ruby's own, which raises in the middle of it.
    assert_raises(Timeout::Error) { Timeout.timeout(0.1) { @db.query("select pg_sleep(600)") } }
    assert_equal 2, @db.query("select 2").value
    impatient.close
  end

  def test_cancelling_from_another_thread
    sleeping = Thread.new { assert_raises(PgPoll::ServerError) { @db.query("select pg_sleep(600)") } }
    until_busy(@db)
    @db.cancel
    assert_equal "57014", sleeping.value.sqlstate
    assert_equal 1, @db.query("select 1").value
  end

  def test_a_lost_connection_can_be_had_again
    error = assert_raises(PgPoll::ServerError) { @db.query("select pg_terminate_backend(pg_backend_pid())") }
    assert_equal "57P01", error.sqlstate
    assert_raises(PgPoll::Error) { @db.query("select 1") }
    refute @db.good?
    @db.reset
    assert @db.good?
    assert_equal 1, @db.query("select 1").value
  end

  def test_facts
    assert_operator @db.server_version, :>=, 140_000
    assert_equal "UTF8", @db.parameter(:client_encoding)
    assert_nil @db.parameter("nonsense")
    assert_equal @db.backend_pid, @db.query("select pg_backend_pid()").value
    assert_equal %("a ""b"), PgPoll.identifier('a "b')
    assert_equal [@db.backend_pid, "ready"], @db.state.values_at("backend_pid", "phase")
    assert_match(/\A#<PgPoll::Connection ready, .*, idle>\z/, @db.inspect)
  end

  def test_a_forked_child_is_refused_and_the_parent_goes_on
    pid = fork do
      refused = begin
        @db.query("select 1") && false
      rescue PgPoll::Error
        true
      end
      exit!(refused)
    end
    assert Process.wait2(pid).last.success?
    assert_equal 1, @db.query("select 1").value
  end

  # A server that plays its part of RFC 7628: PostgreSQL checks no token without a validator of its owner's.
  def test_an_oauth_token
    tokens = []
    TCPServer.open("127.0.0.1", 0) do |server|
      thread = Thread.new do
        2.times do
          peer = server.accept
          peer.read(peer.read(4).unpack1("N") - 4)
          peer.write("#{["R", 21, 10].pack("aNN")}OAUTHBEARER\0\0")
          tokens << peer.read(peer.read(5).unpack1("xN") - 4)[/auth=([^\x01]*)/n, 1]
          peer.write(["R", 8, 0, "Z", 5, "I"].pack("aNNaNa"))
          peer.read(5)
          peer.close
        end
      end
      options = { host: "127.0.0.1", port: server.addr[1], sslmode: "disable", gssencmode: "disable", oauth_client_id: "test",
                  oauth_issuer: "https://issuer.test/.well-known/openid-configuration" }
      PgPoll.connect(**options, oauth_token: "a.b") { |db| assert db.good? }
      PgPoll.connect(**options, oauth_token: -> { "c.d" }) { |db| assert db.good? }
      thread.join
      assert_equal ["Bearer a.b", "Bearer c.d"], tokens
      assert_match(/bearer token/, assert_raises(PgPoll::UsageError) { PgPoll.connect(**options, oauth_token: "no token") }.message)
    end
  end
end
