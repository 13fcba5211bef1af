# frozen_string_literal: true

module PgPoll
  # Types of your own.
  module Registry
    TYPE = <<~SQL
      select t.oid, t.typarray, t.typtype, t.typbasetype, t.typrelid, r.rngsubtype, r.rngmultitypid, m.typarray
      from pg_type as t left join pg_range as r on r.rngtypid = t.oid left join pg_type as m on m.oid = r.rngmultitypid
      where t.oid = $1::text::regtype
    SQL
    FIELDS = "select attname, atttypid from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped order by attnum"

    # Has values of a type, and arrays of it, read as what they are: a composite type's as a Struct, whose class is returned (or is `as`,
    # with as many members), a range's as Ranges, a domain's as those that it is over. Asks the server once.
    def register(name, as = nil)
      oid, array, kind, base, relation, subtype, multirange, multirange_array = query(TYPE, name).rows.first
      case kind
      when "c"
        fields, types = query(FIELDS, relation).rows.transpose
        as ||= Struct.new(*fields.map(&:to_sym))
        read(oid, array, composite(types, as))
      when "r"
        read(oid, array, Types.range_of(decoder(subtype)))
        read(multirange, multirange_array, Types.multirange_of(decoder(subtype)))
      else
        read(oid, array, @decoders[oid] || decoder(base))
      end
      as
    end

    private

    def read(oid, array, decode)
      @decoders[oid] = decode
      @decoders[array] = Types.array_of(decode) if array.positive?
    end

    # Looked up when there is a value: a type within may be registered later.
    def decoder(oid)
      decoders = @decoders
      ->(text) { (decode = decoders[oid]) ? decode.call(text) : text }
    end

    def composite(types, as)
      fields = types.map { |type| decoder(type) }
      ->(text) { as.new(*Literals.row(text, fields)) }
    end
  end
end
