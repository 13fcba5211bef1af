# frozen_string_literal: true

module PgPoll
  # What went wrong. Its message is the server's primary one, or the library's.
  class Error < StandardError
    # sqlstate: five characters (manual, "PostgreSQL Error Codes"), or nil. severity, detail, hint: the server's words, or nil.
    # position: where in the statement, in characters from 1, or nil.
    attr_reader :sqlstate, :severity, :detail, :hint, :position

    # Fields of the server's words that say what it was about (manual, "Error and Notice Message Fields").
    FIELDS = { context: "W", schema: "s", table: "t", column: "c", datatype: "d", constraint: "n", internal_query: "q",
               file: "F", line: "L", routine: "R" }.freeze

    FIELDS.each_key { |name| define_method(name) { @fields[name] } }

    # What the library says at an address, which is freed if it is ours.
    def self.at(address, ours: false)
      return ConnectionError.new("the connection was lost") if address.zero?

      kind = Native.conn_error_kind(address)
      sqlstate = Native.string(Native.conn_error_sqlstate(address))
      family = if kind == 1 then ServerError
               elsif kind == 2 then sqlstate == "57014" ? TimeoutError : ConnectionError
               else UsageError
               end
      error = family.new(Native.string(Native.conn_error_message(address)))
      error.read(address)
    ensure
      Native.conn_error_free(address) if ours && !address.zero?
    end

    def initialize(message = nil)
      super
      @fields = {}
    end

    # Whether the same work can be tried again without doing it twice.
    def safe_to_retry?
      @safe_to_retry == true
    end

    # :nodoc:
    def read(address)
      @sqlstate, @severity, @detail, @hint = %i[sqlstate severity detail hint].map do |name|
        Native.string(Native.public_send("conn_error_#{name}", address))
      end
      position = Native.conn_error_position(address)
      @position = position unless position.zero?
      @safe_to_retry = Native.conn_error_safe_to_retry(address) == 1
      @fields = FIELDS.transform_values { |code| Native.string(Native.conn_error_field(address, code.ord)) }.compact
      self
    end
  end

  # The server said no.
  class ServerError < Error; end

  # The connection could not be made, or broke.
  class ConnectionError < Error; end

  # An operation was not done in its time. The server was asked to stop it, and the connection is good unless the next call says otherwise.
  class TimeoutError < Error; end

  # What was asked cannot be done; the message says what to do instead.
  class UsageError < Error; end

  # Raised in the block of Connection#transaction it rolls back, and goes no further.
  class Rollback < StandardError; end

  # For rescue: `rescue PgPoll.sqlstate("23505")` takes what has this SQLSTATE; two characters stand for a whole class.
  def self.sqlstate(*codes)
    Module.new do
      define_singleton_method(:===) { |error| error.is_a?(Error) && codes.any? { |code| error.sqlstate.to_s.start_with?(code) } }
    end
  end
end
