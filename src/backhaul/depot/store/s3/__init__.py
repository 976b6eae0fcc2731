"""Blobs in a bucket of S3, or of what speaks like it. All but `place` needs `botocore` (the extra `s3`)."""
