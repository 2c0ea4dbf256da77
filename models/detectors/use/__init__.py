"""Use of what should lie unused."""
