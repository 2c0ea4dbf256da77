"""Where events come from: a source yields what it read, with its place, and knows no format of the results."""
