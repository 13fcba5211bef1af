# frozen_string_literal: true

module PgPoll
  VERSION = "0.1.0"
end
