# frozen_string_literal: true

module PgPoll
  # A connection to a PostgreSQL server.
  #
  # Fibers and threads may share it: an operation has it for itself, and so has a transaction block; who comes meanwhile waits. A fiber
  # that is stopped in the middle of an operation (by an exception, Timeout, Fiber#raise) leaves it as good as before.
  class Connection
    include Operation
    include Copying
    include LargeObjects
    include Registry

    # How the server's text of a type is read: OIDs to what takes a String (Types::DECODERS). A copy, yours to change.
    attr_reader :decoders
    # Seconds that an operation may take that does not say otherwise; nil: as long as it likes.
    attr_accessor :timeout

    # Two objects of one connection would not know of each other.
    def initialize_copy(_other)
      raise UsageError, "a connection cannot be copied: open another one"
    end

    # See PgPoll.connect.
    def initialize(conninfo = "", timeout: nil, oauth_token: nil, pooled: nil, **options)
      options = options.merge(client_encoding: "UTF8")
      keywords = ["dbname", *options.keys.map(&:to_s)]
      @driver = Driver.new(keywords, [conninfo.to_s, *options.values.map(&:to_s)])
      @driver.give_token(oauth_token) if oauth_token
      @driver.pooled = pooled unless pooled.nil?
      @decoders = Types::DECODERS.dup
      @timeout = timeout
      @lock = Mutex.new
      @thread = nil
      @statements = 0
      @depth = 0
      @operating = @reading = false
      @settled = true
      @rollback_due = false
      connected = exclusively { @driver.item(Native::IDLE).nil? }
    ensure
      @driver&.close unless connected
    end

    # Runs statements. With parameters ($1, $2, …) it is one statement; without it may be several, and the last one's Result is returned.
    #
    # timeout: seconds that it may take; then PgPoll::TimeoutError is raised, and the server stops it.
    def query(sql, *parameters, timeout: @timeout)
      operate { finish([start_query(sql, parameters, timeout)]).first }
    end

    # Prepares a statement, to be executed often.
    def prepare(sql, timeout: @timeout)
      sql = Types.utf8(sql)
      operate do
        name = "pgpoll_#{@statements += 1}"
        finish([start(timeout) { |handle| Native.conn_start_prepare(handle, name, sql, 0, 0, 0) }])
        Statement.new(self, name)
      end
    end

    # Sends what is started in the block before it waits for the first answer. Returns the Results in order. Each is an operation
    # of its own: when some fail, the first of the errors is raised after all are done.
    def pipeline(timeout: @timeout)
      operate do
        pipeline = Pipeline.new(self, timeout)
        yield pipeline
        finish(pipeline.operations.freeze)
      ensure
        pipeline&.operations&.freeze
      end
    end

    # Yields the rows of a statement as Results of at most so many rows. What the block has not come to yet is not received: memory stays
    # bounded. Leaving the block early stops the statement.
    def stream(sql, *parameters, rows: 1000, timeout: @timeout)
      operate do
        Native.conn_set_batch(@driver.handle, rows, 0)
        operation = begin
          start_query(sql, parameters, timeout)
        ensure
          Native.conn_set_batch(@driver.handle, 0, 0)
        end
        finish([operation]) { |result| yield result unless result.empty? }
      end
      nil
    end

    # Runs the block in a transaction, or in a savepoint where there is one already: committed when it comes to its end, else rolled back,
    # by an exception as by break, return, throw (which may be that of a Timeout) and the end of the thread. PgPoll::Rollback rolls back
    # without leaving the caller with an exception. mode: such as "isolation level serializable".
    def transaction(mode = nil)
      exclusively do
        savepoint = "pgpoll_#{@depth}" if @depth.positive?
        @depth += 1
        begin
          @rollback_due = true
          query(savepoint ? "savepoint #{savepoint}" : "begin #{mode}")
          answer = yield self
          commit(savepoint)
          committed = true
        rescue Rollback
          answer = nil
        ensure
          @depth -= 1
          roll_back(savepoint) unless committed
        end
        answer
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
      operate do
        until_ns = timeout && @driver.now_ns + (timeout * 1e9).to_i
        loop do
          notification = @driver.notification
          break notification if notification || (until_ns && @driver.now_ns >= until_ns)

          @driver.item(Native::NOTIFY, until_ns: until_ns)
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
        refuse_nesting
        @settled = @rollback_due = false
        @driver.reset
        settle
        raise @driver.error unless Native.conn_check(@driver.handle) == 1
      end
      self
    end

    # Closes it, when what is under way is done. Closing twice is no error.
    def close
      exclusively do
        refuse_nesting if @reading
        @driver.close
      end
    end

    def closed?
      @driver.closed?
    end

    # Whether it is up and idle: looks at what has arrived, and asks the server nothing. While somebody uses it, it is not: what has arrived
    # then is for whoever waits for it.
    def good?
      return false if closed? || !@lock.try_lock

      begin
        Native.conn_check(@driver.handle) == 1
      ensure
        @lock.unlock
      end
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

    # What it is doing and waits for, what it did last, for logs and debuggers; its keys may change.
    def state
      line = Native.conn_inspect(@driver.handle)
      JSON.parse(Native.string(line))
    ensure
      Native.conn_free_string(line) if line
    end

    def inspect
      "#<#{self.class} #{closed? ? 'closed' : state.values_at('phase', 'server', 'transaction').compact.join(', ')}>"
    end

    # :nodoc: of a statement.
    def execute(name, parameters, timeout)
      operate { finish([start_prepared(name, parameters, timeout)]).first }
    end

    # :nodoc: of a statement.
    def deallocate(name)
      operate { finish([start(@timeout) { |handle| Native.conn_start_close_statement(handle, name, 0) }]) }
    end

    private

    def commit(savepoint)
      return query("release #{savepoint}") if savepoint
      raise UsageError, "the transaction has ended before: commit and rollback are the block's" if transaction_status == :idle

      tag = query("commit").tag
      @rollback_due = false
      raise UsageError, "the transaction has failed before, and was rolled back: let its errors leave the block" if tag != "COMMIT"
    end

    # That of a whole transaction comes first in whatever is done next.
    def roll_back(savepoint)
      return if closed?

      savepoint ? query("rollback to #{savepoint}; release #{savepoint}", timeout: patience) : operate { nil }
    rescue Error
      # What has led here is what the caller wants to know.
    end
  end
end
