"""The watcher: notices runs, brings them home when the line works, and goes on after whatever happened."""
