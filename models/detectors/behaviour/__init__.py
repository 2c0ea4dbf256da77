"""The behaviour of entities: who is used as the other."""
