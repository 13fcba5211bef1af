"""What PostgreSQL and this dialect can do, of what SQLAlchemy's suite asks for. What is not named is as the suite has it."""

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

HAS = """
aggregate_order_by array_type autocommit boolean_col_expressions check_constraint_reflection column_collation_reflection comment_reflection
comment_reflection_full_unicode computed_columns computed_columns_reflect_persisted computed_columns_stored
 constraint_comment_reflection create_or_replace_view create_table_as create_temp_table_as
cross_schema_fk_reflection ctes ctes_on_dml ctes_with_update_delete ctes_with_values date_historic datetime_historic datetime_interval
datetime_literals datetime_timezone datetime_timezone_historic default_schema_name_switch deferrable_fks delete_from except_
expression_server_defaults fetch_expression fetch_first fetch_no_order_by fetch_offset_with_options fetch_ties
fk_constraint_option_reflection_ondelete_noaction fk_constraint_option_reflection_ondelete_restrict
fk_constraint_option_reflection_onupdate_restrict float_or_double_precision_behaves_generically foreign_key_constraint_name_reflection
foreign_key_constraint_option_reflection_ondelete foreign_key_constraint_option_reflection_onupdate has_temp_table identity_columns
identity_columns_standard implicit_default_schema index_ddl_if_exists index_reflects_included_columns indexes_check_column_order
indexes_with_expressions infinity_floats inline_check_constraint_reflection intersect isolation_level json_type
legacy_unconditional_json_extract materialized_views mod_operator_as_percent_sign nullsordering percent_schema_names
precision_numerics_enotation_small precision_numerics_many_significant_digits precision_numerics_retains_significant_digits
reflect_indexes_with_expressions reflect_table_options reflect_tables_no_columns reflects_pk_names regexp_match regexp_replace
repeated_column_foreign_keys
savepoints schema_create_delete server_defaults skip_autocommit_rollback supports_bitwise_and supports_bitwise_not supports_bitwise_or
supports_bitwise_shift supports_bitwise_xor supports_distinct_on table_ddl_if_exists table_value_constructor temp_table_comment_reflection
temp_table_names temporary_views time_timezone timestamp_microseconds tuple_in two_phase_transactions unicode_ddl
unique_constraints_reflect_as_index update_from uuid_data_type views window_functions window_range window_range_non_numeric
window_range_numeric
"""

# Why a test of the suite does not run, by what it asks for.
HAS_NOT = {
    "dbapi_lastrowid": "PostgreSQL has RETURNING",
    "emulated_lastrowid": "PostgreSQL has RETURNING",
    "emulated_lastrowid_even_with_sequences": "PostgreSQL has RETURNING",
    "fetch_percent": "PostgreSQL has no FETCH … PERCENT",
    "foreign_keys_reflect_as_index": "PostgreSQL makes no index for a foreign key",
    "json_deserializer_binary": "a deserializer of the program's is given a str",
    "materialized_views_reflect_pk": "a materialized view of PostgreSQL has no primary key",
    "non_updating_cascade": "PostgreSQL has ON UPDATE CASCADE",
    "nvarchar_types": "PostgreSQL has no NVARCHAR",
    "order_by_label_with_expression": "PostgreSQL takes labels in ORDER BY alone, not in an expression",
    "reflect_indexes_with_ascdesc_as_expression": "PostgreSQL knows the order of an index's columns",
    "repeated_remote_col_foreign_keys": "PostgreSQL refuses a foreign key to the same column twice",
    "unique_index_reflect_as_unique_constraints": "PostgreSQL tells the two apart",
}


class Requirements(SuiteRequirements):
    @property
    def async_dialect(self):
        return exclusions.only_if(lambda config: config.db.dialect.is_async)

    @property
    def computed_columns_virtual(self):
        return exclusions.only_if("postgresql >= 18")

    @property
    def computed_columns_default_persisted(self):
        return exclusions.only_if("postgresql < 18")

    def get_order_by_collation(self, config):
        return "POSIX"


for _name in HAS.split():
    setattr(Requirements, _name, property(lambda self: exclusions.open()))
for _name, _reason in HAS_NOT.items():
    setattr(Requirements, _name, property(lambda self, reason=_reason: exclusions.closed(reason)))
