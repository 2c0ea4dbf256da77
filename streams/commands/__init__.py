"""The commands, one module for each room: options in, results out. `streams.cli` lists them."""
