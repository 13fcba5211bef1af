"""SQLAlchemy's plugin for pytest, in a database of its own of the server that the environment names."""

import os

import pytest

import pgpoll

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

import sqlalchemy.dialects.postgresql.provision  # noqa: E402, F401
from sqlalchemy.testing.plugin import pytestplugin  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403


def pytest_configure(config):
    if "PGHOST" not in os.environ:
        raise pytest.UsageError("PGHOST names the server to test on: `make test-sqlalchemy` starts one")
    with pgpoll.sync.connect() as connection:
        connection.execute("drop database if exists compliance")
        connection.execute("create database compliance")
    with pgpoll.sync.connect(dbname="compliance") as connection:
        connection.execute("create schema test_schema; create schema test_schema_2")
    pytestplugin.pytest_configure(config)
