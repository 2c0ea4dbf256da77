"""How events come in and findings go out."""
