"""The queue: which runs are to be brought home, who has one in hand, and what came of the last try."""
