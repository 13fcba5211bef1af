# frozen_string_literal: true

require "bigdecimal"
require "date"
require "ipaddr"
require "json"
require "strscan"
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

    # Other styles than ISO stay text.
    def date(text)
      return infinite(text) unless (m = DATE.match(text))

      Date.new(year(m[1], m[4]), m[2].to_i, m[3].to_i)
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

    # The elements of an array's text, each through `decode`; its dimensions as arrays in arrays. Lower bounds are left out.
    def array(text, decode)
      scanner = StringScanner.new(text)
      scanner.skip(/(?:\[-?\d+:-?\d+\])+=/)
      elements(scanner, decode)
    end

    def elements(scanner, decode)
      list = []
      scanner.skip(/\{/)
      until scanner.skip(/\}/)
        raise ArgumentError, "not an array: #{scanner.string.inspect}" if scanner.eos?

        list << element(scanner, decode)
        scanner.skip(/,/)
      end
      list
    end

    def element(scanner, decode)
      return elements(scanner, decode) if scanner.check(/\{/)

      if scanner.scan(/"((?:[^"\\]|\\.)*)"/m)
        decode.call(scanner[1].gsub(/\\(.)/m, '\1'))
      else
        word = scanner.scan(/[^,{}]+/) or raise ArgumentError, "not an array: #{scanner.string.inspect}"
        decode.call(word) unless word == "NULL"
      end
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

    # The arrays of these, and of types that are text here: name, text, varchar, bpchar, time, interval, timetz, uuid.
    ARRAYS = {
      1000 => 16, 1001 => 17, 1016 => 20, 1005 => 21, 1007 => 23, 1028 => 26, 199 => 114, 3807 => 3802, 651 => 650, 1041 => 869,
      1021 => 700, 1022 => 701, 1182 => 1082, 1115 => 1114, 1185 => 1184, 1231 => 1700,
      1003 => 19, 1009 => 25, 1015 => 1043, 1014 => 1042, 1183 => 1083, 1187 => 1186, 1270 => 1266, 2951 => 2950
    }.freeze

    # How the server's text of each type is read: OID to what takes a String. What is not here stays a String.
    DECODERS = BASE.merge(ARRAYS.transform_values do |element|
      decode = BASE.fetch(element, TEXT)
      ->(text) { array(text, decode) }
    end).freeze

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
      when Date then value.strftime(value.year.positive? ? "%Y-%m-%d" : "#{format('%04d', 1 - value.year)}-%m-%d BC")
      when Array then array_text(value, number)
      when Hash then text(JSON.generate(value), number)
      when IPAddr then "#{value}/#{value.prefix}"
      else
        raise TypeError, "parameter $#{number} is a #{value.class}, which has no form in PostgreSQL: pass a String, Integer, " \
                         "Float, BigDecimal, true, false, nil, Time, Date, Array, Hash (json), IPAddr or PgPoll::Binary"
      end
    end

    def text(value, number)
      value = value.encode(Encoding::UTF_8) unless [Encoding::UTF_8, Encoding::US_ASCII, Encoding::BINARY].include?(value.encoding)
      value = value.dup.force_encoding(Encoding::UTF_8) if value.encoding == Encoding::BINARY
      raise ArgumentError, "parameter $#{number} is not UTF-8: pass bytes as PgPoll::Binary" unless value.valid_encoding?
      raise ArgumentError, "parameter $#{number} has a NUL in it, which text cannot have: pass bytes as PgPoll::Binary" if value.include?("\0")

      value
    end

    def float_text(value)
      return "NaN" if value.nan?

      value.infinite? ? "#{'-' if value.negative?}Infinity" : value.to_s
    end

    def time(value)
      year = value.year.positive? ? format("%04d", value.year) : format("%04d", 1 - value.year)
      value.strftime("#{year}-%m-%d %H:%M:%S.%6N%:z#{' BC' unless value.year.positive?}")
    end

    def array_text(list, number)
      elements = list.map do |element|
        case element
        when nil then "NULL"
        when Array then array_text(element, number)
        when Binary then %("\\\\x#{element.bytes.unpack1('H*')}")
        else %("#{encode(element, number).gsub(/["\\]/) { |letter| "\\#{letter}" }}")
        end
      end
      "{#{elements.join(',')}}"
    end
  end
end
