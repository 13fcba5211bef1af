# frozen_string_literal: true

module PgPoll
  # A connection to a PostgreSQL server.
  #
  # Fibers and threads may share it: an operation has it for itself, and so has a transaction block; who comes meanwhile waits. A fiber
  # that is stopped in the middle of an operation (by an exception, Timeout, Fiber#raise) leaves it as good as before.
  class Connection
    # How the server's text of a type is read: OIDs to what takes a String (Types::DECODERS). A copy, yours to change.
    attr_reader :decoders
    # Seconds that an operation may take that does not say otherwise; nil: as long as it likes.
    attr_accessor :timeout

    # See PgPoll.connect.
    def initialize(conninfo = "", timeout: nil, **options)
      options = options.merge(client_encoding: "UTF8")
      keywords = ["dbname", *options.keys.map(&:to_s)]
      @driver = Driver.new(keywords, [conninfo.to_s, *options.values.map(&:to_s)])
      @decoders = Types::DECODERS.dup
      @timeout = timeout
      @lock = Mutex.new
      @statements = 0
      @depth = 0
      connected = exclusively { @driver.item(Native::IDLE).nil? }
    ensure
      @driver&.close unless connected
    end

    # Runs statements. With parameters ($1, $2, …) it is one statement; without it may be several, and the last one's Result is returned.
    #
    # timeout: seconds that it may take; then PgPoll::TimeoutError is raised, and the server stops it.
    def query(sql, *parameters, timeout: @timeout)
      exclusively { finish([start_query(sql, parameters, timeout)]).first }
    end

    # Prepares a statement, to be executed often.
    def prepare(sql, timeout: @timeout)
      exclusively do
        name = "pgpoll_#{@statements += 1}"
        finish([start(timeout) { |handle| Native.conn_start_prepare(handle, name, sql, 0, 0, 0) }])
        Statement.new(self, name)
      end
    end

    # Sends what is started in the block before it waits for the first answer. Returns the Results in order. Each is an operation
    # of its own: when some fail, the first of the errors is raised after all are done.
    def pipeline(timeout: @timeout)
      exclusively do
        pipeline = Pipeline.new(self, timeout)
        begin
          yield pipeline
        rescue Exception
          pipeline.operations.each { |operation| abandon(operation) }
          raise
        end
        finish(pipeline.operations)
      end
    end

    # Yields the rows of a statement as Results of at most so many rows. What the block has not come to yet is not received: memory stays
    # bounded. Leaving the block early stops the statement.
    def stream(sql, *parameters, rows: 1000, timeout: @timeout)
      exclusively do
        Native.conn_set_batch(@driver.handle, rows, 0)
        operation = begin
          start_query(sql, parameters, timeout)
        ensure
          Native.conn_set_batch(@driver.handle, 0, 0)
        end
        finish([operation]) { |result| yield result unless result.columns.empty? }
      end
      nil
    end

    # Runs the block in a transaction, or in a savepoint where there is one already: committed at its end, rolled back by an exception.
    # PgPoll::Rollback rolls back without leaving the caller with an exception. mode: such as "isolation level serializable".
    def transaction(mode = nil)
      exclusively do
        savepoint = "pgpoll_#{@depth}"
        outermost = @depth.zero?
        @depth += 1
        failed = false
        begin
          query(outermost ? "begin #{mode}" : "savepoint #{savepoint}")
          yield self
        rescue Exception => e
          failed = true
          roll_back(outermost, savepoint)
          raise unless e.is_a?(Rollback)
        ensure
          @depth -= 1
          commit(outermost, savepoint) unless failed
        end
      end
    end

    # Copies in, by a COPY … FROM STDIN: what the block puts with <<, or what `source` gives: an IO, or pieces of data and rows (as
    # Arrays, in the text format). Returns how many rows it was. An exception in the block undoes all of it.
    def copy_in(sql, source = nil, timeout: @timeout)
      exclusively do
        operation = start(timeout) { |handle| Native.conn_start_copy(handle, sql) }
        result = finish([operation], copy: true) do |item|
          next unless item.is_a?(Driver::Item)

          raise UsageError, "not a COPY … FROM STDIN" unless item.copy == 1

          put = CopyIn.new(@driver) { |refused, early| fail_copy(operation, refused, early) }
          put.put_all(source) if source
          yield put if block_given?
          raise @driver.error unless Native.conn_copy_end(@driver.handle, nil) == 1
        end
        result.first.affected
      end
    end

    # Copies out, by a COPY … TO STDOUT: yields each row as the server has sent it, or writes all of them to an IO. Returns how many
    # rows it was.
    def copy_out(sql, to = nil, timeout: @timeout, &block)
      block ||= ->(data) { to.write(data) }
      exclusively do
        operation = start(timeout) { |handle| Native.conn_start_copy(handle, sql) }
        result = finish([operation], copy: true) do |item|
          if item.nil?
            take_copy(&block)
          elsif item.is_a?(Driver::Item) && item.copy != 2
            raise UsageError, "not a COPY … TO STDOUT"
          end
        end
        result.first.affected
      end
    end

    # Listens to a channel.
    def listen(channel)
      query("listen #{PgPoll.identifier(channel)}")
    end

    def unlisten(channel)
      query("unlisten #{PgPoll.identifier(channel)}")
    end

    def notify(channel, payload = "")
      query("select pg_notify($1, $2)", channel.to_s, payload.to_s)
    end

    # The next notification: waits for one, at most `timeout` seconds; nil when there was none. Others that want the connection wait as
    # long: listen on a connection of its own.
    def wait_for_notification(timeout: nil)
      exclusively do
        until_ns = timeout && @driver.now_ns + (timeout * 1e9).to_i
        loop do
          notification = @driver.notification
          return notification if notification
          return if until_ns && @driver.now_ns >= until_ns

          # An item is the end of what was given up before.
          item = @driver.item(Native::NOTIFY, until_ns: until_ns)
          @driver.free_item(item) if item
        end
      end
    end

    # Calls the block with each notice of the server, a ServerError that is not raised; without a block they are dropped.
    def on_notice(&block)
      @driver.notices = block
    end

    # Asks the server to stop what this connection is doing, from another fiber or thread; that fails with SQLSTATE 57014.
    def cancel
      request = Native.conn_cancel_open(@driver.handle)
      raise @driver.error if request.zero?

      loop do
        bits = Native.conn_cancel_poll(request)
        return if (bits & Native::IDLE).positive?
        raise Error.at(Native.conn_cancel_error(request)) if (bits & Native::FAILED).positive?

        left = Native.conn_cancel_deadline_ms(request)
        Driver.ready(Native.conn_cancel_socket(request), bits, left.negative? ? nil : left / 1000.0)
      end
    ensure
      Native.conn_cancel_close(request) if request
    end

    # Connects anew with the same options; what was prepared and listened to is gone.
    def reset
      exclusively do
        @driver.reset
        @driver.item(Native::IDLE)
      end
      self
    end

    # Closes it, when what is under way is done. Closing twice is no error.
    def close
      exclusively { @driver.close }
    end

    def closed?
      @driver.closed?
    end

    # Whether it is up and idle: looks at what has arrived, and asks the server nothing.
    def good?
      !closed? && Native.conn_check(@driver.handle) == 1
    end

    # A parameter that the server has reported, such as "TimeZone"; nil if it has not.
    def parameter(name)
      Native.string(Native.conn_parameter(@driver.handle, name.to_s))
    end

    def backend_pid
      Native.conn_backend_pid(@driver.handle)
    end

    # 180006 is 18.6.
    def server_version
      Native.conn_server_version(@driver.handle)
    end

    # :idle, :in_transaction or :failed; nil when it is not known.
    def transaction_status
      [nil, :idle, :in_transaction, :failed][Native.conn_transaction_status(@driver.handle)]
    end

    # :nodoc:
    def exclusively
      return yield if @lock.owned?

      @lock.synchronize { yield }
    end

    # :nodoc: of a statement.
    def execute(name, parameters, timeout)
      exclusively { finish([start_prepared(name, parameters, timeout)]).first }
    end

    # :nodoc: of a statement.
    def deallocate(name)
      exclusively { finish([start(@timeout) { |handle| Native.conn_start_close_statement(handle, name, 0) }]) }
    end

    # :nodoc:
    def start_query(sql, parameters, timeout)
      start(timeout) do |handle|
        next Native.conn_start_query(handle, sql) if parameters.empty?

        with_values(parameters) do |count, types, values, lengths, formats|
          Native.conn_start_query_params(handle, sql, count, types, values, lengths, formats, 0, 0, 0)
        end
      end
    end

    # :nodoc:
    def start_prepared(name, parameters, timeout)
      start(timeout) do |handle|
        with_values(parameters) do |count, _, values, lengths, formats|
          Native.conn_start_prepared(handle, name, count, values, lengths, formats, 0, 0, 0)
        end
      end
    end

    private

    def start(timeout)
      @driver.timeout_ms = timeout ? (timeout * 1000).ceil.clamp(1, 1 << 40) : -1
      operation = yield(@driver.handle)
      while operation.zero? && @driver.full?
        @driver.make_room
        operation = yield(@driver.handle)
      end
      @driver.started(operation)
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

    def abandon(operation)
      Native.conn_abandon(@driver.handle, operation) unless closed?
    end

    # Waits for the end of operations, and returns their Results. With a block it gets each Result that has rows instead, the items
    # that say that a COPY begins, and nil when there is data of it. If anything is raised meanwhile they are given up.
    def finish(operations, copy: false)
      left = operations.dup
      rows, results, errors = {}, {}, {}
      until left.empty?
        item = @driver.item(copy ? Native::COPY : 0)
        if item.nil?
          yield nil
          next
        end
        begin
          next unless left.include?(item.operation)

          case item.kind
          when Driver::ROWS
            result = Result.at(item.result, @decoders, @driver.room)
            block_given? ? yield(result) : rows[item.operation] = result
          when Driver::COMPLETE
            result = results[item.operation] = rows.delete(item.operation) || Result.new([], [], [])
            result.tag = item.tag
            result.affected = item.rows
          when Driver::COPY_BEGINS
            raise UsageError, "a COPY is for copy_in or copy_out" unless copy

            yield item
          when Driver::ERROR
            errors[item.operation] = Error.at(item.error)
          when Driver::DONE
            left.delete(item.operation)
            errors[item.operation] ||= undone if item.outcome != 1
          end
        ensure
          @driver.free_item(item)
        end
      end
      raise errors.min_by(&:first).last unless errors.empty?

      operations.map { |operation| results[operation] || Result.new([], [], []) }
    ensure
      left&.each { |operation| abandon(operation) }
      drain_copy if copy && left&.any?
    end

    def undone
      error = @driver.error
      error.is_a?(UsageError) ? ConnectionError.new("the operation was not done") : error
    end

    # Beside a COPY nothing can be started, also when it is given up: its end is waited for.
    def drain_copy
      while !closed? && (item = @driver.item(Native::IDLE | Native::FAILED))
        @driver.free_item(item)
      end
    end

    # A COPY takes no more data: the server has said why.
    def fail_copy(operation, refused, item)
      while item || (item = @driver.item)
        begin
          raise Error.at(item.error) if item.operation == operation && item.kind == Driver::ERROR
          raise refused if item.operation == operation && item.kind == Driver::DONE
        ensure
          @driver.free_item(item)
        end
        item = nil
      end
    end

    def take_copy
      messages = Native.memory(64 * 16)
      until (count = Native.conn_copy_get(@driver.handle, messages.to_i, 64)).zero?
        pieces = messages[0, count * 16].unpack("J*").each_slice(2).map { |start, length| Native.bytes(start, length) }
        pieces.each { |piece| yield piece.force_encoding(Encoding::UTF_8) }
      end
    end

    def commit(outermost, savepoint)
      return query("release #{savepoint}") unless outermost
      return if query("commit").tag == "COMMIT"

      raise UsageError, "the transaction has failed before, and was rolled back: let its errors leave the block"
    end

    def roll_back(outermost, savepoint)
      return if closed? || transaction_status.nil?

      # It may be the time that was too short.
      patience = @timeout && [@timeout, 5].max
      query(outermost ? "rollback" : "rollback to #{savepoint}; release #{savepoint}", timeout: patience)
    rescue Error
      # What has led here is what the caller wants to know.
    end
  end

  # A prepared statement.
  class Statement
    attr_reader :name

    def initialize(connection, name)
      @connection = connection
      @name = name
    end

    # Executes it; a Result.
    def query(*parameters, timeout: @connection.timeout)
      @connection.execute(@name, parameters, timeout)
    end

    # Forgets it on the server.
    def close
      @connection.deallocate(@name)
      nil
    end
  end

  # What is started in the block of Connection#pipeline.
  class Pipeline
    # :nodoc:
    attr_reader :operations

    def initialize(connection, timeout)
      @connection = connection
      @timeout = timeout
      @operations = []
    end

    # Starts a statement.
    def query(sql, *parameters)
      @operations << @connection.start_query(sql, parameters, @timeout)
      self
    end

    # Starts a prepared statement.
    def execute(statement, *parameters)
      @operations << @connection.start_prepared(statement.name, parameters, @timeout)
      self
    end
  end
end
