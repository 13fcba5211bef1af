# frozen_string_literal: true

require_relative "helper"

# The programs of README.md, as they are written there but for where the server is, and the one of the repository's.
class ReadmeTest < Minitest::Test
  include Helper

  def programs(folder = "..")
    readme = File.read(File.expand_path("#{folder}/README.md", __dir__))
    readme.scan(/^```ruby\n(.*?)^```$/m).flatten
  end

  def test_the_quick_start_does_what_it_says
    program = programs.fetch(0).sub('"host=localhost user=me dbname=postgres"', '""')
    said, = capture_io { eval(program) } # rubocop:disable Security/Eval
    lines = said.lines(chomp: true)
    assert_equal 5, lines.size, said
    assert_match(/\A\{"name"=>"Ada", "born"=>#<Date: 1815-12-10|\A\{"name" => "Ada"/, lines[0])
    assert_equal "1906", lines[3]
    assert_equal 'duplicate key value violates unique constraint "people_pkey": Key (name)=(Ada) already exists.', lines[4]
  end

  def test_the_quick_start_of_the_repository
    program, = programs("../../..")
    said, = capture_io { eval(program) } # rubocop:disable Security/Eval
    assert_equal "Grace 1906", said.lines(chomp: true).first
    assert_equal %w[0 1 2], said.lines(chomp: true).drop(1).sort
  end

  def test_fibers_wait_beside_each_other
    said, = capture_io { eval(programs.fetch(1)) } # rubocop:disable Security/Eval
    assert_equal %w[0 1 2], said.split.sort
  end

  def test_a_pool_is_a_queue
    assert_equal [[1]], eval("#{programs.fetch(2).sub('select 1")', 'select 1").rows')}") # rubocop:disable Security/Eval
  end
end
