"""Reports: consumers of the event stream. The engine does not know that they exist."""
