# frozen_string_literal: true

require "io/wait"

module PgPoll
  # Drives one connection: polls it, waits for what the poll names, and takes what there is. Waiting is IO#wait, so that under a
  # fiber scheduler other fibers run meanwhile. Knows items, no statements.
  class Driver
    # One finished thing; result and error are addresses that free_item frees.
    Item = Struct.new(:operation, :kind, :outcome, :transaction, :verdict, :rows, :copy, :format, :value, :result, :error, :tag)

    ROWS = 1
    COMPLETE = 2
    ERROR = 5
    SKIPPED = 6
    DONE = 8
    COPY_BEGINS = 9
    CALLED = 10

    # How many items are taken at once.
    AT_ONCE = 8
    # What is raised by another thread, such as Timeout's, may come between any two calls; but not while something changes hands.
    UNINTERRUPTED = { Object => :never }.freeze

    # When the object is collected, a handle that is still open is closed, and what was taken from it freed.
    def self.closer(handle, items)
      pid = Process.pid
      # A forked child leaves what is its parent's.
      proc do
        if pid == Process.pid
          items.each { |item| free(item) }
          Native.conn_close(handle)
        end
      end
    end

    def self.free(item)
      Native.conn_result_free(item.result) unless item.result.zero?
      Native.conn_error_free(item.error) unless item.error.zero?
    end

    # notices: called with each notice of the server.
    attr_accessor :notices
    # Memory for cells.
    attr_reader :room

    def initialize(keywords, values)
      @items = []
      lists = [list(keywords), list(values)]
      Thread.handle_interrupt(UNINTERRUPTED) do
        @handle = Native.conn_open_params(lists[0].first.to_i, lists[1].first.to_i, 1)
        raise NoMemoryError, "no memory for a connection" if @handle.zero?

        ObjectSpace.define_finalizer(self, self.class.closer(@handle, @items))
      end
      @state = Native.memory(Native::STATE_SIZE)
      @taken = Native.memory(AT_ONCE * Native::ITEM_SIZE)
      @room = Result.room
      @timeout_ms = -1
      @mail = []
      @io = nil
      @generation = nil
    end

    # The bearer token for a server that wants one.
    def give_token(token)
      raise error unless Native.conn_give_token(handle, token.respond_to?(:call) ? token.call : token) == 1
    end

    # Whether executions ask for their columns.
    def pooled=(pooled)
      Native.conn_set_describing(handle, pooled ? 1 : 0)
    end

    # The connection's address.
    def handle
      @handle or raise UsageError, "the connection is closed"
    end

    def closed?
      @handle.nil?
    end

    def close
      return unless @handle

      ObjectSpace.undefine_finalizer(self)
      forget_items
      handle, @handle, @io = @handle, nil, nil
      Native.conn_close(handle)
    end

    # Begins to connect anew.
    def reset
      forget_items
      Native.conn_reset(handle)
    end

    # Why the last call was refused, or the connection is over.
    def error
      Error.at(Native.conn_error(handle))
    end

    # Whether the last call was refused only because too much is queued.
    def full?
      address = Native.conn_error(handle)
      !address.zero? && Native.conn_error_kind(address) == 4
    end

    # Drives the connection until there is room for more; what is finished meanwhile is kept.
    def make_room
      until ((said = poll) & (Native::ROOM | Native::FAILED)).positive?
        next if (said & Native::RESULT).positive? && take

        wait(said, nil)
      end
    end

    # Checks what a starter has returned.
    def started(operation)
      operation.zero? ? raise(error) : operation
    end

    # The next item, which stays the next one until it is freed; nil when a poll says one of `bits` before. until_ns: when to give up, which is nil too.
    def item(bits = 0, until_ns: nil)
      loop do
        return @items.first unless @items.empty?

        said = poll
        next if (said & Native::RESULT).positive? && take
        return if (said & bits).positive?
        raise error if (said & Native::FAILED).positive?
        raise UsageError, "nothing is under way" if (said & Native::IDLE).positive? && bits.zero?
        return if until_ns && now_ns >= until_ns

        wait(said, until_ns)
      end
    end

    # How long the operations that are started next may take.
    def timeout_ms=(timeout_ms)
      Native.conn_set_timeout_ms(handle, timeout_ms) if timeout_ms != @timeout_ms
      @timeout_ms = timeout_ms
    end

    # Frees the next item and what it holds.
    def free_item
      item = @items.first
      return @items.shift unless item&.result&.positive? || item&.error&.positive?

      Thread.handle_interrupt(UNINTERRUPTED) { self.class.free(@items.shift) }
    end

    # A notification that has been received; nil when there is none.
    def notification
      @mail.shift
    end

    def now_ns
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end

    # Waits until a descriptor that is not ours to close is ready for what the bits say.
    def self.ready(descriptor, bits, seconds, io = nil)
      events = 0
      events |= IO::READABLE if (bits & Native::WANT_READ).positive?
      events |= IO::WRITABLE if (bits & Native::WANT_WRITE).positive?
      return sleep(*seconds) if descriptor.negative? || events.zero?

      began = now
      return if (io || IO.for_fd(descriptor, autoclose: false)).wait(events, seconds)

      # Version 1 of async takes the end of a task's time for the end of ours, and forgets about it. A clock may be a little off.
      early = seconds.nil? || now < began + seconds - 0.001
      raise ::Async::TimeoutError, "execution expired" if early && defined?(::Async::TimeoutError)
    end

    def self.now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    private

    def forget_items
      free_item until @items.empty?
    end

    def poll
      bits = Native.conn_poll_state(handle, @state.to_i)
      take_notices if (bits & Native::NOTICE).positive?
      take_notifications if (bits & Native::NOTIFY).positive?
      bits
    end

    # Takes some of the items that are there; whether there were any.
    def take
      Thread.handle_interrupt(UNINTERRUPTED) do
        count = Native.conn_get_results(handle, @taken.to_i, AT_ONCE)
        fields = @taken[0, count * Native::ITEM_SIZE].unpack(Native::ITEM * count)
        fields.each_slice(Item.members.size) { |item| @items << Item.new(*item) }
        count.positive?
      end
    end

    def wait(bits, until_ns)
      return sleep(0) if (bits & Native::RUNNABLE).positive?

      _, descriptor, generation, deadline = @state[0, Native::STATE_SIZE].unpack(Native::STATE)
      if generation != @generation
        @io = descriptor.negative? ? nil : IO.for_fd(descriptor, autoclose: false)
        @generation = generation
      end
      deadline = [deadline, until_ns || deadline].min
      seconds = deadline == Native::NO_DEADLINE ? nil : [deadline - now_ns, 0].max / 1e9
      self.class.ready(descriptor, bits, seconds, @io)
    end

    def take_notices
      until (address = Native.conn_get_notice(handle)).zero?
        notice = Error.at(address, ours: true)
        @notices&.call(notice)
      end
    end

    # They are taken out at once: many that are left there would hold up everything else.
    def take_notifications
      until (address = Native.conn_get_notification(handle)).zero?
        texts = [Native.conn_notification_channel(address), Native.conn_notification_payload(address)]
        @mail << Notification.new(*texts.map { |text| Native.string(text) }, Native.conn_notification_pid(address))
        Native.conn_notification_free(address)
      end
    end

    # Addresses of strings, ended by NULL, with the memory that they are in.
    def list(strings)
      texts = strings.map do |string|
        raise ArgumentError, "an option has a NUL in it" if string.b.include?("\0")

        memory = Native.memory(string.bytesize + 1)
        memory[0, string.bytesize] = string
        memory
      end
      memory = Native.memory((texts.size + 1) * 8)
      memory[0, texts.size * 8] = texts.map(&:to_i).pack("J*")
      [memory, *texts]
    end
  end

  # A NOTIFY of some session.
  Notification = Struct.new(:channel, :payload, :pid)
end
