# frozen_string_literal: true

require "strscan"

module PgPoll
  # A range as Ruby's own cannot say it: without its begin, or without anything in it. bounds: "(]", "()" and so on, as the third argument of
  # numrange has it, or "empty". As a parameter it may have any bounds.
  Range = Struct.new(:lower, :upper, :bounds) do
    def empty?
      bounds == "empty"
    end
  end

  # Ranges as a parameter of a multirange type: an Array of them is an array.
  Multirange = Struct.new(:ranges)

  # PostgreSQL's text of what is made of other values: arrays, ranges, multiranges, rows. Knows brackets and quotes, no types: those are in
  # what is passed as `decode`, or as the block.
  module Literals
    # It may be megabytes: what has matched is not kept to be tried again.
    QUOTED = /"((?:[^"\\]++|\\.|"")*+)"/m.freeze

    module_function

    # An array, its dimensions as arrays in arrays. Lower bounds are left out.
    def array(text, decode)
      scanner = StringScanner.new(text)
      scanner.skip(/(?:\[-?\d+:-?\d+\])+=/)
      elements(scanner, decode)
    end

    # A Ruby Range where that can say it, else a PgPoll::Range.
    def range(text, decode)
      range_at(StringScanner.new(text), decode)
    end

    def multirange(text, decode)
      scanner = StringScanner.new(text)
      list(scanner) { range_at(scanner, decode) }
    end

    # The fields of a row, each through its own one of `decoders`.
    def row(text, decoders)
      scanner = StringScanner.new(text)
      scanner.skip(/\(/)
      decoders.map do |decode|
        field = word(scanner, /[^,)]+/)
        scanner.skip(/,/)
        decode.call(field) if field
      end
    end

    def array_text(values)
      "{#{values.map { |value| value.is_a?(Array) ? array_text(value) { |inner| yield inner } : quote(yield(value), 'NULL') }.join(',')}}"
    end

    def range_text(range, &text)
      return "empty" if range.is_a?(Range) && range.empty?

      lower, upper, bounds = range.is_a?(Range) ? range.to_a : [range.begin, range.end, range.exclude_end? ? "[)" : "[]"]
      "#{bounds[0]}#{quote(text.call(lower), '')},#{quote(text.call(upper), '')}#{bounds[1]}"
    end

    def row_text(values)
      "(#{values.map { |value| quote(yield(value), '') }.join(',')})"
    end

    def quote(text, null)
      text.nil? ? null : %("#{text.gsub(/["\\]/, '\\\\\0')}")
    end

    def elements(scanner, decode)
      list(scanner) do
        next elements(scanner, decode) if scanner.check(/\{/)

        bare = !scanner.check(/"/)
        element = word(scanner, /[^,{}]+/) or raise malformed(scanner)
        decode.call(element) unless bare && element == "NULL"
      end
    end

    def list(scanner)
      list = []
      scanner.skip(/\{/)
      until scanner.skip(/\}/)
        raise malformed(scanner) if scanner.eos?

        list << yield
        scanner.skip(/,/)
      end
      list
    end

    def range_at(scanner, decode)
      return Range.new(nil, nil, "empty") if scanner.skip(/empty/)

      bounds = scanner.scan(/[\[(]/) or raise malformed(scanner)
      lower, upper = Array.new(2) do
        bound = word(scanner, /[^,)\]]+/)
        scanner.skip(/,/)
        decode.call(bound) if bound
      end
      bounds += scanner.getch.to_s
      return Range.new(lower, upper, bounds) if bounds.start_with?("(") && !lower.nil?

      ::Range.new(lower, upper, bounds.end_with?(")") && !upper.nil?)
    rescue ArgumentError # Ruby orders no Time and infinity.
      Range.new(lower, upper, bounds)
    end

    # What is in quotes, or what matches; nil when neither is there.
    def word(scanner, bare)
      return scanner.scan(bare) unless scanner.scan(QUOTED)

      scanner[1].gsub(/["\\](.)/m, '\1')
    end

    def malformed(scanner)
      ArgumentError.new("PostgreSQL does not write such: #{scanner.string.inspect}")
    end
  end
end
