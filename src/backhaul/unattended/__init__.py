"""What brings runs home when nobody is there: the queue, and the watcher that works on it."""
