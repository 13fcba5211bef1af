# frozen_string_literal: true

require_relative "helper"

# Fibers under a scheduler: what one of them waits for does not hold up the others.
class FibersTest < Minitest::Test
  include Helper

  # Each waits for all the others: one after the other they would wait for ever.
  def test_connections_wait_beside_each_other
    @db.query("drop table if exists present; create table present (n int)")
    met = []
    scheduler = scheduled do
      10.times do |n|
        Fiber.schedule do
          PgPoll.connect(timeout: 60) do |db|
            db.query("insert into present values ($1)", n)
            nil until db.query("select count(*) from present").value == 10
            met << n
          end
        end
      end
    end
    assert_equal (0..9).to_a, met.sort
    assert_operator scheduler.waits, :>, 20
  ensure
    @db.query("drop table present")
  end

  # A fiber that waits for the server asks its scheduler as often as there is something to wait for.
  def test_waiting_is_no_work
    scheduler = scheduled { @db.query("select pg_sleep(0.3)") }
    assert_includes 1..5, scheduler.waits
  end

  def test_one_connection_is_shared_in_turns
    seen = []
    scheduled do
      5.times do |n|
        Fiber.schedule do
          @db.transaction do
            seen << n
            @db.query("select pg_sleep(0.01)")
            seen << n
          end
        end
        Fiber.schedule { assert_equal n, @db.query("select $1::int from pg_sleep(0.01)", n).value }
      end
    end
    assert_equal 10, seen.size
    seen.each_slice(2) { |first, second| assert_equal first, second }
  end

  def test_a_listener_hears_another_fiber
    heard = []
    scheduled do
      Fiber.schedule do
        PgPoll.connect do |listener|
          listener.listen("fibers")
          @db.notify("fibers", "ready")
          2.times { heard << listener.wait_for_notification(timeout: 60).payload }
        end
      end
      Fiber.schedule do
        sleep(0.01) until heard.any?
        @db.notify("fibers", "and done")
      end
    end
    assert_equal ["ready", "and done"], heard
  end

  def test_a_fiber_cancels_what_another_waits_for
    error = nil
    scheduled do
      Fiber.schedule { error = assert_raises(PgPoll::ServerError) { @db.query("select pg_sleep(600)") } }
      Fiber.schedule do
        until_busy(@db)
        @db.cancel
      end
    end
    assert_equal ["57014", 1], [error.sqlstate, @db.query("select 1").value]
  end

  def test_a_fiber_that_is_stopped_leaves_the_connection_good
    scheduled do
      sleeping = Fiber.schedule { assert_raises(IndexError) { @db.query("select pg_sleep(600)") } }
      until_busy(@db)
      sleeping.raise(IndexError)
      assert_equal 2, @db.query("select 2").value
    end
  end

  def test_timeouts_streams_and_copies
    scheduled do
      Fiber.schedule { assert_raises(PgPoll::TimeoutError) { @db.query("select pg_sleep(600)", timeout: 0.1) } }
      Fiber.schedule do
        PgPoll.connect do |db|
          sum = 0
          db.stream("select n from generate_series(1, 20000) as n") { |result| sum += result.column(0).sum }
          assert_equal 200_010_000, sum
          db.query("create temp table t (n int)")
          assert_equal 20_000, db.copy_in("copy t from stdin", (1..20_000).lazy.map { |n| "#{n}\n" })
          assert_equal 20_000, db.copy_out("copy t to stdout") { |_| nil }
        end
      end
    end
    assert_equal 1, @db.query("select 1").value
  end

  # What arrives meanwhile is for the one that waits for it, who would else wait up to the end of its time.
  def test_looking_at_a_connection_takes_nothing_from_who_waits
    now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
    began = now.call
    scheduled do
      Fiber.schedule { assert_equal 1, @db.query("select 1 from pg_sleep(0.05)", timeout: 20).value }
      until_busy(@db)
      refute @db.good? while now.call < began + 0.3
    end
    assert_operator now.call, :<, began + 10
    assert @db.good?
  end

  # Names are resolved beside it, too.
  def test_a_name_is_resolved_without_waiting
    port = @db.query("show port").value
    other = 0
    scheduled do
      Fiber.schedule { PgPoll.connect("host=localhost port=#{port}") { |db| other += db.query("select 1").value } }
      Fiber.schedule { other += 1 }
    end
    assert_equal 2, other
  end
end
