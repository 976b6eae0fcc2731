"""What lies on disk: run directories, fragments, rows and payloads."""
