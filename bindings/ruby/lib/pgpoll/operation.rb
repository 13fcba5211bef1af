# frozen_string_literal: true

module PgPoll
  # How a connection does one thing at a time: what is started, waited for, and given up when it is left in the middle. Knows operations and
  # their items; what they are for is said in Connection.
  module Operation
    # :nodoc:
    def exclusively
      return yield if @lock.owned?
      # Nobody would resume it.
      raise UsageError, "another fiber of this thread is using the connection" if @thread == Thread.current && !Fiber.current_scheduler

      @lock.synchronize do
        @thread = Thread.current
        yield
      ensure
        @thread = nil
      end
    end

    # :nodoc: of a pipeline.
    def start_query(sql, parameters, timeout)
      sql = Types.utf8(sql)
      start(timeout) do |handle|
        next Native.conn_start_query(handle, sql) if parameters.empty?

        with_values(parameters) do |count, types, values, lengths, formats|
          Native.conn_start_query_params(handle, sql, count, types, values, lengths, formats, 0, 0, 0)
        end
      end
    end

    # :nodoc: of a pipeline.
    def start_prepared(name, parameters, timeout)
      start(timeout) do |handle|
        with_values(parameters) do |count, _, values, lengths, formats|
          Native.conn_start_prepared(handle, name, count, values, lengths, formats, 0, 0, 0)
        end
      end
    end

    # :nodoc: of large objects. The block starts the call of a function; returns the number that it has returned, and the bytes.
    def call_function(timeout: @timeout, &block)
      operate do
        returned = nil
        finish([start(timeout, &block)]) { |*it| returned = it }
        returned
      end
    end

    private

    # The connection is the block's until what it has started is done. If the block is left in another way, that is given up. What could not be
    # brought to its end then, because that was interrupted too, comes first.
    def operate
      exclusively do
        refuse_nesting
        settle unless @settled
        begin
          @operating = true
          @settled = false
          roll_back_transaction if @rollback_due && @depth.zero?
          answer = yield
          @settled = true
          answer
        ensure
          @operating = false
          give_up unless @settled || closed?
        end
      end
    end

    # One that has not come to its end.
    def roll_back_transaction
      finish([start_query("rollback", [], patience)]) unless [nil, :idle].include?(transaction_status)
      @rollback_due = false
    end

    # How long a rollback may take: it may be the time that was too short.
    def patience
      @timeout && [@timeout, 5].max
    end

    def refuse_nesting
      raise UsageError, "the connection is in the middle of what this block is for: use another one, or wait for its end" if @operating
    end

    # The server is asked to stop what is under way, and what it still sends is dropped.
    def give_up
      Native.conn_abandon(@driver.handle, 0)
      settle
    end

    def settle
      @driver.free_item while @driver.item(Native::IDLE | Native::FAILED)
      @settled = true
    end

    def start(timeout)
      @driver.timeout_ms = milliseconds(timeout)
      operation = yield(@driver.handle)
      while operation.zero? && @driver.full?
        @driver.make_room
        operation = yield(@driver.handle)
      end
      @driver.started(operation)
    end

    def milliseconds(timeout)
      return -1 if timeout.nil? || timeout == Float::INFINITY
      raise UsageError, "a timeout is a number of seconds, not #{timeout.inspect}" unless timeout.is_a?(Numeric) && !(timeout.is_a?(Float) && timeout.nan?)

      (timeout * 1000).ceil.clamp(1, 1 << 40)
    end

    # Addresses of arrays that are laid out as C wants them, for the length of the block: addresses of values, then types, lengths
    # and formats, then the values.
    def with_values(parameters)
      binary = []
      texts = parameters.map.with_index(1) do |value, number|
        encoded = Types.encode(value, number)
        binary << encoded.is_a?(Binary)
        binary.last ? encoded.bytes : encoded
      end
      count = texts.size
      lengths = texts.map { |text| text ? text.bytesize : 0 }
      memory = Native.memory(20 * count + lengths.sum + count)
      base = memory.to_i
      at = base + 20 * count
      starts = texts.map.with_index do |text, index|
        start = text && at
        at += lengths[index] + 1
        start || 0
      end
      is_binary = binary.any?
      types = is_binary ? binary.map { |is| is ? 17 : 0 } : Array.new(count, 0)
      formats = is_binary ? binary.map { |is| is ? 1 : 0 } : types
      data = (starts + types + lengths + formats).pack("J#{count}l*")
      texts.each { |text| data << text.to_s.b << "\0" }
      memory[0, data.bytesize] = data
      yield count, base + 8 * count, base, base + 12 * count, base + 16 * count
    ensure
      # It is needed up to here.
      memory&.size
    end

    # Waits for the end of operations, and returns their Results. With a block it gets each Result that has rows instead, the items
    # that say that a COPY begins, nil when there is data of it, and what a function has returned.
    def finish(operations, copy: false)
      left = operations.to_h { |operation| [operation, true] }
      rows, results, errors = {}, {}, {}
      until left.empty?
        item = @driver.item(copy ? Native::COPY : 0)
        next yield(nil) if item.nil?

        given = take(item)
        next unless left.key?(operation = item.operation)

        case item.kind
        when Driver::ROWS
          block_given? ? yield(given) : rows[operation] = given
        when Driver::COMPLETE
          result = results[operation] = rows.delete(operation) || Result.new([], [], [])
          result.tag = item.tag
          result.affected = item.rows
        when Driver::COPY_BEGINS
          raise UsageError, "a COPY is for copy_in or copy_out" unless copy

          yield item
        when Driver::CALLED
          yield item.value, given
        when Driver::ERROR
          errors[operation] = given
        when Driver::DONE
          left.delete(operation)
          errors[operation] ||= undone if item.outcome != 1
        end
      end
      raise errors.min_by(&:first).last unless errors.empty?

      operations.map { |operation| results[operation] || Result.new([], [], []) }
    end

    # What an item holds, as Ruby's own; the item is freed. A decoder that would close the connection meanwhile is refused.
    def take(item)
      @reading = true
      case item.kind
      when Driver::ROWS then Result.at(item.result, @decoders, @driver.room)
      when Driver::ERROR then Error.at(item.error)
      when Driver::CALLED then Native.bytes(Native.conn_result_value(item.result, 0, 0), Native.conn_result_length(item.result, 0, 0))
      end
    ensure
      @reading = false
      @driver.free_item
    end

    def undone
      error = @driver.error
      error.is_a?(UsageError) ? ConnectionError.new("the operation was not done") : error
    end
  end
end
