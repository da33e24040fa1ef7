"""Text -> Runs, one module a tool."""
