# frozen_string_literal: true

module PgPoll
  # What a statement has given: its rows, all of them in Ruby's own memory, and what it did.
  class Result
    include Enumerable

    # columns: names. types: the OIDs of their types. rows: arrays of decoded values.
    # tag: what the command did, "INSERT 0 1". affected: how many rows that were.
    attr_reader :columns, :types, :rows
    attr_accessor :tag, :affected

    # Takes what is at the address, which is freed by whoever has it. room: what Result.room has made.
    def self.at(address, decoders, room)
      count = Native.conn_result_columns(address)
      columns = Array.new(count) { |column| Native.string(Native.conn_result_name(address, column)).freeze }
      types = Array.new(count) { |column| Native.conn_result_type(address, column) }
      new(columns, types, rows_at(address, types.map { |type| decoders[type] }, room))
    end

    # As many columns as a result can have, and as many cells as cross the border in one call.
    MOST = 1664
    # Cells are copied in pieces of so many, so that one that does not lie with the others costs little.
    AT_ONCE = 256
    # What the protocol puts before each cell, its length, and before the cells of a row: a DataRow's head.
    LENGTH = 4
    HEAD = 7

    # Memory for the addresses and the lengths of cells.
    def self.room
      Native.memory(2 * MOST * 8)
    end

    def self.rows_at(address, decoders, room)
      rows = []
      width = decoders.size
      total = Native.conn_result_rows(address)
      return Array.new(total) { [] } if width.zero?

      most = [AT_ONCE / width, 1].max
      while rows.size < total
        count = Native.conn_result_cells(address, rows.size, most, room.to_i, room.to_i + MOST * 8)
        starts = room[0, count * width * 8].unpack("J*")
        sizes = room[MOST * 8, count * width * 8].unpack("J*")
        add_rows(rows, starts, sizes, decoders)
      end
      rows
    end

    # Cells lie one behind the other, as the server has sent them, but where a batch is put together.
    def self.add_rows(rows, starts, sizes, decoders)
      base, span = together(starts, sizes, decoders.size)
      bytes = Native.bytes(base, span).force_encoding(Encoding::UTF_8) if span
      at = 0
      while at < starts.size
        rows << decoders.map do |decoder|
          start = starts[at]
          size = sizes[at]
          at += 1
          next if start.zero?

          text = bytes ? bytes.byteslice(start - base, size) : Native.bytes(start, size).force_encoding(Encoding::UTF_8)
          decoder ? decoder.call(text) : text
        end
      end
    end

    # Where the cells begin, and how much memory they take with what is between them, if that is just what the protocol puts there.
    def self.together(starts, sizes, width)
      first = starts.index { |start| !start.zero? } or return
      last = starts.rindex { |start| !start.zero? }
      span = starts[last] + sizes[last] - starts[first]
      between = LENGTH * (last - first) + HEAD * (last / width - first / width)
      [starts[first], span] if span == sizes.sum + between && span.positive?
    end
    private_class_method :rows_at, :add_rows, :together

    def initialize(columns, types, rows)
      @columns = columns
      @types = types
      @rows = rows
      @affected = 0
    end

    # Each row as a Hash by the columns' names, of which the last counts where there are two of the same.
    def each
      return enum_for(:each) { size } unless block_given?

      @rows.each { |row| yield @columns.zip(row).to_h }
      self
    end

    # One row as a Hash.
    def [](index)
      row = @rows[index]
      @columns.zip(row).to_h if row
    end

    def size
      @rows.size
    end
    alias length size

    def empty?
      @rows.empty?
    end

    # The values of one column, by its name or number.
    def column(which)
      index = which.is_a?(Integer) ? which : @columns.index(which.to_s)
      raise UsageError, "there is no column #{which.inspect}: there are #{@columns.join(', ')}" unless index && index < @columns.size

      @rows.map { |row| row[index] }
    end

    # The first cell of the first row; nil where there is none.
    def value
      @rows.dig(0, 0)
    end

    def inspect
      "#<PgPoll::Result #{@tag || 'rows'}: #{@columns.join(', ')}>"
    end
  end
end
