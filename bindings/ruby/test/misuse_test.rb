# frozen_string_literal: true

require "minitest/mock"
require "timeout"
require_relative "helper"

# What should not be done with a connection, and what comes at the wrong moment.
class MisuseTest < Minitest::Test
  include Helper

  def test_two_copies_in_one_call
    @db.query("create temp table twice (a int)")
    error = assert_raises(PgPoll::UsageError) { @db.copy_in("copy twice from stdin; copy twice from stdin", [[1]]) }
    assert_match(/a second COPY/, error.message)
    assert_raises(PgPoll::UsageError) { @db.copy_out("copy (select 1) to stdout; copy (select 2) to stdout", StringIO.new) }
    assert_equal 0, @db.query("select count(*) from twice").value
  end

  def assert_good
    assert_equal [:idle, 1, true], [@db.transaction_status, @db.query("select 1").value, @db.good?]
  end

  def refused
    assert_match(/in the middle/, assert_raises(PgPoll::UsageError) { @db.query("select 2") }.message)
    assert_raises(PgPoll::UsageError) { @db.transaction { nil } }
    assert_raises(PgPoll::UsageError) { @db.reset }
    nil
  end

  # What the outer one still has to get would be taken for the inner one's, or dropped.
  def test_one_thing_at_a_time
    sizes = []
    @db.stream("select generate_series(1, 5000)") { |result| refused || sizes << result.size }
    assert_equal [1000] * 5, sizes
    assert_equal [1, 2], @db.pipeline { |line| refused || line.query("select 1").query("select 2") }.map(&:value)
    @db.query("create temp table nested (n int)")
    assert_equal 2, @db.copy_in("copy nested from stdin") { |copy| refused || copy << [1] << [2] }
    assert_equal 2, @db.copy_out("copy nested to stdout") { refused }
    @db.on_notice { refused }
    assert_equal 7, @db.query("do $$ begin raise notice 'x'; end $$; select 7").value
    @db.decoders[25] = ->(text) { refused || text.tap { assert_raises(PgPoll::UsageError) { @db.close } } }
    assert_equal %w[1 2], @db.query("select n::text from nested order by 1").column(0)
    assert_good
  end

  def test_what_is_left_early_is_given_up
    [1].each { @db.pipeline { |line| break line.query("select pg_sleep(600)") } }
    assert_good
    kept = nil
    @db.pipeline { |line| kept = line }
    assert_raises(PgPoll::UsageError) { kept.query("select 1") }
    @db.on_notice { raise IndexError }
    assert_raises(IndexError) { @db.query("do $$ begin raise notice 'x'; perform pg_sleep(600); end $$") }
    @db.on_notice
    assert_good
  end

  def test_after_close
    result = @db.query("select 'kept' as a")
    statement = @db.prepare("select 1")
    other = PgPoll.connect
    other.close
    [
      -> { other.query("select 1") }, -> { other.prepare("select 1") }, -> { other.pipeline { flunk } }, -> { other.stream("select 1") { flunk } },
      -> { other.transaction { flunk } }, -> { other.copy_in("copy a from stdin", "") }, -> { other.wait_for_notification }, -> { other.reset },
      -> { other.cancel }, -> { other.parameter("TimeZone") }, -> { other.lo_create }, -> { other.state }
    ].each { |call| assert_match(/closed/, assert_raises(PgPoll::UsageError) { call.call }.message) }
    refute other.good?
    assert_match(/closed/, other.inspect)
    # In the middle of something.
    assert_raises(PgPoll::UsageError) { @db.stream("select generate_series(1, 5000)") { @db.close } }
    assert_raises(PgPoll::UsageError) { statement.close }
    assert_equal "kept", result.first["a"]
  end

  # Whoever is raised something by another thread has the connection as good as before, and each answer is for its question.
  def test_interrupted_anywhere
    interrupted = answers = 0
    work = lambda do
      number = rand(1 << 40)
      assert_equal number, @db.query("select $1::int8", number).value
      assert_equal [number, 2], @db.pipeline { |line| line.query("select $1::int8", number).query("select 2") }.map(&:value)
      assert_equal 3000, @db.query("select generate_series(1, 3000)").size
      assert_equal :idle, @db.transaction_status
      answers += 1
      @db.transaction { @db.transaction { @db.query("select pg_sleep(0.002)") } }
    end
    worker = Thread.handle_interrupt(IndexError => :never) do
      Thread.new do
        Thread.current.report_on_exception = false
        loop do
          Thread.handle_interrupt(IndexError => :immediate) { work.call }
        rescue IndexError
          interrupted += 1
        end
      end
    end
    ends = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
    while (interrupted < 60 || answers < 60) && worker.alive? && Process.clock_gettime(Process::CLOCK_MONOTONIC) < ends
      # Often twice, so that what the first one has begun to put right is interrupted, too.
      sleep([0.001, rand * 0.02].sample)
      worker.raise(IndexError)
    end
    worker.kill
    assert_nil worker.join.value
    assert_operator [interrupted, answers].min, :>=, 60
    assert_good
  end

  # Memory of the library, of which Ruby knows nothing.
  def test_nothing_is_left_behind
    held = seen = 0
    new, free = PgPoll::Driver::Item.method(:new), PgPoll::Driver.method(:free)
    counted = lambda do |item, sign|
      held += sign * [item.result, item.error].count(&:positive?)
      seen += 1
      item
    end
    PgPoll::Driver::Item.stub(:new, ->(*fields) { counted.call(new.call(*fields), 1) }) do
      PgPoll::Driver.stub(:free, ->(item) { free.call(counted.call(item, -1)) }) do
        @db.decoders[20] = ->(_) { raise IndexError }
        assert_raises(IndexError) { @db.query("select 1::int8") }
        assert_raises(IndexError) { @db.stream("select generate_series(1, 5000)") { raise IndexError } }
        assert_raises(PgPoll::Error) { @db.query("select 1; select 1 / 0") }
        assert_raises(IndexError) { @db.pipeline { |line| line.query("select 1").query("select 1::int8").query("select 1 / 0") } }
        assert_raises(Timeout::Error) { Timeout.timeout(0.1) { @db.query("select 1; select pg_sleep(600)") } }
        assert_raises(PgPoll::Error) { @db.copy_in("copy pg_class from stdin", "wrong") }
      end
    end
    assert_operator seen, :>, 20
    assert_equal 0, held
  end

  def test_connections_that_are_forgotten_are_closed
    pids = Array.new(5) { PgPoll.connect.backend_pid }
    sleep(0.01) while GC.start || pids.size - @db.query("select count(*) from pg_stat_activity where pid = any ($1)", pids).value < 4
  end

  def test_threads_take_turns
    threads = Array.new(8) do |n|
      Thread.new do
        Array.new(100) do |m|
          m.odd? ? @db.query("select $1::int", m).value : @db.transaction { @db.query("select $1::int", m).value }
        end
      end
    end
    threads.each { |thread| assert_equal (0..99).to_a, thread.value }
  end

  # The thread waits for its other fiber, which waits to be resumed: for ever.
  def test_copies_and_timeouts_that_are_none
    assert_match(/cannot be copied/, assert_raises(PgPoll::UsageError) { @db.dup }.message)
    assert_raises(PgPoll::UsageError) { @db.clone }
    ["5", Float::NAN].each { |wrong| assert_raises(PgPoll::UsageError) { @db.query("select 1", timeout: wrong) } }
    [nil, 0.5r, 60, Float::INFINITY].each { |timeout| assert_equal 1, @db.query("select 1", timeout: timeout).value }
    [nil, 5].each { |sql| assert_match(/a String/, assert_raises(PgPoll::UsageError) { @db.query(sql) }.message) }
    assert_good
  end

  def test_a_fiber_that_nobody_resumes_is_not_waited_for
    asked = Enumerator.new { |out| out << @db.query("select 1").value }
    @db.transaction { assert_match(/another fiber/, assert_raises(PgPoll::UsageError) { asked.next }.message) }
    assert_good
    stream = Enumerator.new { |out| @db.stream("select generate_series(1, 2000)") { |result| out << result.size } }
    assert_equal 1000, stream.next
    assert_raises(PgPoll::UsageError) { @db.query("select 1") }
    assert_equal 1000, stream.next
    assert_raises(StopIteration) { stream.next }
    assert_good
  end

  def test_a_forked_child_leaves_its_parents_connection_alone
    @db.query("create temp table ours (n int)")
    pid = fork do
      anew = @db.reset.query("select 2").value
      @db.close
      GC.start
      exit!([anew, PgPoll.connect { |db| db.query("select 3").value }] == [2, 3])
    end
    assert Process.wait2(pid).last.success?
    pid = fork do
      @db = nil
      GC.start
      exit(true) # with its finalizers
    end
    Process.wait(pid)
    assert_equal 0, @db.query("select count(*) from ours").value
  end
end
