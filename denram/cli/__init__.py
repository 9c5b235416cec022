"""The commands: they parse, call one room and write. Nothing heavy is imported here."""
