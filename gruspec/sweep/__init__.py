"""Fresh random cases against any implementations, shrunk to a minimal reproducer where one fails."""
