"""The incidents desk: drafts of one matter become one finding."""
