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
      "'2024-02-29'::date" => Date.new(2024, 2, 29), "'0044-03-15 BC'::date" => Date.new(-43, 3, 15, Date::GREGORIAN), "'infinity'::date" => Float::INFINITY,
      "'1582-10-10'::date" => Date.new(1582, 10, 10, Date::GREGORIAN), "'12345-01-02'::date" => Date.new(12_345, 1, 2),
      "'2024-02-29 12:34:56.789012'::timestamp" => Time.utc(2024, 2, 29, 12, 34, Rational(56_789_012, 1_000_000)),
      "'-infinity'::timestamptz" => -Float::INFINITY, "'{\"a\": [1, null]}'::json" => { "a" => [1, nil] }, "'3'::jsonb" => 3, "'null'::jsonb" => nil,
      "'10.0.0.0/8'::cidr" => IPAddr.new("10.0.0.0/8"), "'::1'::inet" => IPAddr.new("::1"), "'10.1.2.3/8'::inet" => "10.1.2.3/8",
      "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid" => "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "'1 day'::interval" => "1 day",
      "array[1, null, 3]" => [1, nil, 3], "'{}'::int[]" => [], "array[[1, 2], [3, 4]]" => [[1, 2], [3, 4]], "'[0:1]={5,6}'::int[]" => [5, 6],
      "array['a', null, 'NULL', '', '{\"x\\y\",}', 'z z']" => ["a", nil, "NULL", "", "{\"x\\y\",}", "z z"],
      "array[true, false]" => [true, false], "array['2024-01-01'::date]" => [Date.new(2024, 1, 1)], "array[1.5::numeric]" => [BigDecimal("1.5")],
      "row(1, 'a')" => "(1,a)"
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

  def test_ranges
    day = Date.new(2024, 2, 29)
    noon = Time.utc(2024, 2, 29, 12)
    {
      "'[1,5]'::int4range" => 1...6, "'[,5)'::int8range" => nil...5, "'[1,]'::int4range" => 1.., "'(,)'::int4range" => nil..nil,
      "'[1.5,2.5]'::numrange" => BigDecimal("1.5")..BigDecimal("2.5"), "'(1.5,2.5]'::numrange" => PgPoll::Range.new(1.5, 2.5, "(]"),
      "'empty'::daterange" => PgPoll::Range.new(nil, nil, "empty"), "daterange('2024-02-29', 'infinity')" => day...Float::INFINITY,
      "tsrange('2024-02-29 12:00', '2024-02-29 13:00', '[]')" => noon..(noon + 3600),
      "tstzrange('2024-02-29 12:00Z', 'infinity')" => PgPoll::Range.new(noon, Float::INFINITY, "[)"),
      "array['[1,2)'::int4range, null, '[3,4)']" => [1...2, nil, 3...4],
      "'{[1,3),[5,7)}'::int4multirange" => [1...3, 5...7], "'{}'::nummultirange" => [],
      "array['{[1,3),[5,7)}'::int4multirange]" => [[1...3, 5...7]]
    }.each { |sql, expected| assert_equal expected, value("select #{sql}"), sql }
    {
      "int4range" => 1...6, "numrange" => PgPoll::Range.new(1, BigDecimal("2.5"), "()"), "tsrange" => noon..(noon + 1), "daterange" => (day..),
      "int4range[]" => [1...2, nil], "int8range" => PgPoll::Range.new(nil, nil, "empty")
    }.each { |type, passed| assert_equal passed, value("select $1::#{type}", passed), type }
    assert_equal [1...3, 5...7], value("select $1::int4multirange", PgPoll::Multirange.new([1..2, 5...7]))
    assert value("select $1::int4range", 1...1).empty?
  end

  def test_types_of_ones_own
    @db.query(<<~SQL)
      create type pg_temp.mood as enum ('sad', 'very happy');
      create domain pg_temp.positive as int check (value > 0);
      create type pg_temp.spot as (x pg_temp.positive, y float8, tags text[]);
      create type pg_temp.place as (name text, at pg_temp.spot, mood pg_temp.mood, open int4range, data bytea);
      create type pg_temp.words as range (subtype = text, multirange_type_name = pg_temp.multiwords);
    SQL
    assert_equal "(1,2,)", value("select row(1, 2, null)::pg_temp.spot")
    spot = @db.register("pg_temp.spot")
    place = @db.register("pg_temp.place")
    %w[positive mood words].each { |name| assert_nil @db.register("pg_temp.#{name}") }
    assert_equal [%i[x y tags], %i[name at mood open data]], [spot.members, place.members]
    [
      place.new("a \"b\", \\ (c)\n", spot.new(1, 1.5, ["t,1", "NULL", nil, ""]), "very happy", 1...5, "\0\xff".b),
      place.new("", spot.new(nil, nil, []), nil, nil, nil), place.new(nil, nil, "sad", nil, "".b)
    ].each do |passed|
      text = passed.dup.tap { |it| it.data &&= PgPoll::Binary.new(it.data) }
      assert_equal passed, value("select $1::pg_temp.place", text)
      assert_equal [passed, nil], value("select array[$1::pg_temp.place, null]", text)
      assert_equal [passed], value("select $1::pg_temp.place[]", [text])
    end
    assert_equal ["sad", "very happy", nil], value("select array['sad', 'very happy', null]::pg_temp.mood[]")
    assert_equal [1, 2], value("select array[1, 2]::pg_temp.positive[]")
    strange = ["a,b", "z\"(])"]
    assert_equal strange[0]..strange[1], value("select $1::pg_temp.words", strange[0]..strange[1])
    assert_equal ["a".."b", PgPoll::Range.new("x", nil, "()")], value("select pg_temp.multiwords(pg_temp.words('a', 'b', '[]'), pg_temp.words('x', null, '()'))")
    # A class of one's own, by position; types that are known already stay what they are.
    mine = Struct.new(:left, :right, :labels)
    assert_same mine, @db.register("pg_temp.spot", mine)
    assert_equal mine.new(1, 2.0, nil), value("select row(1, 2, null)::pg_temp.spot")
    @db.register("integer")
    assert_equal [1, [2]], @db.query("select 1, array[2]").rows.first
    assert_equal "42704", assert_raises(PgPoll::ServerError) { @db.register("nowhere") }.sqlstate
  end

  # Text of whatever encoding says the same to the server.
  def test_encodings
    latin = "é".encode("ISO-8859-1")
    assert_equal ["é", "é"], @db.query("select '#{latin.encode('UTF-8')}', $1".encode("UTF-16LE"), latin).rows.first
    assert_equal "é", value("select 'é'".encode("ISO-8859-1"))
    assert_equal "é", @db.prepare("select 'é'".encode("ISO-8859-1")).query.value
    assert_equal "é", @db.query("select 1 as #{PgPoll.identifier(latin)}".encode("UTF-8")).columns.first
    assert_equal "22021", assert_raises(PgPoll::ServerError) { @db.query("select '\xff'") }.sqlstate
    assert_raises(ArgumentError) { @db.query("select '\0'") }
    assert_equal 1, value("select 1".b.freeze)
  end

  def test_long_elements
    long = ["x y" * 3_000_000, "a\"\\ " * 100_000]
    assert long == value("select $1::text[]", long)
  end

  def test_offsets_of_old_times_have_seconds
    old = Time.new(1890, 1, 1, 0, 0, 0, "+00:53:28")
    assert_equal old, value("select $1::timestamptz", old)
    assert_equal Date.new(1500, 3, 1), value("select $1::date", Date.new(1500, 3, 1))
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
