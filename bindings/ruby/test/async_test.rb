# frozen_string_literal: true

require_relative "helper"
require "async"

# The reactor of the async gem: its tasks, its timeouts, its way of stopping.
class AsyncTest < Minitest::Test
  include Helper

  def active?(connection)
    PgPoll.connect do |other|
      other.query("select state from pg_stat_activity where pid = $1", connection.backend_pid).value == "active"
    end
  end

  # Runs the block as a task; what it raises is raised here.
  def reactor(&block)
    Async(&block).wait
  end

  # Each waits for all the others: one after the other they would wait for ever.
  def test_connections_wait_beside_each_other
    @db.query("drop table if exists gathered; create table gathered (n int)")
    met = reactor do |task|
      tasks = Array.new(10) do |n|
        task.async do
          PgPoll.connect(timeout: 60) do |db|
            db.query("insert into gathered values ($1)", n)
            nil until db.query("select count(*) from gathered").value == 10
            n
          end
        end
      end
      tasks.map(&:wait)
    end
    assert_equal (0..9).to_a, met
  ensure
    @db.query("drop table gathered")
  end

  def test_a_task_whose_time_is_over_has_its_statement_stopped
    reactor do |task|
      assert_raises(Async::TimeoutError) { task.with_timeout(0.1) { @db.query("select pg_sleep(600)") } }
      refute active?(@db)
      # With a longer one of ours beside it.
      assert_raises(Async::TimeoutError) { task.with_timeout(0.1) { @db.query("select pg_sleep(600)", timeout: 60) } }
      assert_raises(PgPoll::TimeoutError) { task.with_timeout(60) { @db.query("select pg_sleep(600)", timeout: 0.1) } }
      assert_equal 1, task.with_timeout(60) { @db.query("select 1").value }
      # Only the wait for the connection is given up here.
      busy = task.async { @db.query("select 'done' from pg_sleep(0.5)").value }
      assert_raises(Async::TimeoutError) { task.with_timeout(0.1) { @db.query("select 1") } }
      assert_equal "done", busy.wait
    end
  end

  def test_a_task_that_is_stopped_leaves_the_connection_good
    @db.query("create temp table stopped (n int)")
    reactor do |task|
      [
        -> { @db.query("select pg_sleep(600)") },
        -> { @db.transaction { @db.query("insert into stopped values (1)") && @db.query("select pg_sleep(600)") } },
        -> { @db.transaction { @db.query("insert into stopped values (2)") && task.sleep(600) } },
        -> { @db.pipeline { |line| line.query("select 1").query("select pg_sleep(600)") } },
        -> { @db.stream("select pg_sleep(1), generate_series(1, 600)", rows: 1) { flunk } },
        -> { @db.copy_out("copy (select pg_sleep(600)) to stdout") { flunk } },
        -> { @db.copy_in("copy stopped from stdin") { |copy| copy << [4] && task.sleep(600) } },
        -> { @db.wait_for_notification }
      ].product([1, 2]).each do |work, times|
        child = task.async { work.call }
        task.sleep(0.05)
        # The second time in the middle of putting right what the first one has left.
        times.times { child.stop }
        assert_equal 0, @db.query("select count(*) from stopped").value
        assert_equal :idle, @db.transaction_status
      end
    end
  end

  def test_what_is_stopped_is_so_in_the_server_too_though_nothing_follows
    reactor do |task|
      child = task.async { @db.query("select pg_sleep(600)") }
      until_busy(@db)
      child.stop
      task.sleep(0.01) while active?(@db)
    end
  end

  def test_a_listener_hears_other_tasks
    heard = []
    reactor do |task|
      listener = task.async do
        PgPoll.connect do |db|
          db.listen("tasks")
          @db.notify("tasks", "0")
          heard << db.wait_for_notification(timeout: 60).payload.to_i until heard.size == 100
        end
      end
      task.sleep(0.01) while heard.empty?
      3.times { |n| task.async { 33.times { |m| @db.notify("tasks", (33 * n + m + 1).to_s) } } }
      listener.wait
    end
    assert_equal (0..99).to_a, heard.sort
  end

  def test_copies_beside_each_other
    @db.query("create table copied (n int)")
    counts = reactor do |task|
      tasks = Array.new(4) do |n|
        task.async do
          PgPoll.connect do |db|
            rows = (1..20_000).lazy.map { |row| "#{n * 20_000 + row}\n" }
            [db.copy_in("copy copied from stdin", rows), db.copy_out("copy (select generate_series(1, 20000)) to stdout") { |_| nil }]
          end
        end
      end
      tasks.map(&:wait)
    end
    assert_equal [[20_000, 20_000]] * 4, counts
    assert_equal [80_000, 80_000], @db.query("select count(distinct n), max(n) from copied").rows.first
  ensure
    @db.query("drop table copied")
  end

  # A pool is a Queue.
  def test_tasks_take_turns_with_pooled_connections
    pool = Thread::Queue.new
    pids = reactor do |task|
      3.times { pool << PgPoll.connect }
      tasks = Array.new(30) do
        task.async do
          db = pool.pop
          db.query("select pg_backend_pid() from pg_sleep(0.01)").value
        ensure
          pool << db if db
        end
      end
      tasks.last.stop
      tasks[0..-2].map(&:wait)
    end
    assert_equal [3, 29, 3], [pids.uniq.size, pids.size, pool.size]
  ensure
    pool.pop.close until pool.empty?
  end

  # The new descriptor has the number of the old one.
  def test_a_lost_connection_is_had_again
    reactor do
      3.times do
        assert_raises(PgPoll::ServerError) { @db.query("select pg_terminate_backend(pg_backend_pid())") }
        assert_equal 1000, @db.reset.query("select generate_series(1, 1000) from pg_sleep(0.01)").size
      end
    end
  end

  def test_a_task_cancels_what_another_waits_for
    reactor do |task|
      sleeping = task.async { assert_raises(PgPoll::ServerError) { @db.query("select pg_sleep(600)") }.sqlstate }
      until_busy(@db)
      @db.cancel
      assert_equal "57014", sleeping.wait
    end
  end

  # What one of them waits for holds up nobody.
  def test_the_reactor_turns_meanwhile
    turns = 0
    reactor do |task|
      clock = task.async do
        loop do
          task.sleep(0.01)
          turns += 1
        end
      end
      @db.query("select pg_sleep(0.3)")
      @db.transaction { @db.query("select pg_sleep(0.3)") }
      clock.stop
    end
    assert_operator turns, :>, 10
  end
end
