# frozen_string_literal: true

module PgPoll
  # A large object that was opened, up to the end of the transaction: it reads and writes as an IO does, at a position of its own.
  class LargeObject
    # How it is opened: what is only read is so as it was when the transaction's snapshot was taken.
    MODES = { "r" => 0x40000, "w" => 0x20000, "r+" => 0x60000 }.freeze
    # How much is read at once of one that is read to its end.
    PIECE = 1 << 20

    attr_reader :oid

    def initialize(connection, oid, descriptor)
      @connection = connection
      @oid = oid
      @descriptor = descriptor
    end

    # At most so many bytes, nil at the end; without a length all that is left.
    def read(length = nil, buffer = nil)
      bytes = length ? piece(length) : rest
      bytes = nil if bytes.empty? && length&.positive?
      buffer ? (bytes && buffer.replace(bytes)) : bytes
    end

    # Returns how many bytes it were.
    def write(data)
      call { |handle| Native.conn_start_lo_write(handle, @descriptor, data, data.bytesize) }
    end

    # Moves the position; returns it.
    def seek(offset, whence = IO::SEEK_SET)
      call { |handle| Native.conn_start_lo_seek(handle, @descriptor, offset, whence) }
    end

    def tell
      call { |handle| Native.conn_start_lo_tell(handle, @descriptor) }
    end

    # Cuts it off, or fills it up with zeroes.
    def truncate(length)
      call { |handle| Native.conn_start_lo_truncate(handle, @descriptor, length) }
    end

    # The end of the transaction does so, too.
    def close
      call { |handle| Native.conn_start_lo_close(handle, @descriptor) }
      nil
    end

    private

    def call(&start)
      @connection.call_function(&start).first
    end

    def piece(length)
      @connection.call_function { |handle| Native.conn_start_lo_read(handle, @descriptor, length) }.last
    end

    def rest
      all = String.new
      until (bytes = piece(PIECE)).empty?
        all << bytes
      end
      all
    end
  end

  # The calls of a connection that large objects have, by PostgreSQL's names for them.
  module LargeObjects
    # Creates an empty one; returns its OID, which is any that is free if none is given.
    def lo_create(oid = 0)
      call_function { |handle| Native.conn_start_lo_create(handle, oid) }.first
    end

    # Opens one in a transaction block: mode is "r", "w" or "r+". With a block it is closed behind it.
    def lo_open(oid, mode = "r")
      flags = LargeObject::MODES.fetch(mode) { raise ArgumentError, "a large object is opened as r, w or r+, and not as #{mode}" }
      raise UsageError, "a large object is open up to the end of its transaction: use a transaction block" if transaction_status == :idle

      object = LargeObject.new(self, oid, call_function { |handle| Native.conn_start_lo_open(handle, oid, flags) }.first)
      return object unless block_given?

      answer = yield object
      object.close
      answer
    end

    def lo_unlink(oid)
      call_function { |handle| Native.conn_start_lo_unlink(handle, oid) }
      nil
    end

    # Makes one of a file, a path or an IO, from its position on; returns its OID.
    def lo_import(file, oid = 0)
      return File.open(file, "rb") { |io| lo_import(io, oid) } unless file.respond_to?(:fileno)

      call_function { |handle| Native.conn_start_lo_import(handle, file.fileno, oid) }.first
    end

    # Writes one to a file, a path or an IO.
    def lo_export(oid, file)
      return File.open(file, "wb") { |io| lo_export(oid, io) } unless file.respond_to?(:fileno)

      file.flush
      call_function { |handle| Native.conn_start_lo_export(handle, oid, file.fileno) }
      nil
    end
  end
end
