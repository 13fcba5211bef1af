# frozen_string_literal: true

module PgPoll
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
      add { @connection.start_query(sql, parameters, @timeout) }
    end

    # Starts a prepared statement.
    def execute(statement, *parameters)
      add { @connection.start_prepared(statement.name, parameters, @timeout) }
    end

    private

    def add
      raise UsageError, "the block of this pipeline is over" if @operations.frozen?

      @operations << yield
      self
    end
  end
end
