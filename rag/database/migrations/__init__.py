"""Migrations of the SQL schema, applied on opening; a released one is never edited."""
