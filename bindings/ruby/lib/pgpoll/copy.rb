# frozen_string_literal: true

module PgPoll
  # Where the data of a COPY FROM STDIN goes.
  class CopyIn
    ESCAPES = { "\\" => "\\\\", "\t" => "\\t", "\n" => "\\n", "\r" => "\\r" }.freeze
    PIECE = 64 * 1024

    def initialize(driver, &failed)
      @driver = driver
      @failed = failed
    end

    # Puts a piece of the data as it is, or a row as an Array, in the text format.
    def <<(data)
      data = row(data) if data.is_a?(Array)
      put(data)
      self
    end

    # The same for IO.copy_stream: returns how many bytes it were.
    def write(data)
      put(data)
      data.bytesize
    end

    # :nodoc: whatever there is to put: a String, an IO, or pieces and rows.
    def put_all(source)
      if source.is_a?(String)
        put(source)
      elsif source.respond_to?(:read)
        while (piece = source.read(PIECE))
          put(piece)
        end
      else
        source.each { |data| self << data }
      end
    end

    private

    def put(data)
      until Native.conn_copy_put(@driver.handle, data, data.bytesize) == 1
        refused = @driver.error
        # Anything else is said better by the server.
        @failed.call(refused) if !@driver.full? || @driver.item(Native::ROOM)
      end
    end

    def row(values)
      cells = values.map.with_index(1) do |value, number|
        Types.part(value, number)&.gsub(/[\\\t\n\r]/, ESCAPES) || "\\N"
      end
      "#{cells.join("\t")}\n"
    end
  end

  # The COPY of a connection, both ways.
  module Copying
    # Copies in, by a COPY … FROM STDIN: what the block puts with <<, or what `source` gives: an IO, or pieces of data and rows (as
    # Arrays, in the text format). Returns how many rows it was. An exception in the block undoes all of it.
    def copy_in(sql, source = nil, timeout: @timeout)
      copy(sql, timeout, 1, "FROM STDIN") do |operation|
        put = CopyIn.new(@driver) { |refused| fail_copy(operation, refused) }
        put.put_all(source) if source
        yield put if block_given?
        raise @driver.error unless Native.conn_copy_end(@driver.handle, nil) == 1
      end
    end

    # Copies out, by a COPY … TO STDOUT: yields each row as the server has sent it, or writes all of them to an IO. Returns how many
    # rows it was.
    def copy_out(sql, to = nil, timeout: @timeout, &block)
      block ||= to.method(:write)
      copy(sql, timeout, 2, "TO STDOUT") { |_, encoding| take_copy(encoding, &block) if encoding }
    end

    private

    # Starts a COPY; returns how many rows it was. The block gets the operation when the COPY begins, and as often as there is data of it
    # the encoding of that, too.
    def copy(sql, timeout, way, words)
      sql = Types.utf8(sql)
      operate do
        operation = start(timeout) { |handle| Native.conn_start_copy(handle, sql) }
        encoding = nil
        result = finish([operation], copy: true) do |item|
          next yield(operation, encoding) if item.nil?
          next unless item.is_a?(Driver::Item)
          raise UsageError, "not a COPY … #{words}" unless item.copy == way
          raise UsageError, "a second COPY in one call: copy one by one" if encoding

          encoding = item.format.zero? ? Encoding::UTF_8 : Encoding::BINARY
          yield operation
        end
        result.first.affected
      end
    end

    # A COPY takes no more data: the server has said why.
    def fail_copy(operation, refused)
      while (item = @driver.item)
        given = take(item)
        raise given if item.operation == operation && item.kind == Driver::ERROR
        raise refused if item.operation == operation && item.kind == Driver::DONE
      end
    end

    def take_copy(encoding)
      messages = Native.memory(64 * 16)
      until (count = Native.conn_copy_get(@driver.handle, messages.to_i, 64)).zero?
        pieces = messages[0, count * 16].unpack("J*").each_slice(2).map { |start, length| Native.bytes(start, length) }
        pieces.each { |piece| yield piece.force_encoding(encoding) }
      end
    end
  end
end
