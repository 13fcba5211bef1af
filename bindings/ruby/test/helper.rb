# frozen_string_literal: true

# What the tests share. The server is what PGHOST and so on lead to.
require "minitest/autorun"
require "pgpoll"
require_relative "select_scheduler"

module Helper
  def setup
    @db = PgPoll.connect
  end

  def teardown
    @db.close
  end

  # Runs the block as a fiber under a scheduler; returns the scheduler when all fibers are done.
  def scheduled(&block)
    scheduler = SelectScheduler.new
    Thread.new do
      Thread.current.report_on_exception = false
      Fiber.set_scheduler(scheduler)
      Fiber.schedule(&block)
      nil # What a thread returns is lost to Ruby 3.1's garbage collection while its scheduler runs, and marked later.
    end.join
    scheduler.errors.each { |error| raise error }
    scheduler
  end

  # Waits until the backend of a connection works on a statement.
  def until_busy(connection)
    pid = connection.backend_pid
    PgPoll.connect do |other|
      nil until other.query("select state = 'active' from pg_stat_activity where pid = $1 and query like '%pg_sleep%'", pid).value
    end
  end
end
