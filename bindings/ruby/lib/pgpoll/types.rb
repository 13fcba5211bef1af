# frozen_string_literal: true

require "bigdecimal"
require "date"
require "ipaddr"
require "json"
require "time"

module PgPoll
  # Bytes as a parameter of type bytea: a String is text.
  Binary = Struct.new(:bytes)

  # PostgreSQL's values as Ruby's, and back. Knows types, no connection.
  module Types
    TIMESTAMP = /\A(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([+-]\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?\z/.freeze
    DATE = /\A(\d{4,})-(\d\d)-(\d\d)( BC)?\z/.freeze

    module_function

    def bytea(text)
      return [text.byteslice(2..)].pack("H*") if text.start_with?("\\x")

      text.b.gsub(/\\(\\|\d{3})/n) { $1 == "\\" ? "\\" : $1.oct.chr }
    end

    def float(text)
      case text
      when "NaN" then Float::NAN
      when "Infinity" then Float::INFINITY
      when "-Infinity" then -Float::INFINITY
      else text.to_f
      end
    end

    def infinite(text)
      { "infinity" => Float::INFINITY, "-infinity" => -Float::INFINITY }.fetch(text, text)
    end

    def year(digits, before_christ)
      before_christ ? 1 - digits.to_i : digits.to_i
    end

    # In the calendar of PostgreSQL, which has no Julian days. Other styles than ISO stay text.
    def date(text)
      return infinite(text) unless (m = DATE.match(text))

      Date.new(year(m[1], m[4]), m[2].to_i, m[3].to_i, Date::GREGORIAN)
    end

    # A timestamp without time zone is a Time in UTC; one with has its own offset.
    def timestamp(text)
      return infinite(text) unless (m = TIMESTAMP.match(text))

      microseconds = m[7] ? m[7].ljust(6, "0").to_i : 0
      time = Time.utc(year(m[1], m[11]), m[2], m[3], m[4], m[5], m[6], microseconds)
      return time unless m[8]

      offset = (m[8].to_i.abs * 3600 + m[9].to_i * 60 + m[10].to_i) * (m[8].start_with?("-") ? -1 : 1)
      offset.zero? ? time : (time - offset).localtime(offset)
    end

    BASE = {
      16 => ->(text) { text == "t" }, # bool
      17 => method(:bytea),
      20 => :to_i.to_proc, 21 => :to_i.to_proc, 23 => :to_i.to_proc, 26 => :to_i.to_proc, # int8, int2, int4, oid
      114 => ->(text) { JSON.parse(text) }, 3802 => ->(text) { JSON.parse(text) }, # json, jsonb
      650 => ->(text) { IPAddr.new(text) }, # cidr
      869 => ->(text) { text.include?("/") ? text : IPAddr.new(text) }, # inet: an IPAddr has no address within its network
      700 => method(:float), 701 => method(:float), # float4, float8
      1082 => method(:date), 1114 => method(:timestamp), 1184 => method(:timestamp), # date, timestamp, timestamptz
      1700 => ->(text) { BigDecimal(text) } # numeric
    }.freeze
    TEXT = :itself.to_proc

    # Ranges by what they are of: int4, num, ts, tstz, date, int8. The multiranges of these ranges.
    RANGES = { 3904 => 23, 3906 => 1700, 3908 => 1114, 3910 => 1184, 3912 => 1082, 3926 => 20 }.freeze
    MULTIRANGES = { 4451 => 3904, 4532 => 3906, 4533 => 3908, 4534 => 3910, 4535 => 3912, 4536 => 3926 }.freeze

    # The arrays of all these, and of types that are text here: name, text, varchar, bpchar, time, interval, timetz, uuid.
    ARRAYS = {
      1000 => 16, 1001 => 17, 1016 => 20, 1005 => 21, 1007 => 23, 1028 => 26, 199 => 114, 3807 => 3802, 651 => 650, 1041 => 869,
      1021 => 700, 1022 => 701, 1182 => 1082, 1115 => 1114, 1185 => 1184, 1231 => 1700,
      1003 => 19, 1009 => 25, 1015 => 1043, 1014 => 1042, 1183 => 1083, 1187 => 1186, 1270 => 1266, 2951 => 2950,
      3905 => 3904, 3907 => 3906, 3909 => 3908, 3911 => 3910, 3913 => 3912, 3927 => 3926,
      6150 => 4451, 6151 => 4532, 6152 => 4533, 6153 => 4534, 6155 => 4535, 6157 => 4536
    }.freeze

    def array_of(decode)
      ->(text) { Literals.array(text, decode) }
    end

    def range_of(decode)
      ->(text) { Literals.range(text, decode) }
    end

    def multirange_of(decode)
      ->(text) { Literals.multirange(text, decode) }
    end

    # How the server's text of each type is read: OID to what takes a String. What is not here stays a String.
    DECODERS = BASE.dup.then do |all|
      RANGES.each { |range, of| all[range] = range_of(all.fetch(of)) }
      MULTIRANGES.each { |multirange, range| all[multirange] = multirange_of(all.fetch(RANGES.fetch(range))) }
      ARRAYS.each { |array, element| all[array] = array_of(all.fetch(element, :itself.to_proc)) }
      all.freeze
    end

    # What a parameter is sent as: a String, Binary or nil. number: which one it is, for the error.
    def encode(value, number)
      case value
      when nil, Binary then value
      when String then text(value, number)
      when Integer then value.to_s
      when true then "t"
      when false then "f"
      when Float then float_text(value)
      when BigDecimal then value.infinite? ? float_text(value.to_f) : value.to_s("F")
      when Symbol then text(value.name, number)
      when Time then time(value)
      when DateTime then time(value.to_time)
      when Date then date_text(value.gregorian)
      when Array then Literals.array_text(value) { |element| part(element, number) }
      when Hash then text(JSON.generate(value), number)
      when ::Range, Range then Literals.range_text(value) { |bound| part(bound, number) }
      when Multirange then "{#{value.ranges.map { |range| encode(range, number) }.join(',')}}"
      when Struct then Literals.row_text(value.to_a) { |field| part(field, number) }
      when IPAddr then "#{value}/#{value.prefix}"
      else
        raise TypeError, "parameter $#{number} is a #{value.class}, which has no form in PostgreSQL: pass a String, Integer, " \
                         "Float, BigDecimal, true, false, nil, Time, Date, Array, Hash (json), Range, Struct, IPAddr or PgPoll::Binary"
      end
    end

    # A value inside of another one, or in a COPY, where bytes have to be text.
    def part(value, number)
      encoded = encode(value, number)
      encoded.is_a?(Binary) ? "\\x#{encoded.bytes.unpack1('H*')}" : encoded
    end

    def text(value, number)
      value = utf8(value)
      value = value.dup.force_encoding(Encoding::UTF_8) if value.encoding == Encoding::BINARY
      raise ArgumentError, "parameter $#{number} is not UTF-8: pass bytes as PgPoll::Binary" unless value.valid_encoding?
      raise ArgumentError, "parameter $#{number} has a NUL in it, which text cannot have: pass bytes as PgPoll::Binary" if value.include?("\0")

      value
    end

    # Bytes without an encoding stay as they are.
    def utf8(value)
      raise UsageError, "a statement is a String, not #{value.inspect}" unless value.is_a?(String)

      [Encoding::UTF_8, Encoding::US_ASCII, Encoding::BINARY].include?(value.encoding) ? value : value.encode(Encoding::UTF_8)
    end

    def float_text(value)
      return "NaN" if value.nan?

      value.infinite? ? "#{'-' if value.negative?}Infinity" : value.to_s
    end

    def date_text(value)
      value.strftime(value.year.positive? ? "%Y-%m-%d" : "#{format('%04d', 1 - value.year)}-%m-%d BC")
    end

    # Offsets of the time before time zones have seconds.
    def time(value)
      year = value.year.positive? ? format("%04d", value.year) : format("%04d", 1 - value.year)
      value.strftime("#{year}-%m-%d %H:%M:%S.%6N%::z#{' BC' unless value.year.positive?}")
    end
  end
end
