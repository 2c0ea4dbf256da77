"""Console access: who is in the AWS console, and should not be."""
