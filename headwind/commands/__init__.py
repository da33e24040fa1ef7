"""The thin command lines: options in, one call of the library, an exit code out."""
