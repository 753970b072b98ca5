"""The pages for browsers: which there are, their templates, and the files that they load. Knows no HTTP."""
