# frozen_string_literal: true

# PostgreSQL for fibers: the protocol runs in libpgpoll, and whatever waits for the socket is Ruby's: the thread, or its
# fiber scheduler.
module PgPoll
  # Opens a connection, and closes it behind the block if there is one.
  #
  # conninfo: a connection string, a URI, or the name of a database; "" takes PGHOST, PGUSER and so on.
  # options: the same one by one, such as host: "localhost".
  # timeout: seconds that an operation may take, unless it says otherwise.
  # oauth_token: the bearer token for servers that want one (besides oauth_issuer and oauth_client_id), or what gives it when called.
  # pooled: whether a pooler that prepares statements by itself is in between, so that each execution has to ask for its columns; nearly
  # always it is noticed.
  def self.connect(conninfo = "", timeout: nil, oauth_token: nil, pooled: nil, **options)
    connection = Connection.new(conninfo, timeout: timeout, oauth_token: oauth_token, pooled: pooled, **options)
    return connection unless block_given?

    begin
      yield connection
    ensure
      connection.close
    end
  end

  # A name as SQL has it: PgPoll.identifier("my table") is "my table" in double quotes.
  def self.identifier(name)
    name = name.to_s
    raise ArgumentError, "a name has no NUL in it: #{name.inspect}" if name.include?("\0")

    %("#{name.gsub('"', '""')}")
  end
end

require_relative "pgpoll/version"
require_relative "pgpoll/native"
require_relative "pgpoll/error"
require_relative "pgpoll/literals"
require_relative "pgpoll/types"
require_relative "pgpoll/result"
require_relative "pgpoll/driver"
require_relative "pgpoll/operation"
require_relative "pgpoll/statement"
require_relative "pgpoll/copy"
require_relative "pgpoll/large_object"
require_relative "pgpoll/registry"
require_relative "pgpoll/connection"
