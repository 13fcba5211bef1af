# frozen_string_literal: true

require_relative "helper"

# Values of every type, both ways.
class ValuesTest < Minitest::Test
  include Helper

  def value(sql, *parameters)
    @db.query(sql, *parameters).value
  end

  def test_what_the_server_sends_is_rubys
    {
      "true" => true, "null" => nil, "32767::int2" => 32_767, "(-2147483648)::int4" => -2**31, "9223372036854775807::int8" => 2**63 - 1,
      "4294967295::oid" => 2**32 - 1, "1.5::float8" => 1.5, "'Infinity'::float8" => Float::INFINITY, "'-Infinity'::float4" => -Float::INFINITY,
      "123456789012345678901234567890.12345::numeric" => BigDecimal("123456789012345678901234567890.12345"),
      "'häß'::text" => "häß", "'x'::varchar" => "x", "'x'::char(3)" => "x  ", "''" => "", "'\\x00ff'::bytea" => "\x00\xff".b,
      "'2024-02-29'::date" => Date.new(2024, 2, 29), "'0044-03-15 BC'::date" => Date.new(-43, 3, 15), "'infinity'::date" => Float::INFINITY,
      "'12345-01-02'::date" => Date.new(12_345, 1, 2),
      "'2024-02-29 12:34:56.789012'::timestamp" => Time.utc(2024, 2, 29, 12, 34, Rational(56_789_012, 1_000_000)),
      "'-infinity'::timestamptz" => -Float::INFINITY, "'{\"a\": [1, null]}'::json" => { "a" => [1, nil] }, "'3'::jsonb" => 3, "'null'::jsonb" => nil,
      "'10.0.0.0/8'::cidr" => IPAddr.new("10.0.0.0/8"), "'::1'::inet" => IPAddr.new("::1"), "'10.1.2.3/8'::inet" => "10.1.2.3/8",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid" => "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "'1 day'::interval" => "1 day",
      "array[1, null, 3]" => [1, nil, 3], "'{}'::int[]" => [], "array[[1, 2], [3, 4]]" => [[1, 2], [3, 4]], "'[0:1]={5,6}'::int[]" => [5, 6],
      "array['a', null, 'NULL', '', '{\"x\\y\",}', 'z z']" => ["a", nil, "NULL", "", "{\"x\\y\",}", "z z"],
      "array[true, false]" => [true, false], "array['2024-01-01'::date]" => [Date.new(2024, 1, 1)], "array[1.5::numeric]" => [BigDecimal("1.5")],
      "'[1,5)'::int4range" => "[1,5)"
    }.each do |sql, expected|
      got = value("select #{sql}")
      expected.nil? ? assert_nil(got, sql) : assert_equal(expected, got, sql)
    end
    assert value("select 'NaN'::float8").nan?
    assert value("select 'NaN'::numeric").nan?
  end

  def test_timestamps_have_their_offset
    @db.query("set time zone 'Asia/Kolkata'")
    time = value("select '2024-01-01 00:00:00Z'::timestamptz")
    assert_equal [Time.utc(2024), 19_800], [time, time.utc_offset]
    @db.query("set time zone 'America/St_Johns'")
    assert_equal(-12_600, value("select '2024-01-01 00:00:00Z'::timestamptz").utc_offset)
  end

  def test_what_is_passed_comes_back
    {
      "int" => 42, "int8" => 2**62, "text" => "O'Reilly \\ \u{1f600}", "bool" => true, "float8" => -0.1, "numeric" => BigDecimal("-1e-20"),
      "date" => Date.new(-43, 3, 15), "jsonb" => { "k" => ["v", nil, 1.5] }, "int[]" => [[1, nil], [2, 3]],
      "text[]" => ["", nil, "NULL", "a\"b\\c", "{,}"], "cidr" => IPAddr.new("192.168.0.0/16"), "bytea" => PgPoll::Binary.new((0..255).to_a.pack("C*")),
      "timestamptz" => Time.new(2024, 2, 29, 1, 2, Rational(3_000_004, 1_000_000), "+05:30"), "timestamp" => Time.utc(1969, 12, 31, 23, 59, 59)
    }.each do |type, passed|
      got = value("select $1::#{type}", passed)
      assert_equal passed.is_a?(PgPoll::Binary) ? passed.bytes : passed, got, type
    end
    assert_nil value("select $1::int", nil)
    assert value("select $1::float8", Float::NAN).nan?
    assert_equal Float::INFINITY, value("select $1::numeric::float8", Float::INFINITY)
    assert_equal [1, "two", nil], @db.query("select $1::int, $2::text, $3::text", 1, :two, nil).rows.first
    assert_equal "latin: é", value("select $1", "latin: \xe9".dup.force_encoding("ISO-8859-1"))
  end

  def test_what_cannot_be_passed_says_which_it_is
    [[TypeError, Object.new, /\$2 is a Object/], [ArgumentError, "\xff", /\$2 is not UTF-8/], [ArgumentError, "a\0b", /\$2 has a NUL/]]
      .each do |error, bad, message|
        raised = assert_raises(error) { @db.query("select $1::text, $2::text", "good", bad) }
        assert_match message, raised.message
      end
    assert_equal 1, value("select 1")
  end

  def test_types_may_be_read_otherwise
    @db.decoders[1700] = :to_f.to_proc
    @db.decoders[2950] = ->(text) { text.delete("-") }
    assert_equal 1.5, value("select 1.5")
    assert_equal "a0eebc999c0b4ef8bb6d6bb9bd380a11", value("select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid")
  end

  def test_rows_of_all_sizes
    sql = "select n, nullif(n % 3, 0), repeat('é', n % 50), case n when 7 then repeat('x', 100000) end, null from generate_series(1, 3000) as n"
    rows = @db.query(sql).rows
    assert_equal 3000, rows.size
    rows.each.with_index(1) do |row, n|
      assert_equal [n, (n % 3).zero? ? nil : n % 3, "é" * (n % 50), n == 7 ? "x" * 100_000 : nil, nil], row
    end
    assert_equal [[nil, nil]], @db.query("select null, null").rows
    assert_equal 20_000_000, value("select repeat('y', 20000000)").size
  end

  def test_a_result_says_what_it_is
    result = @db.query("select 1 as a, 'x' as b union all select 2, 'y' order by 1")
    assert_equal [%w[a b], 2, "SELECT 2", 2], [result.columns, result.size, result.tag, result.affected]
    assert_equal [{ "a" => 1, "b" => "x" }, { "a" => 2, "b" => "y" }], result.to_a
    assert_equal [{ "a" => 2, "b" => "y" }, nil, %w[x y], [1, 2]], [result[1], result[2], result.column("b"), result.column(0)]
    assert_raises(PgPoll::UsageError) { result.column("c") }
    assert_equal [[], 0, nil], @db.query("create temp table none ()").then { |it| [it.rows, it.affected, it.value] }
    assert_equal [[], []], @db.query("select").then { |it| [it.columns, it.rows.flatten] }
    assert_equal 3, @db.query("select 1; select 2; select 3").value
  end
end
