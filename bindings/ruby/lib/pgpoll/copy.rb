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
end
