"""Storage: tables, migrations, and keyword-only functions over a session.

Importing this package loads nothing. The modules below import SQLAlchemy, and only a service with a database needs
them.
"""
