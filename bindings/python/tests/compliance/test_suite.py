"""SQLAlchemy's dialect compliance suite."""

from sqlalchemy.testing.suite import *  # noqa: F403
from sqlalchemy.testing.suite import ServerSideCursorsTest as _ServerSideCursorsTest


class ServerSideCursorsTest(_ServerSideCursorsTest):
    def _is_server_side(self, cursor):
        """The suite knows the cursors of SQLAlchemy's own dialects by their names."""
        return cursor.server_side
