"""SQLAlchemy's dialect `postgresql+pgpoll`: create_async_engine on the event loop, create_engine without one.

It is found by its entry point; `import pgpoll` does not import it, nor SQLAlchemy.
"""

from .dialect import PGDialect_pgpoll, PGDialectAsync_pgpoll

__all__ = ["PGDialectAsync_pgpoll", "PGDialect_pgpoll"]
