"""What brings runs home when nobody is there: queue and watcher, job wrapper, disk guard."""
