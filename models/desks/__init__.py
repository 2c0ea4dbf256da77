"""The three desks: each files events or drafts under its own state, scores, then learns."""
