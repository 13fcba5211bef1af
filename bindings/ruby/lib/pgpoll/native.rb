# frozen_string_literal: true

require "fiddle"

module PgPoll
  # The functions and constants of <pgpoll.h>. Knows how C is called, and nothing of PostgreSQL.
  #
  # None of them waits, so they keep the interpreter's lock: a call costs half as much, and no other thread is inside.
  module Native
    # Where the library is: what PGPOLL_LIBRARY says, what `make lib` has built in this repository, or what the system has.
    def self.load
      built = File.expand_path("../../../../target/lib/libpgpoll.so.0", __dir__)
      path = ENV["PGPOLL_LIBRARY"] || (File.exist?(built) ? built : "libpgpoll.so.0")
      Fiddle.dlopen(path)
    rescue Fiddle::DLError => e
      raise LoadError, "#{e.message}: build it with `make lib`, install it with `make install`, or say where it is in PGPOLL_LIBRARY"
    end
    private_class_method :load

    # a: an address; s: a C string; b: bytes; i, l, u, q: int, int64_t, uint32_t, uint64_t; z: size_t; v: nothing
    TYPES = {
      "a" => Fiddle::TYPE_UINTPTR_T, "s" => Fiddle::TYPE_CONST_STRING, "b" => Fiddle::TYPE_VOIDP, "i" => Fiddle::TYPE_INT, "l" => Fiddle::TYPE_LONG_LONG,
      "u" => -Fiddle::TYPE_INT, "q" => -Fiddle::TYPE_LONG_LONG, "z" => Fiddle::TYPE_SIZE_T, "v" => Fiddle::TYPE_VOID
    }.freeze

    # What each takes and, behind the arrow, returns.
    FUNCTIONS = {
      conn_open_params: "aai>a", conn_give_token: "as>i", conn_reset: "a>v", conn_close: "a>v", conn_poll_state: "aa>u", conn_check: "a>i",
      conn_start_query: "as>q", conn_start_query_params: "asiaaaaiiu>q", conn_start_prepare: "assiau>q",
      conn_start_prepared: "asiaaaiiu>q", conn_start_close_statement: "asu>q", conn_start_copy: "as>q",
      conn_set_timeout_ms: "al>v", conn_set_batch: "azz>v", conn_set_describing: "ai>v", conn_abandon: "aq>i", conn_get_results: "aaz>z",
      conn_copy_put: "abz>i", conn_copy_end: "as>i", conn_copy_get: "aaz>z",
      conn_result_free: "a>v", conn_result_rows: "a>z", conn_result_columns: "a>z", conn_result_name: "az>a",
      conn_result_type: "az>u", conn_result_cells: "azzaa>z",
      conn_result_value: "azz>a", conn_result_length: "azz>z",
      conn_start_lo_create: "au>q", conn_start_lo_open: "aui>q", conn_start_lo_close: "ai>q", conn_start_lo_read: "aiz>q",
      conn_start_lo_write: "aibz>q", conn_start_lo_seek: "aili>q", conn_start_lo_tell: "ai>q", conn_start_lo_truncate: "ail>q",
      conn_start_lo_unlink: "au>q", conn_start_lo_import: "aiu>q", conn_start_lo_export: "aui>q",
      conn_error: "a>a", conn_error_free: "a>v", conn_error_kind: "a>i", conn_error_message: "a>a", conn_error_sqlstate: "a>a",
      conn_error_severity: "a>a", conn_error_detail: "a>a", conn_error_hint: "a>a", conn_error_position: "a>z",
      conn_error_field: "ai>a", conn_error_safe_to_retry: "a>i",
      conn_get_notice: "a>a", conn_get_notification: "a>a", conn_notification_channel: "a>a", conn_notification_payload: "a>a",
      conn_notification_pid: "a>i", conn_notification_free: "a>v",
      conn_cancel_open: "a>a", conn_cancel_poll: "a>u", conn_cancel_socket: "a>i", conn_cancel_deadline_ms: "a>l",
      conn_cancel_error: "a>a", conn_cancel_close: "a>v",
      conn_parameter: "as>a", conn_backend_pid: "a>i", conn_transaction_status: "a>i", conn_server_version: "a>i",
      conn_inspect: "a>a", conn_free_string: "a>v"
    }.freeze

    library = load
    FUNCTIONS.each do |name, signature|
      takes, returns = signature.split(">")
      function = Fiddle::Function.new(library[name.to_s], takes.chars.map { |type| TYPES.fetch(type) }, TYPES.fetch(returns),
                                      name: name.to_s, need_gvl: true)
      const_set(name.to_s.upcase, function)
      arguments = Array.new(takes.size) { |index| "a#{index}" }.join(", ")
      module_eval("def self.#{name}(#{arguments}) = #{name.to_s.upcase}.call(#{arguments})", __FILE__, __LINE__)
    end

    WANT_READ = 1
    WANT_WRITE = 2
    RUNNABLE = 4
    RESULT = 8
    NOTIFY = 16
    NOTICE = 32
    IDLE = 128
    FAILED = 256
    COPY = 1024
    ROOM = 2048

    # ConnState: bits, socket, generation, deadline_ns
    STATE = "LlQq"
    STATE_SIZE = 24
    NO_DEADLINE = (1 << 63) - 1
    # ConnItem: operation, kind, outcome, transaction, verdict, rows, copy, format, value, result, error, tag
    ITEM = "Ql4Ql2qJ2Z64"
    ITEM_SIZE = 128

    module_function

    # Zeroed memory that lives as long as the object does.
    def memory(size)
      pointer = Fiddle::Pointer.malloc(size, Fiddle::RUBY_FREE)
      pointer[0, size] = "\0" * size
      pointer
    end

    # The C string at an address; nil at none.
    def string(address)
      Fiddle::Pointer.new(address).to_s.force_encoding(Encoding::UTF_8) unless address.zero?
    end

    # So many bytes at an address.
    def bytes(address, size)
      Fiddle::Pointer.new(address)[0, size]
    end
  end
end
