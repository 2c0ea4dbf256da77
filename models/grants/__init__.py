"""The grants desk: who may do what, account by account."""
