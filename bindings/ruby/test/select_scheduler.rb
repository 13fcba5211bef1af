# frozen_string_literal: true

require "io/wait"

# A fiber scheduler in the style of the one of Ruby's own tests: IO.select, timers, and what mutexes need.
class SelectScheduler
  # waits: how often a fiber waited for a descriptor. errors: what fibers have died of.
  attr_reader :waits, :errors

  def initialize
    @readable = {}
    @writable = {}
    @timers = {}
    @ready = []
    @blocked = {} # which also keeps them from being collected
    @lock = Thread::Mutex.new
    @waker = IO.pipe
    @waits = 0
    @errors = []
  end

  def run
    until @readable.empty? && @writable.empty? && @timers.empty? && @ready.empty? && @blocked.empty?
      ready = @lock.synchronize { @ready.slice!(0..) }
      ready.each { |fiber| fiber.resume if fiber.alive? }
      turn
    end
  ensure
    @waker.each(&:close)
  end
  alias close run

  def fiber(&block)
    fiber = Fiber.new(blocking: false) do
      block.call
    rescue StandardError, Minitest::Assertion => e
      @errors << e
    end
    fiber.resume
    fiber
  end

  def io_wait(io, events, timeout)
    fiber = Fiber.current
    @waits += 1
    @readable[fiber] = io if (events & IO::READABLE).positive?
    @writable[fiber] = io if (events & IO::WRITABLE).positive?
    @timers[fiber] = now + timeout if timeout
    Fiber.yield
  ensure
    forget(fiber)
  end

  def kernel_sleep(duration = nil)
    block(:sleep, duration)
    true
  end

  def block(_blocker, timeout = nil)
    fiber = Fiber.current
    timeout ? @timers[fiber] = now + timeout : @blocked[fiber] = true
    Fiber.yield
  ensure
    timeout ? @timers.delete(fiber) : @blocked.delete(fiber)
  end

  def unblock(_blocker, fiber)
    @lock.synchronize { @ready << fiber }
    @waker.last.write_nonblock(".", exception: false)
  end

  private

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def forget(fiber)
    [@readable, @writable, @timers].each { |waiting| waiting.delete(fiber) }
  end

  def turn
    first = @timers.values.min
    limit = @ready.empty? ? first && [first - now, 0].max : 0
    return if first.nil? && limit.nil? && @readable.empty? && @writable.empty? && @blocked.empty?

    readable, writable = IO.select([@waker.first, *@readable.values], @writable.values, [], limit)
    @waker.first.read_nonblock(100, exception: false) if readable&.include?(@waker.first)
    events = Hash.new(0)
    @readable.each { |fiber, io| events[fiber] |= IO::READABLE if readable&.include?(io) }
    @writable.each { |fiber, io| events[fiber] |= IO::WRITABLE if writable&.include?(io) }
    late = @timers.select { |_, at| at <= now }.keys
    events.each { |fiber, what| fiber.resume(what) if fiber.alive? }
    late.each { |fiber| fiber.resume(false) if fiber.alive? && !events.key?(fiber) && @timers.key?(fiber) }
  end
end
