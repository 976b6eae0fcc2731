"""The doctor's checks, one module a subject. Each gives findings and changes nothing."""
