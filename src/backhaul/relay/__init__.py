"""A depot inside a closed network passes on what it holds: its runs become logs, which go home as all logs do."""
