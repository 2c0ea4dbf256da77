"""What rolehawk knows and decides: pure functions over plain state, with no I/O and no clock."""
