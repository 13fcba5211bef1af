# frozen_string_literal: true

require "stringio"
require "tempfile"
require_relative "helper"

class LargeObjectTest < Minitest::Test
  include Helper

  def teardown
    @db.query("select lo_unlink(oid) from pg_largeobject_metadata")
    super
  end

  def test_reading_and_writing
    oid = @db.lo_create
    @db.transaction do
      @db.lo_open(oid, "r+") do |object|
        assert_equal [oid, 6], [object.oid, object.write("\0\xffhello".b[0, 6])]
        assert_equal 2, object.seek(2)
        assert_equal ["hell".b, nil, "", ""], [object.read(10), object.read(10), object.read, object.read(0)]
        assert_equal Encoding::BINARY, object.read.encoding
        assert_equal [4, 4], [object.seek(-2, IO::SEEK_END), object.tell]
        object.truncate(3)
        object.seek(5)
        assert_equal 1, object.write("!")
        object.seek(0)
        assert_equal "\0\xffh\0\0!".b, object.read
      end
    end
    assert_equal "55000", assert_raises(PgPoll::ServerError) { @db.transaction { @db.lo_open(oid).write("x") } }.sqlstate
    assert_raises(PgPoll::UsageError) { @db.lo_open(oid) }
    assert_raises(ArgumentError) { @db.transaction { @db.lo_open(oid, "a") } }
    assert_raises(PgPoll::ServerError) { @db.transaction { @db.lo_open(oid).tap(&:close).read(1) } }
    @db.lo_unlink(oid)
    assert_equal "42704", assert_raises(PgPoll::ServerError) { @db.lo_unlink(oid) }.sqlstate
    assert_equal 4_000_000_000, @db.lo_create(4_000_000_000)
    assert_equal "23505", assert_raises(PgPoll::ServerError) { @db.lo_create(4_000_000_000) }.sqlstate
  end

  # More than is read at once.
  def test_it_is_an_io_to_what_copies
    content = Random.new(1).bytes(3_000_000)
    oid = @db.lo_create
    copy = StringIO.new
    @db.transaction do
      @db.lo_open(oid, "w") { |object| assert_equal content.bytesize, IO.copy_stream(StringIO.new(content), object) }
      @db.lo_open(oid) { |object| assert content == object.read }
      @db.lo_open(oid) { |object| IO.copy_stream(object, copy) }
    end
    assert content == copy.string.b
  end

  def test_files_go_in_and_out
    content = Random.new(2).bytes(1_000_000)
    Tempfile.create("pgpoll", binmode: true) do |file|
      file.write(content)
      file.flush
      oid = @db.lo_import(file.path)
      file.seek(999_990)
      tail = @db.lo_import(file, 4_000_000_001)
      assert_equal [4_000_000_001, [1_000_000, 10]], [tail, [oid, tail].map { |it| value("select length(lo_get($1))", it) }]
      file.rewind
      file.truncate(0)
      file.write("before ")
      @db.lo_export(tail, file)
      assert_equal "before ".b + content[-10..], File.binread(file.path)
      @db.lo_export(oid, file.path)
      assert content == File.binread(file.path)
    end
    assert_raises(Errno::ENOENT) { @db.lo_import("/nowhere") }
    assert_raises(PgPoll::ServerError) { @db.lo_export(1, File::NULL) }
    assert_equal 1, value("select 1")
  end

  def value(sql, *parameters)
    @db.query(sql, *parameters).value
  end
end
