# frozen_string_literal: true

require_relative "lib/pgpoll/version"

Gem::Specification.new do |gem|
  gem.name = "pgpoll"
  gem.version = PgPoll::VERSION
  gem.summary = "PostgreSQL for fibers: a client that Ruby's fiber scheduler drives"
  gem.authors = ["The pgpoll authors"]
  gem.licenses = %w[MIT Apache-2.0]
  gem.required_ruby_version = ">= 3.1"
  # They come with Ruby; newer ones have them as gems, which Bundler hides from who does not name them.
  gem.add_dependency "bigdecimal", ">= 3.1"
  gem.add_dependency "fiddle", ">= 1.1"
  gem.files = Dir["lib/**/*.rb", "README.md", base: __dir__]
end
