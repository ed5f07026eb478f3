"""Every door a person or a program comes through."""
