"""What is put before a job's own modules: not for us, but for every Python that the job starts."""
