"""The behaviour desk: what an entity does."""
