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
    alias write <<

    # :nodoc: whatever there is to put: an IO, or pieces and rows.
    def put_all(source)
      if source.respond_to?(:read)
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
        @failed.call(refused) unless @driver.full?
        item = @driver.item(Native::ROOM)
        @failed.call(refused, item) if item
      end
    end

    def row(values)
      cells = values.map.with_index(1) do |value, number|
        encoded = value.is_a?(Binary) ? "\\x#{value.bytes.unpack1('H*')}" : Types.encode(value, number)
        encoded.nil? ? "\\N" : encoded.gsub(/[\\\t\n\r]/, ESCAPES)
      end
      "#{cells.join("\t")}\n"
    end
  end
end
